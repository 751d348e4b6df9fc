"""Spark's standalone masters."""

from __future__ import annotations

from tests.packs.system import System

ELECTION = "/spark/leader_election"


def test_spark() -> None:
    system = System("spark")
    first = f"{ELECTION}/_c_0aa8ff5e-5b14-44c0-a1ba-8b8b1b0a1d31-latch-0000000000"
    system.write(first, owner=0x1000)
    system.write(f"{ELECTION}/_c_5f0b0b4c-8d16-4cc4-9a17-4f6c2f6a8e5d-latch-0000000001", owner=0x2000)
    for name in ("worker_worker-20240101000000-10.0.0.1-7078", "worker_worker-20240101000000-10.0.0.2-7078"):
        system.write(f"/spark/master_status/{name}", b"\xac\xed\x00\x05sr")
    system.write("/spark/master_status/app_app-20240101000000-0000", b"\xac\xed\x00\x05sr")
    system.write("/spark/master_status/driver_driver-20240101000000-0000", b"\xac\xed\x00\x05sr")
    assert system.said == {
        "initialized": {(): 1},
        "master_info": {("session 0x1000",): 1},
        "master_owner_changes_total": {(): 0},
        "master_owner_since_timestamp_seconds": {(): system.created(first)},
        "master_candidates": {(): 2},
        "workers": {(): 2},
        "applications": {(): 1},
        "drivers": {(): 1},
    }
    system.delete(first)
    assert system.said["master_info"] == {("session 0x2000",): 1}
    assert system.said["master_owner_changes_total"] == {(): 1}
    assert system.said["master_candidates"] == {(): 1}


def test_no_master_is_left() -> None:
    """Curator makes the election's znode a container, which ZooKeeper deletes when it is empty."""
    system = System("spark")
    assert system.said["initialized"] == {(): 0}
    only = f"{ELECTION}/_c_0aa8ff5e-5b14-44c0-a1ba-8b8b1b0a1d31-latch-0000000000"
    system.write(only, owner=0x1000)
    system.write("/spark/master_status")
    system.delete(only)
    assert system.said["master_candidates"] == {(): 0}
    system.delete(ELECTION)
    assert system.said["master_info"] == system.said["master_candidates"] == {}
    assert system.said["initialized"] == {(): 1}
