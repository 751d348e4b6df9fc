"""Quotas of a real ensemble: what is used and allowed, by the servers' own count."""

from __future__ import annotations

from pathlib import Path

import pytest
from kazoo.client import KazooClient

from exporter.demo.server import ZooKeeperServer
from exporter.telemetry.quotas import QuotasCollector
from exporter.telemetry.sources import EnsembleSource
from exporter.zookeeper import quotas
from exporter.zookeeper.quotas import MOST_QUOTAS, Quota
from exporter.zookeeper.session import Session
from tests.conftest import ClientFactory
from tests.integration.processes import configured_exporter
from tests.support import eventually


def limit(client: KazooClient, path: str, limits: bytes) -> None:
    """Makes a quota as zkCli's setquota does."""
    client.create(f"{quotas.ROOT}{path}/{quotas.LIMITS}", limits, makepath=True)
    client.create(f"{quotas.ROOT}{path}/{quotas.STATS}", b"count=0,bytes=0")


@pytest.fixture
def client(own_zookeeper: ZooKeeperServer, client_factory: ClientFactory) -> KazooClient:
    """A client without a chroot, since quotas are outside of it."""
    return client_factory(own_zookeeper.hosts)


def test_what_is_used_is_what_the_servers_count(client: KazooClient) -> None:
    assert quotas.read(client) == {}
    client.create("/app/deep", b"123", makepath=True)
    limit(client, "/app", b"count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1")
    limit(client, "/app/deep", b"count=-1,bytes=10")
    client.create("/app/other", b"12345")
    eventually(lambda: quotas.read(client)["/app"].bytes > 0)
    found = quotas.read(client)
    assert found["/app/deep"].bytes_limits == {"soft": 10}
    assert found["/app"].nodes_limits == {"soft": 5}
    assert found["/app"].bytes_limits == {"hard": 100}
    assert list(found) == ["/app", "/app/deep"]


def test_no_more_than_a_hundred_are_read(client: KazooClient) -> None:
    for number in range(MOST_QUOTAS + 5):
        limit(client, f"/many-{number:03}", b"count=1,bytes=-1")
    found = quotas.read(client)
    assert len(found) == MOST_QUOTAS
    assert found["/many-000"] == Quota(0, 0, {"soft": 1})


def test_a_client_with_a_chroot_has_none() -> None:
    assert quotas.read(KazooClient("127.0.0.1:1/app")) == {}


def test_an_ensemble_that_cannot_be_asked_concerns_no_other(client: KazooClient) -> None:
    limit(client, "/app", b"count=1,bytes=-1")
    session = Session.attach(client)

    def refuse() -> dict[str, Quota]:
        raise RuntimeError

    sources = [
        EnsembleSource("bad", session, {}, quotas=refuse),
        EnsembleSource("down", Session.attach(KazooClient()), {}, quotas=refuse),
        EnsembleSource("off", session, {}),
        EnsembleSource("good", session, {}, quotas=lambda: quotas.read(client)),
    ]
    collector = QuotasCollector(sources, interval=60)
    samples = [sample for family in collector.collect() for sample in family.samples]
    assert {sample.labels["ensemble"] for sample in samples} == {"good"}
    # Somebody did not answer: it asks again soon.
    assert collector.pause() < 60
    good = QuotasCollector(sources[-1:], interval=60)
    assert len(list(good.collect())) == 4
    assert good.pause() == 60


def test_the_daemon_shows_them(tmp_path: Path, client: KazooClient, own_zookeeper: ZooKeeperServer) -> None:
    client.create("/app", b"123")
    limit(client, "/app", b"count=5,bytes=-1")
    (config := tmp_path / "config.yml").write_text(
        f"ensembles: [{{name: main, hosts: '{own_zookeeper.hosts}', trees: [{{path: /app}}]}}]"
    )
    with configured_exporter(config) as exporter:
        labels = {"ensemble": "main", "quota": "/app"}
        eventually(lambda: "zookeeper_quota_nodes{" in exporter.get("/metrics").text)
        assert exporter.metric("zookeeper_quota_nodes_limit", kind="soft", **labels) == 5
        assert "zookeeper_quota_limit_bytes{" not in exporter.get("/metrics").text
