"""The metrics of a session are right in every event of its life, which the tests cause."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from prometheus_client import CollectorRegistry

from exporter import TreeCache, TreeEvent, instrument
from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.session import Session
from exporter.zookeeper.statechange import StateChange
from tests.conftest import ZooKeeper
from tests.faults.conftest import quick_client
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import DOWN, Proxy
from tests.support import eventually, expire

#: Seconds, long enough that a stalled machine does not end a session that is meant to last.
TIMEOUT = 4.0
#: Seconds, for sessions that are meant to expire.
SHORT_TIMEOUT = 1.5


class Metrics:
    """The `zookeeper_client_*` metrics of one client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def __call__(self, name: str, **labels: str) -> float:
        value = self._registry.get_sample_value(f"zookeeper_client_{name}", {"ensemble": "default", **labels})
        assert value is not None, f"no sample {name} {labels}"
        return value

    def by(self, name: str, label: str) -> dict[str, float]:
        """The non-zero samples of a metric, by a label's values."""
        samples = (sample for family in self._registry.collect() for sample in family.samples)
        return {s.labels[label]: s.value for s in samples if s.name == f"zookeeper_client_{name}" and s.value}

    def state(self) -> str:
        """The state whose sample is 1."""
        (state,) = self.by("state", "state")
        assert self("up") == (state in ("connected", "connected_ro"))
        return state

    def server(self) -> str | None:
        """The server in the metrics."""
        return next(iter(self.by("session_info", "server")), None)


@contextmanager
def measured(client: KazooClient) -> Iterator[Metrics]:
    """The metrics of a client that is not started yet; the client is stopped afterwards."""
    registry = CollectorRegistry()
    with instrument(client, registry=registry):
        try:
            yield Metrics(registry)
        finally:
            client.stop()
            client.close()


@contextmanager
def connected(hosts: str, timeout: float = TIMEOUT) -> Iterator[tuple[KazooClient, Metrics]]:
    """The metrics of a started client, recorded since before its start."""
    client = quick_client(hosts, timeout)
    with measured(client) as metrics:
        client.start()
        yield client, metrics


def test_from_before_the_first_connection_to_the_end_of_the_last(zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts, timeout=TIMEOUT)
    with measured(client) as metrics:
        assert metrics.state() == "connecting"
        assert metrics.server() is None
        assert metrics("session_start_timestamp_seconds") == metrics("last_heard_timestamp_seconds") == 0
        assert metrics("session_deadline_timestamp_seconds") == metrics("session_timeout_seconds") == 0

        before = time.time()
        client.start()
        client.create("/a")
        assert metrics.state() == "connected"
        assert metrics.server() == zookeeper.server.hosts
        assert metrics("session_timeout_seconds") == TIMEOUT
        assert before <= metrics("session_start_timestamp_seconds") <= metrics("last_heard_timestamp_seconds")
        assert metrics("last_zxid") >= client.get("/a")[1].czxid

        with TreeCache(client, "/a") as cache:
            assert cache.wait_initialized(10)
            assert metrics.by("watches", "kind") == {"recursive": 1}

        client.stop()
        assert metrics.state() == "lost"
        assert metrics.server() is None
        assert metrics.by("state_transitions_total", "state") == {"connected": 1, "lost": 1}
        assert metrics.by("sessions_lost_total", "reason") == {}
        assert metrics("requests_outstanding") == metrics("oldest_request_age_seconds") == 0


def test_pings_alone_keep_the_session_from_looking_dead(zookeeper: ZooKeeper) -> None:
    with connected(zookeeper.hosts) as (client, metrics):
        requests = metrics("request_duration_seconds_count", operation="getData")
        start, deadline = metrics("session_start_timestamp_seconds"), metrics("session_deadline_timestamp_seconds")
        eventually(lambda: time.time() > deadline + 0.1)
        assert client.connected
        assert metrics("session_deadline_timestamp_seconds") > time.time()
        assert metrics("request_duration_seconds_count", operation="ping") >= 2
        assert metrics("request_duration_seconds_count", operation="getData") == requests
        assert metrics("session_start_timestamp_seconds") == pytest.approx(start, abs=0.05)


def test_a_server_that_stops_answering_shows_before_the_connection_is_given_up(zookeeper: ZooKeeper) -> None:
    with (
        Proxy(zookeeper.server.port) as proxy,
        connected(proxy.hosts + zookeeper.root, SHORT_TIMEOUT) as (client, metrics),
    ):
        proxy.stall(DOWN)
        client.get_async("/")
        eventually(lambda: metrics("oldest_request_age_seconds") > 0.2)
        assert metrics("requests_outstanding") >= 1
        assert time.time() - metrics("last_heard_timestamp_seconds") > 0.2
        eventually(lambda: metrics.state() == "suspended")
        assert metrics("requests_outstanding") == metrics("oldest_request_age_seconds") == 0
        assert metrics("request_errors_total", operation="getData", error="CONNECTIONLOSS") == 1


def test_a_session_that_is_very_likely_gone_is_overdue_until_that_is_confirmed(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy, connected(proxy.hosts + zookeeper.root, SHORT_TIMEOUT) as (_, metrics):
        start = metrics("session_start_timestamp_seconds")
        assert metrics("session_deadline_timestamp_seconds") > time.time()
        proxy.refuse()
        proxy.cut()
        eventually(lambda: metrics.state() == "suspended")
        assert metrics.server() is None
        # The server expires sessions once per tick, so it has done so by then.
        eventually(lambda: time.time() > metrics("session_deadline_timestamp_seconds") + 1)
        assert metrics.state() == "suspended"
        assert metrics.by("sessions_lost_total", "reason") == {}
        assert metrics("connection_failures_total", reason="refused") >= 1

        proxy.heal()
        eventually(lambda: metrics.state() == "connected")
        assert metrics.by("sessions_lost_total", "reason") == {"expired": 1}
        assert metrics.by("state_transitions_total", "state") == {"connected": 2, "suspended": 1, "lost": 1}
        assert metrics("session_start_timestamp_seconds") > start + 1
        assert metrics("session_deadline_timestamp_seconds") > time.time()


def test_another_server_goes_on_with_the_session() -> None:
    with Ensemble() as ensemble:
        client = quick_client(ensemble.hosts, TIMEOUT)
        with measured(client) as metrics:
            client.start()
            session, start = client.client_id, metrics("session_start_timestamp_seconds")
            first = metrics.server()
            assert first is not None
            ensemble.serving(first).kill()
            eventually(lambda: metrics.server() not in (None, first), timeout=20)
            assert metrics.state() == "connected"
            assert client.client_id == session
            assert metrics("session_start_timestamp_seconds") == pytest.approx(start, abs=0.05)
            assert metrics("state_transitions_total", state="suspended") >= 1
            assert metrics.by("sessions_lost_total", "reason") == {}


def test_a_server_without_a_quorum_hangs_up() -> None:
    with Ensemble() as ensemble:
        client = quick_client(ensemble.hosts, TIMEOUT)
        with measured(client) as metrics:
            client.start()
            assert metrics("connection_failures_total", reason="hung_up") == 0
            ensemble.lose_quorum()
            eventually(lambda: metrics("connection_failures_total", reason="hung_up") >= 3)
            assert metrics("connection_failures_total", reason="other") == 0
            assert metrics.state() == "suspended"
            ensemble.heal()
            eventually(lambda: metrics.state() == "connected", timeout=60)
            assert metrics.by("sessions_lost_total", "reason") == {}


def test_a_cache_takes_a_session_that_was_replaced_for_a_lost_one(zookeeper: ZooKeeper) -> None:
    """The ephemeral znodes of the old session disappear, and the cache reports it as after an expiry."""
    with Proxy(zookeeper.server.port) as proxy, connected(proxy.hosts + zookeeper.root) as (client, metrics):
        client.ensure_path("/app/services")
        client.create("/app/services/mine", ephemeral=True)
        cache = TreeCache(client, "/app")
        kinds: list[int] = []
        cache.listen(lambda event: kinds.append(event.event_type))
        with cache:
            assert cache.wait_initialized(20)
            proxy.forgets_sessions = True
            proxy.cut()
            eventually(lambda: cache.stats().syncs["session_lost"] == 1 and cache.initialized)
            assert metrics.by("sessions_lost_total", "reason") == {"replaced": 1}
            assert cache.stats().syncs["reconnect"] == 0
            lost = [TreeEvent.CONNECTION_SUSPENDED, TreeEvent.CONNECTION_LOST, TreeEvent.CONNECTION_RECONNECTED]
            eventually(lambda: [kind for kind in kinds if kind in lost] == lost)
            # Nobody resumes the old session, so the server expires it.
            eventually(lambda: cache.get_data("/app/services/mine") is None)
            assert client.exists("/app/services/mine") is None


def test_an_expired_session_is_followed_by_another(zookeeper: ZooKeeper) -> None:
    with connected(zookeeper.hosts) as (client, metrics):
        start = metrics("session_start_timestamp_seconds")
        expire(client.client_id, zookeeper.hosts)
        eventually(lambda: metrics.by("sessions_lost_total", "reason") == {"expired": 1})
        eventually(lambda: metrics.state() == "connected")
        assert metrics("session_start_timestamp_seconds") > start
        assert metrics("request_errors_total", operation="createSession", error="SESSIONEXPIRED") == 1


def test_refused_credentials_end_the_session_for_good(zookeeper: ZooKeeper) -> None:
    with connected(zookeeper.hosts) as (client, metrics):
        with pytest.raises(AuthFailedError):
            client.add_auth("no-such-scheme", "x")
        eventually(lambda: metrics.by("sessions_lost_total", "reason") == {"auth_failed": 1})
        eventually(lambda: metrics.by("state_transitions_total", "state") == {"connected": 1, "lost": 1})
        assert metrics.state() == "lost"
        assert metrics.server() is None


def silence(server: ZooKeeperServer) -> dict[str, Any]:
    server.suspend()
    return {"timeout": SHORT_TIMEOUT}


def test_a_client_is_connected_once_a_server_accepts_its_credentials(zookeeper: ZooKeeper) -> None:
    auth = 100
    with Proxy(zookeeper.server.port) as proxy:
        client = quick_client(proxy.hosts + zookeeper.root)
        client.add_auth_async("digest", "user:password")
        changes: list[StateChange] = []
        Session.attach(client).listen(changes.append)

        def failures() -> float:
            return metrics("connection_failures_total", reason="hung_up")

        with measured(client) as metrics:
            proxy.refuse_requests({auth}, None, close=True)
            client.start_async()
            eventually(lambda: failures() >= 3)
            assert metrics.state() == "connecting"
            assert not changes

            proxy.refuse_requests(set(), None, close=False)
            eventually(lambda: metrics.state() == "connected")
            assert metrics.server() == proxy.hosts

            failed = failures()
            proxy.refuse_requests({auth}, None, close=True)
            proxy.cut()
            eventually(lambda: failures() >= failed + 3)
            assert metrics.state() == "suspended"
            assert metrics.server() is None
            assert [change.state for change in changes] == ["connected", "suspended"]
            assert metrics.by("state_transitions_total", "state") == {"connected": 1, "suspended": 1}


@pytest.mark.parametrize(
    ("reason", "hinder"),
    [("timeout", silence), ("tls", lambda _server: {"use_ssl": True, "verify_certs": False})],
)
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_why_connections_fail(
    own_zookeeper: ZooKeeperServer, reason: str, hinder: Callable[[ZooKeeperServer], dict[str, Any]]
) -> None:
    client = KazooClient(own_zookeeper.hosts, **hinder(own_zookeeper))
    with measured(client) as metrics:
        client.start_async()
        eventually(lambda: metrics("connection_failures_total", reason=reason) >= 1)
        assert metrics.by("connection_failures_total", "reason").keys() == {reason}
        assert metrics("connection_attempts_total") >= 1
        assert metrics.state() == "connecting"
        own_zookeeper.kill()
    del client
    # kazoo leaves sockets of failed handshakes to the garbage collector.
    gc.collect()
