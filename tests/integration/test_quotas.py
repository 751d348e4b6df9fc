"""Quotas of a real ensemble: what is used and allowed, by the servers' own count."""

from __future__ import annotations

from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl

from exporter.demo.server import ZooKeeperServer
from exporter.telemetry.quotas import FORBIDDEN, INTERVAL, QuotasCollector
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
    samples = [sample for family in QuotasCollector(sources).collect() for sample in family.samples]
    assert {sample.labels["ensemble"] for sample in samples} == {"good"}


def test_what_is_forbidden_is_not_asked_for_again_soon(client: KazooClient) -> None:
    """Each refusal counts as a failed request, for which an alert fires."""
    session, asked, now = Session.attach(client), [], [1000.0]

    def refuse() -> dict[str, Quota]:
        asked.append(now[0])
        raise NoAuthError

    collector = QuotasCollector([EnsembleSource("main", session, {}, quotas=refuse)], lambda: now[0])
    for _ in range(4):
        list(collector.collect())
        now[0] += FORBIDDEN / 2
    assert asked == [1000.0, 1000.0 + FORBIDDEN]


def test_quotas_are_read_once_a_minute_and_shown_meanwhile(client: KazooClient) -> None:
    session, asked, now = Session.attach(client), [], [1000.0]

    def read() -> dict[str, Quota]:
        asked.append(now[0])
        return {"/app": Quota(1, 2)}

    collector = QuotasCollector([EnsembleSource("main", session, {}, quotas=read)], lambda: now[0])
    for _ in range(4):
        assert sum(len(family.samples) for family in collector.collect()) == 2
        now[0] += INTERVAL / 2
    assert asked == [1000.0, 1000.0 + INTERVAL]


def test_a_quota_that_may_not_be_read_is_left_out(client: KazooClient) -> None:
    limit(client, "/app", b"count=5,bytes=-1")
    limit(client, "/locked", b"count=5,bytes=-1")
    client.set_acls(f"{quotas.ROOT}/locked/{quotas.LIMITS}", [make_digest_acl("reader", "secret", read=True)])
    assert quotas.read(client)["/app"].nodes_limits == {"soft": 5}
    assert quotas.read(client)["/locked"].nodes_limits == {}


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
