"""Solr."""

from __future__ import annotations

from tests.packs.system import System

NODES = {number: f"solr-{number}.example:8983_solr" for number in (1, 2)}


def leader(system: System, number: int) -> None:
    data = {
        "core": f"films_shard1_replica_n{number}",
        "core_node_name": f"core_node{number}",
        "base_url": f"http://solr-{number}.example:8983/solr",
        "node_name": NODES[number],
    }
    system.write("/collections/films/leaders/shard1/leader", data, owner=number)


def candidate(system: System, election: str, number: int, of: str) -> str:
    path = f"{election}/election/7205759403792794{number}-{of}-n_000000000{number}"
    system.write(path, owner=number)
    return path


def test_solr() -> None:
    system = System("solr")
    for number, node in NODES.items():
        system.write(f"/live_nodes/{node}", owner=number)
        candidate(system, "/overseer_elect", number, node)
        candidate(system, "/collections/films/leader_elect/shard1", number, f"core_node{number}")
    system.write("/overseer_elect/leader", {"id": "72057594037927941-solr-1.example:8983_solr-n_0000000001"}, owner=1)
    leader(system, 1)
    system.write("/collections/films/state.json", {"films": {"shards": {}}})
    for task in ("/overseer/queue/qn-0000000007", "/overseer/queue/qn-0000000008"):
        system.write(task, {"operation": "state"})
    system.write("/overseer/collection-queue-work/qn-0000000002", {"operation": "create"})
    assert system.said == {
        "live_nodes": {(): 2},
        "live_node_registered_timestamp_seconds": {
            (node,): system.created(f"/live_nodes/{node}") for node in NODES.values()
        },
        "overseer_info": {("72057594037927941-solr-1.example:8983_solr-n_0000000001",): 1},
        "overseer_owner_changes_total": {(): 0},
        "overseer_owner_since_timestamp_seconds": {(): system.created("/overseer_elect/leader")},
        "collections": {(): 1},
        "shard_leader_info": {("films", "shard1", NODES[1]): 1},
        "shard_leader_owner_changes_total": {("films", "shard1"): 0},
        "shard_leader_owner_since_timestamp_seconds": {
            ("films", "shard1"): system.created("/collections/films/leaders/shard1/leader")
        },
        "shard_candidates": {("films", "shard1"): 2},
        "overseer_queue": {(): 2},
        "collection_queue": {(): 1},
    }


def test_a_shard_changes_its_leader() -> None:
    system = System("solr")
    first = candidate(system, "/collections/films/leader_elect/shard1", 1, "core_node1")
    candidate(system, "/collections/films/leader_elect/shard1", 2, "core_node2")
    leader(system, 1)
    with system.batch():
        system.delete("/collections/films/leaders/shard1/leader")
        system.delete(first)
    assert system.said["shard_leader_info"] == {}
    assert system.said["shard_candidates"] == {("films", "shard1"): 1}
    leader(system, 2)
    assert system.said["shard_leader_info"] == {("films", "shard1", NODES[2]): 1}
    assert system.said["shard_leader_owner_changes_total"] == {("films", "shard1"): 1}
