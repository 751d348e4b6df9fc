"""Patroni."""

from __future__ import annotations

from typing import Any

from tests.packs.system import System


def member(number: int, role: str, state: str = "running") -> dict[str, Any]:
    return {
        "conn_url": f"postgres://10.0.0.{number}:5432/postgres",
        "api_url": f"http://10.0.0.{number}:8008/patroni",
        "state": state,
        "role": role,
        "version": "4.1.0",
        "xlog_location": 67108960,
        "timeline": 1,
    }


def test_patroni() -> None:
    system = System("patroni")
    system.write("/service/main/initialize", "7300000000000000000")
    system.write("/service/main/config", {"ttl": 30, "loop_wait": 10, "retry_timeout": 10})
    system.write("/service/main/members/pg-1", member(1, "primary"), owner=1)
    system.write("/service/main/members/pg-2", member(2, "replica"), owner=2)
    system.write("/service/main/leader", "pg-1", owner=1)
    system.write("/service/main/status", {"optime": 67108960, "slots": {"pg-1": 67108960}, "retain_slots": ["pg-1"]})
    system.write("/service/main/history", "[]")
    system.write("/service/main/sync", "{}")
    system.write("/service/main/failover", "")
    assert system.said == {
        "initialized": {("main",): 1},
        "leader_info": {("main", "pg-1"): 1},
        "leader_owner_changes_total": {("main",): 0},
        "leader_owner_since_timestamp_seconds": {("main",): system.created("/service/main/leader")},
        "members": {("main",): 2},
        "member_info": {("main", "pg-1", "primary", "running"): 1, ("main", "pg-2", "replica", "running"): 1},
        "wal_position_bytes": {("main",): 67108960},
    }


def test_a_failover() -> None:
    system = System("patroni")
    for number, role in ((1, "primary"), (2, "replica")):
        system.write(f"/service/main/members/pg-{number}", member(number, role), owner=number)
    system.write("/service/main/leader", "pg-1", owner=1)
    system.delete("/service/main/leader")
    system.delete("/service/main/members/pg-1")
    assert system.said["leader_info"] == {}
    assert system.said["members"] == {("main",): 1}
    system.write("/service/main/leader", "pg-2", owner=2)
    assert system.said["leader_info"] == {("main", "pg-2"): 1}
    assert system.said["leader_owner_changes_total"] == {("main",): 1}
    system.write("/service/main/members/pg-1", member(1, "replica", "starting"), owner=3)
    assert ("main", "pg-1", "replica", "starting") in system.said["member_info"]
