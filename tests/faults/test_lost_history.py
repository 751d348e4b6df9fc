"""Servers whose state is older than what a client has seen: lagging ones, restored ones, and wiped ones."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.config.settings import Ensemble as Settings
from exporter.config.settings import Tree
from exporter.daemon.ensemble import WatchedEnsemble, client_options
from exporter.daemon.losthistory import newest_zxid
from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.zookeeper.session import Session
from exporter.zookeeper.stats import LOST_REASONS
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.conftest import Observed, observed, quick_client, started
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import UP, Proxy
from tests.faults.size import size
from tests.replay import Replay, settles
from tests.support import LONG_SESSIONS, eventually, expire

pytestmark = pytest.mark.long

ROOT = "/app"
#: The session timeout of the daemon's client, in seconds.
WATCHING_TIMEOUT = 2.0


class TwoServers:
    """A server, and another one that lags: it has the state of the first at `remember`."""

    def __init__(self) -> None:
        self.present = ZooKeeperServer(tick_time=200, config=LONG_SESSIONS, system_properties=NETTY)
        self.past = ZooKeeperServer(tick_time=200, config=LONG_SESSIONS, system_properties=NETTY)

    def remember(self) -> None:
        """Creates the second server from the first one's data, so that a client can move to it with its session."""
        self.past.start()
        self.past.kill()
        shutil.rmtree(data_of(self.past))
        shutil.copytree(data_of(self.present), data_of(self.past))
        self.past.start()


def data_of(server: ZooKeeperServer) -> Path:
    """The folder of a server's data."""
    return server.directory / "data"


@pytest.fixture
def servers() -> Iterator[TwoServers]:
    """A server that serves, and one that does not run yet."""
    servers = TwoServers()
    with servers.present:
        try:
            yield servers
        finally:
            servers.past.stop()


@pytest.fixture
def seen(servers: TwoServers, strategy: str) -> Iterator[Observed]:
    """A loaded cache at the server, through a proxy."""
    with (
        Proxy(servers.present.port) as proxy,
        observed(proxy, servers.present.hosts, ROOT, strategy, timeout=4.0) as seen,
    ):
        yield seen


def test_deletion_seen_only_as_an_event_before_a_lagging_server(seen: Observed, servers: TwoServers) -> None:
    """The event arrives, but not the answer to the read that it causes: the client may move to a lagging server."""
    servers.remember()
    seen.proxy.stall(UP)
    seen.writer.delete(ROOT + "/a/b")
    eventually(lambda: seen.cache.stats().outstanding_operations > 0)
    seen.proxy.target = servers.past.port
    seen.proxy.cut()
    seen.proxy.heal()
    eventually(lambda: seen.cache.stats().syncs["reconnect"] == 1 and seen.cache.stats().pending_paths == 0)
    with started(quick_client(servers.past.hosts)) as past:
        assert settles(seen.cache, seen.replay, past, ROOT)
    seen.proxy.target = servers.present.port
    seen.proxy.cut()
    assert seen.settles()
    assert seen.replay.kinds[TreeEvent.NODE_REMOVED] == 1


def test_published_deletion_does_not_come_back_at_a_lagging_server(seen: Observed, servers: TwoServers) -> None:
    """ZooKeeper ensures this: a server refuses a client that has seen later transactions."""
    servers.remember()
    seen.writer.delete(ROOT + "/a/b")
    eventually(lambda: seen.replay.kinds[TreeEvent.NODE_REMOVED] == 1)
    accepted = seen.proxy.accepted
    seen.proxy.target = servers.past.port
    seen.proxy.cut()
    eventually(lambda: seen.proxy.accepted >= accepted + 2)
    assert ROOT + "/a/b" not in seen.cache
    seen.proxy.target = servers.present.port
    assert seen.settles()
    assert seen.replay.kinds[TreeEvent.NODE_REMOVED] == 1


def test_new_session_at_a_server_restored_from_a_backup(seen: Observed, servers: TwoServers) -> None:
    """A new session has seen no transactions: the cache goes back to the older state, and publishes the changes."""
    servers.remember()
    seen.writer.delete(ROOT + "/a/b")
    seen.writer.set(ROOT + "/c", b"newer")
    eventually(lambda: seen.replay.kinds[TreeEvent.NODE_UPDATED] == 1)
    client_id = seen.client.client_id
    seen.proxy.refuse()
    seen.proxy.cut()
    expire(client_id, servers.past.hosts)
    with started(quick_client(servers.past.hosts)) as past:
        for number in range(20):
            past.create(f"{ROOT}/{number}")
        seen.proxy.target = servers.past.port
        seen.proxy.heal()
        eventually(lambda: seen.replay.kinds[TreeEvent.INITIALIZED] == 2, timeout=20)
        assert settles(seen.cache, seen.replay, past, ROOT)


def test_server_wiped_and_restarted_empty(strategy: str) -> None:
    """It refuses a client that has seen later transactions, until it has caught up: then the session is over.

    This is the same with and without a cache, since the session belongs to the application.
    """
    replay = Replay()
    with (
        ZooKeeperServer(tick_time=200, config=LONG_SESSIONS, system_properties=NETTY) as server,
        started(quick_client(server.hosts)) as client,
    ):
        for number in range(20):
            client.ensure_path(f"{ROOT}/{number}")
        cache = TreeCache(client, ROOT, mode=strategy)
        cache.listen(replay)
        with cache:
            assert cache.wait_initialized(60)
            session = Session.attach(client)
            wipe_server(server)
            hung_up = session.stats().connection_failures["hung_up"]
            eventually(lambda: session.stats().connection_failures["hung_up"] >= hung_up + 3)
            assert sum(session.stats().sessions_lost.values()) == 0
            with started(KazooClient(server.hosts)) as writer:
                writer.ensure_path(f"{ROOT}/back")
                while writer.last_zxid <= client.last_zxid and client.last_zxid:
                    writer.set(ROOT, b"")
                eventually(lambda: replay.kinds[TreeEvent.INITIALIZED] == 2, timeout=30)
                assert settles(cache, replay, writer, ROOT)
    assert replay.kinds[TreeEvent.CONNECTION_LOST] == 1
    assert session.stats().sessions_lost == {**dict.fromkeys(LOST_REASONS, 0), "expired": 1}


def test_the_daemon_gives_its_session_up_where_the_ensemble_was_wiped() -> None:
    """Its zxids begin with the epoch, so it may never catch up with the client's last zxid."""
    with Ensemble() as ensemble:
        ensemble.leader.kill()
        ensemble.heal()
        with structlog.testing.capture_logs() as logged, watching(ensemble.hosts) as watched:
            before = watched.source.client.stats()
            wipe_ensemble(ensemble)
            eventually(lambda: watched.source.client.stats().sessions_lost["given_up"] == 1, timeout=60)
            eventually(lambda: watched.source.caches["app"].stats().initialized, timeout=60)
            assert watched.source.client.stats().sessions_lost["expired"] == 0
            with started(quick_client(ensemble.hosts)) as writer:
                writer.ensure_path(f"{ROOT}/back")
            eventually(lambda: sum(watched.source.caches["app"].stats().nodes.values()) == 2)
        (lost,) = (entry for entry in logged if entry["event"] == "session lost")
        assert (lost["session"], lost["reason"]) == (before.session_id, "given_up")
        assert 0 < lost["disconnected_seconds"] < lost["session_seconds"]
        assert [entry["event"] for entry in logged if entry["log_level"] == "warning"] == [
            "ensemble lost its history",
            "session lost",
        ]


def test_the_daemon_keeps_its_session_where_only_the_quorum_is_lost() -> None:
    """A server without a quorum also refuses clients: however long that lasts, it is no evidence of a lost history."""
    with Ensemble() as ensemble, watching(ensemble.hosts) as watched:
        before = watched.source.client.stats()
        ensemble.lose_quorum()
        eventually(lambda: watched.source.client.stats().state == "suspended")
        hung_up = before.connection_failures["hung_up"]
        # Time for several answers that are not evidence.
        wait_until = time.monotonic() + size(4, 40) * WATCHING_TIMEOUT
        eventually(lambda: time.monotonic() > wait_until, timeout=size(4, 40) * WATCHING_TIMEOUT + 10)
        assert watched.source.client.stats().connection_failures["hung_up"] >= hung_up + 3
        ensemble.heal()
        eventually(lambda: watched.source.client.stats().state == "connected", timeout=60)
        after = watched.source.client.stats()
        assert (after.session_id, sum(after.sessions_lost.values())) == (before.session_id, 0)


def test_the_newest_transaction_of_an_ensemble(zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client = client_factory()
    client.create("/a")
    children = client.get_children("/")
    options = client_options(Settings("main", zookeeper.hosts, ()))
    before = client.last_zxid
    newest = newest_zxid(options, threading.Event())
    assert newest > before
    assert newest_zxid({**options, "hosts": zookeeper.hosts + "/missing"}, threading.Event()) > newest
    assert client.get_children("/") == children


@contextlib.contextmanager
def watching(hosts: str) -> Iterator[WatchedEnsemble]:
    """The daemon's part for an ensemble, with one loaded tree `app`."""
    watched = WatchedEnsemble(Settings("main", hosts, (Tree("app", ROOT),), WATCHING_TIMEOUT))
    watched.start()
    try:
        eventually(lambda: watched.source.caches["app"].stats().initialized, timeout=60)
        yield watched
    finally:
        watched.stop()


def wipe_server(server: ZooKeeperServer) -> None:
    """Kills a server and restarts it without data."""
    server.kill()
    shutil.rmtree(data_of(server))
    server.start()


def wipe_ensemble(ensemble: Ensemble) -> None:
    """Kills all members and restarts them without data."""
    for member in ensemble.members:
        member.kill()
        member.wipe()
    ensemble.heal()
