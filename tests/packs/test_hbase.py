"""HBase."""

from __future__ import annotations

from tests.packs.system import System

#: What protobuf data begins with (ProtobufUtil.PB_MAGIC), and a message.
MESSAGE = b"PBUF\n\x1b\n\x06host-1\x10\x80}\x18\xef\x8f\xa0\xfa\xb61\x10\x8a}"


def master(system: System, owner: int) -> None:
    # RecoverableZooKeeper puts who wrote it before the data.
    system.write("/hbase/master", b"\xff\x00\x00\x00\x0cmaster:16000" + MESSAGE, owner)


def test_hbase() -> None:
    system = System("hbase")
    system.write("/hbase/hbaseid", MESSAGE)
    system.write("/hbase/running", MESSAGE)
    servers = ("host-1,16020,1700000000001", "host-2,16020,1700000000002", "host-2,16020,1700000000099")
    for number, server in enumerate(servers):
        system.write(f"/hbase/rs/{server}", MESSAGE, owner=10 + number)
    master(system, 1)
    system.write("/hbase/backup-masters/host-3,16000,1700000000003", MESSAGE, owner=2)
    system.write("/hbase/draining/host-1,16020,1700000000001")
    system.write("/hbase/region-in-transition/d3f1e2a0b4c5d6e7f8091a2b3c4d5e6f", MESSAGE)
    queue = f"/hbase/replication/rs/{servers[0]}"
    for log in ("host-1%2C16020%2C1700000000001.1700000000101", "host-1%2C16020%2C1700000000001.1700000000102"):
        system.write(f"{queue}/1/{log}", MESSAGE)
    system.write(f"{queue}/2", b"")
    # As one that two servers left, one after the other.
    system.write(f"{queue}/1-host-9,16020,1-host-8,16020,2/host-9%2C16020%2C1.5", MESSAGE)
    assert system.said == {
        "regionservers": {(): 3},
        "regionserver_registered_timestamp_seconds": {
            ("host-1", "16020"): system.created(f"/hbase/rs/{servers[0]}"),
            ("host-2", "16020"): system.created(f"/hbase/rs/{servers[2]}"),
        },
        "active_master": {(): 1},
        "active_master_since_timestamp_seconds": {(): system.created("/hbase/master")},
        "backup_masters": {(): 1},
        "draining_regionservers": {(): 1},
        "regions_in_transition": {(): 1},
        "replication_logs": {("1",): 2},
        "replication_recovered_logs": {("1",): 1},
    }


def test_another_master() -> None:
    system = System("hbase")
    assert system.said["active_master"] == {(): 0}
    master(system, 1)
    first = system.said["active_master_since_timestamp_seconds"]
    system.delete("/hbase/master")
    assert system.said["active_master"] == {(): 0}
    assert system.said["active_master_since_timestamp_seconds"] == {}
    master(system, 2)
    assert system.said["active_master"] == {(): 1}
    assert system.said["active_master_since_timestamp_seconds"][()] > first[()]


def test_servers_that_may_not_be_read_are_counted() -> None:
    """In a secured cluster everyone may read which region servers there are, but not the znodes of these."""
    system = System("hbase")
    for number in (1, 2):
        system.write(f"/hbase/rs/host-{number},16020,1700000000001", MESSAGE, owner=number)
        system.hide(f"/hbase/rs/host-{number},16020,1700000000001")
    counts = {snapshot.rule.name: dict(snapshot.series[0][1]) for snapshot in system.view.snapshots()}
    assert counts["hbase_regionservers"] == {(): 2}
    assert counts["hbase_regionserver_registered"] == {}
