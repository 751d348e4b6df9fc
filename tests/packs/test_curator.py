"""Curator's service discovery, as Spring Cloud ZooKeeper uses it."""

from __future__ import annotations

from typing import Any

from tests.packs.system import System

FIRST, SECOND = "b1d1a1de-7d0b-4a5c-9d1d-2f8f4b7a1c11", "0c9a6f0e-1b6c-4c1f-8f0a-7a4b8f3f2d22"


def instance(service: str, number: str) -> dict[str, Any]:
    """As Curator's serializer writes it, with Spring Cloud's payload."""
    payload = {
        "@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
        "id": service,
        "name": service,
        "metadata": {"instance_status": "UP"},
    }
    return {
        "name": service,
        "id": number,
        "address": "10.0.0.1",
        "port": 8080,
        "sslPort": None,
        "payload": payload,
        "registrationTimeUTC": 1700000000000,
        "serviceType": "DYNAMIC",
        "uriSpec": {"parts": [{"value": "scheme", "variable": True}]},
    }


def test_curator() -> None:
    system = System("curator")
    for number, (service, name) in enumerate((("web", FIRST), ("web", SECOND), ("shop", FIRST))):
        system.write(f"/services/{service}/{name}", instance(service, name), owner=number + 1)
    # Of the type STATIC.
    system.write("/services/mail/relay", instance("mail", "relay"))
    assert system.said == {
        "services": {(): 3},
        "instances": {("web",): 2, ("shop",): 1},
        "newest_instance_timestamp_seconds": {
            ("web",): system.created(f"/services/web/{SECOND}"),
            ("shop",): system.created(f"/services/shop/{FIRST}"),
        },
        "instance_changes_total": {("web",): 2, ("shop",): 1, ("mail",): 1},
    }
    system.delete(f"/services/web/{SECOND}")
    assert system.said["instances"] == {("web",): 1, ("shop",): 1}
    assert system.said["instance_changes_total"][("web",)] == 3
