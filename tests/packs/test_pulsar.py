"""Pulsar."""

from __future__ import annotations

import pytest

from tests.packs.system import System

BROKERS = ("pulsar-1.example:8080", "pulsar-2.example:8080")


def test_pulsar() -> None:
    system = System("pulsar")
    for number, broker in enumerate(BROKERS):
        data = {"webServiceUrl": f"http://{broker}", "persistentTopicsEnabled": True}
        system.write(f"/loadbalance/brokers/{broker}", data, owner=number + 1)
    data = {"brokerId": BROKERS[0], "serviceUrl": f"http://{BROKERS[0]}"}
    system.write("/loadbalance/leader", data, owner=1)
    system.write("/loadbalance/bundle-data/public/default/0x00000000_0x40000000", {"topics": 3})
    for bundle in ("0x00000000_0x40000000", "0x40000000_0x80000000"):
        data = {"nativeUrl": "pulsar://pulsar-1.example:6650", "httpUrl": f"http://{BROKERS[0]}"}
        system.write(f"/namespace/public/default/{bundle}", data, owner=1)
    system.write("/admin/policies/public/default", {"bundles": {"numBundles": 4}})
    for topic in ("public/default/persistent/a", "public/default/persistent/b-partition-0", "public/x/persistent/c"):
        system.write(f"/managed-ledgers/{topic}/subscription", b"\x08\x01")
    assert system.said == {
        "brokers": {(): 2},
        "broker_registered_timestamp_seconds": {
            (broker,): system.created(f"/loadbalance/brokers/{broker}") for broker in BROKERS
        },
        "leader_info": {(f"http://{BROKERS[0]}",): 1},
        "leader_owner_changes_total": {(): 0},
        "leader_owner_since_timestamp_seconds": {(): system.created("/loadbalance/leader")},
        "bundles": {("public", "default"): 2},
        "topics": {("public", "default"): 2, ("public", "x"): 1},
    }


@pytest.mark.parametrize("path", ["/loadbalance/leader", "/loadbalance/extension/leader"])
def test_another_leader(path: str) -> None:
    system = System("pulsar")
    for number, broker in enumerate(BROKERS):
        system.write(path, {"brokerId": broker, "serviceUrl": f"http://{broker}"}, owner=number + 1)
        assert system.said["leader_info"] == {(f"http://{broker}",): 1}
        system.delete(path)
    assert system.said["leader_info"] == {}
    assert system.said["leader_owner_changes_total"] == {(): 1}
