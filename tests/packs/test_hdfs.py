"""HDFS failover controllers."""

from __future__ import annotations

from tests.packs.system import System

#: ActiveNodeInfo, a protobuf message.
NAMENODE = b"\n\x09mycluster\x12\x03nn1\x1a\x06host-1 \xd4>(\xd3>"
LOCK = "/hadoop-ha/mycluster/ActiveStandbyElectorLock"


def test_hdfs() -> None:
    system = System("hdfs")
    system.write(LOCK, NAMENODE, owner=1)
    system.write("/hadoop-ha/mycluster/ActiveBreadCrumb", NAMENODE)
    system.write("/hadoop-ha/other")
    assert system.said == {
        "nameservice": {("mycluster",): 1, ("other",): 1},
        "active_namenode": {("mycluster",): 1},
        "active_namenode_since_timestamp_seconds": {("mycluster",): system.created(LOCK)},
    }
    first = system.created(LOCK)
    system.delete(LOCK)
    assert system.said["active_namenode"] == {}
    system.write(LOCK, NAMENODE, owner=2)
    assert system.said["active_namenode_since_timestamp_seconds"][("mycluster",)] > first
