"""BookKeeper."""

from __future__ import annotations

from tests.packs.system import System

BOOKIES = tuple(f"bookie-{number}.example:3181" for number in range(4))


def test_bookkeeper() -> None:
    system = System("bookkeeper")
    system.write("/ledgers/LAYOUT", "2\norg.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory:1")
    system.write("/ledgers/INSTANCEID", "5e2f1f0e-3a53-4a0c-9b3c-6d7f6a2f7b10")
    system.write("/ledgers/idgen/ID-0000000007")
    for bookie in BOOKIES:
        system.write(f"/ledgers/cookies/{bookie}", f'bookieHost: "{bookie}"\n')
    system.write("/ledgers/available/readonly")
    for number, bookie in enumerate(BOOKIES[:2]):
        system.write(f"/ledgers/available/{bookie}", b"\n\x12\x0a\x06bookie\x10\xed\x18", owner=number + 1)
    system.write(f"/ledgers/available/readonly/{BOOKIES[2]}", owner=3)
    # Of the short, the long and the flat layout.
    for ledger in ("00/0000/L0000", "00/0000/L0001", "000/0000/0002/1474/L83648", "L0000000005"):
        system.write(f"/ledgers/{ledger}", b"\nBookieMetadataFormatVersion\t3\n")
    system.write("/ledgers/underreplication/LAYOUT", 'type: "BASIC"\nversion: 1\n')
    for ledger in ("0000/0000/0000/0001/urL0000000001", "0000/0000/0000/0000/urL0000000000"):
        system.write(f"/ledgers/underreplication/ledgers/{ledger}", f'replica: "{BOOKIES[3]}"\n')
    system.write("/ledgers/underreplication/locks/urL0000000001", 'bookieId: "bookie-0.example"\n', owner=1)
    for number, bookie in enumerate(BOOKIES[:3]):
        vote = f"/ledgers/underreplication/auditorelection/V_000000000{number}"
        system.write(vote, f'bookieId: "{bookie}"\n', owner=number + 1)
    votes = "/ledgers/underreplication/auditorelection"
    assert system.said == {
        "bookies": {(): 2},
        "readonly_bookies": {(): 1},
        "known_bookies": {(): 4},
        "ledgers": {(): 4},
        "underreplicated_ledgers": {(): 2},
        "ledgers_in_repair": {(): 1},
        "auditor_info": {(f'bookieId: "{BOOKIES[0]}"',): 1},
        "auditor_owner_changes_total": {(): 0},
        "auditor_owner_since_timestamp_seconds": {(): system.created(f"{votes}/V_0000000000")},
        "auditor_candidates": {(): 3},
        "autorecovery_disabled": {(): 0},
    }
    system.delete(f"{votes}/V_0000000000")
    system.write("/ledgers/underreplication/disable")
    assert system.said["auditor_info"] == {(f'bookieId: "{BOOKIES[1]}"',): 1}
    assert system.said["auditor_owner_changes_total"] == {(): 1}
    assert system.said["autorecovery_disabled"] == {(): 1}
