"""YARN ResourceManagers."""

from __future__ import annotations

from tests.packs.system import System

#: ActiveRMInfo, a protobuf message.
ACTIVE = b"\n\x07cluster\x12\x03rm1"
ROOT = "/yarn-leader-election/cluster"


def test_yarn() -> None:
    system = System("yarn")
    system.write(f"{ROOT}/ActiveStandbyElectorLock", ACTIVE, owner=1)
    system.write(f"{ROOT}/ActiveBreadCrumb", ACTIVE)
    assert system.said == {
        "cluster": {("cluster",): 1},
        "active_resourcemanager": {("cluster",): 1},
        "active_resourcemanager_since_timestamp_seconds": {
            ("cluster",): system.created(f"{ROOT}/ActiveStandbyElectorLock")
        },
        "resourcemanager_info": {},
        "resourcemanager_owner_changes_total": {("cluster",): 0},
        "resourcemanager_owner_since_timestamp_seconds": {},
        "resourcemanager_candidates": {("cluster",): 0},
    }
    system.delete(f"{ROOT}/ActiveStandbyElectorLock")
    assert system.said["active_resourcemanager"] == {}


def test_curators_elector() -> None:
    system = System("yarn")
    first = f"{ROOT}/_c_0aa8ff5e-5b14-44c0-a1ba-8b8b1b0a1d31-latch-0000000000"
    system.write(first, "rm1", owner=1)
    system.write(f"{ROOT}/_c_5f0b0b4c-8d16-4cc4-9a17-4f6c2f6a8e5d-latch-0000000001", "rm2", owner=2)
    assert system.said["resourcemanager_info"] == {("cluster", "rm1"): 1}
    assert system.said["resourcemanager_candidates"] == {("cluster",): 2}
    assert system.said["active_resourcemanager"] == {}
    system.delete(first)
    assert system.said["resourcemanager_info"] == {("cluster", "rm2"): 1}
    assert system.said["resourcemanager_owner_changes_total"] == {("cluster",): 1}
