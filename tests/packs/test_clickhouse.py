"""ClickHouse's replicated tables."""

from __future__ import annotations

import pytest

from tests.packs.system import System


def replica(system: System, table: str, name: str, owner: int, is_lost: str = "0") -> str:
    """A replica of a table, as it is created and then activated; returns its path."""
    path = f"/clickhouse/tables/{table}/replicas/{name}"
    for child, data in (
        ("host", f"host: {name}.example\nport: 9009\ntcp_port: 9000\ndatabase: db\ntable: t\nscheme: http\n"),
        ("log_pointer", "7"),
        ("queue", ""),
        ("parts/all_0_0_0", ""),
        ("flags", ""),
        ("is_lost", is_lost),
        ("metadata", "metadata format version: 1\n"),
        ("columns", "columns format version: 1\n"),
        ("metadata_version", "0"),
    ):
        system.write(f"{path}/{child}", data)
    if owner:
        system.write(f"{path}/is_active", "Server UUID: 1", owner)
    return path


# As by default, by shard, database and table, and flat.
@pytest.mark.parametrize("head", ["0f7c-uuid", "01/db/events", "events"])
def test_clickhouse(head: str) -> None:
    system = System("clickhouse")
    first = replica(system, f"{head}/a", "r1", owner=1)
    second = replica(system, f"{head}/b", "r1", owner=1)
    replica(system, f"{head}/a", "r2", owner=0, is_lost="1")
    for queue, length in ((first, 3), (second, 2)):
        for number in range(length):
            system.write(f"{queue}/queue/queue-000000000{number}", "format version: 4\n")
    for child in ("log/log-0000000001", "blocks/all_1", "mutations", "leader_election", "temp", "quorum"):
        system.write(f"/clickhouse/tables/{head}/a/{child}")
    system.write("/clickhouse/task_queue/ddl/query-0000000001/finished/r1:9000", "0")
    assert system.said == {
        "replicas": {("r1",): 2, ("r2",): 1},
        "active_replicas": {("r1",): 2},
        "lost_replicas": {("r1",): 0, ("r2",): 1},
        "queue": {("r1",): 5, ("r2",): 0},
        "largest_queue": {("r1",): 3, ("r2",): 0},
        "ddl_queries": {(): 1},
    }
    system.delete(f"{first}/is_active")
    assert system.said["active_replicas"] == {("r1",): 1}
