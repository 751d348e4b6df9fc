"""Servers whose state is older than what a client has seen: lagging ones, restored ones, and wiped ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter import TreeCache, TreeEvent
from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.zookeeper import session
from tests.faults.conftest import Observed, expire, observed, quick_client, started
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import UP, Proxy
from tests.replay import Replay, settles
from tests.support import eventually

ROOT = "/app"


class TwoServers:
    """A server, and another that lags: it stands where the first one stood at `remember`."""

    def __init__(self) -> None:
        self.present = ZooKeeperServer(tick_time=200, system_properties=NETTY)
        self.past = ZooKeeperServer(tick_time=200, system_properties=NETTY)

    def remember(self) -> None:
        """Makes the second server, which a client can go to with its session, from what the first has on disk."""
        self.past.start()
        self.past.kill()
        shutil.rmtree(data_of(self.past))
        shutil.copytree(data_of(self.present), data_of(self.past))
        self.past.start()


def data_of(server: ZooKeeperServer) -> Path:
    """Where a server's data is."""
    return server.directory / "data"


@pytest.fixture
def servers() -> Iterator[TwoServers]:
    """A server that serves, and one that does not yet."""
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
    """The event arrives, the answer to the read that it calls for does not: the client may go to a server that lags."""
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


def test_deletion_that_was_told_does_not_come_back_at_a_lagging_server(seen: Observed, servers: TwoServers) -> None:
    """ZooKeeper itself sees to it: a server does not take a client that has seen more than the server has."""
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
    """With a new session the client has seen nothing: what was told before is undone, and told."""
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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that servers hang up on are given up after two session timeouts, not after ten."""
    monkeypatch.setattr(session, "_SESSION_GIVEN_UP_AFTER", 2.0)


@pytest.mark.usefixtures("impatient")
def test_server_wiped_and_restarted_empty(strategy: str) -> None:
    """It hangs up on a client that has seen more than it has; the client then begins a new session."""
    with ZooKeeperServer(tick_time=200, system_properties=NETTY) as server:
        follows_a_wipe(server.hosts, strategy, lambda: wipe_server(server))


@pytest.mark.usefixtures("impatient")
def test_ensemble_wiped_and_restarted_empty() -> None:
    """Its zxids begin with the epoch, so it may never catch up with what the client has seen."""
    with Ensemble() as ensemble:
        ensemble.leader.kill()
        ensemble.heal()
        follows_a_wipe(ensemble.hosts, "recursive", lambda: wipe_ensemble(ensemble))


def wipe_server(server: ZooKeeperServer) -> None:
    """Kills a server and starts it with nothing."""
    server.kill()
    shutil.rmtree(data_of(server))
    server.start()


def wipe_ensemble(ensemble: Ensemble) -> None:
    """Kills every member and starts them with nothing."""
    for member in ensemble.members:
        member.kill()
        member.wipe()
    ensemble.heal()


def follows_a_wipe(hosts: str, strategy: str, wipe: Callable[[], None]) -> None:
    """A cache that lives through a wipe ends up with what there is afterwards."""
    replay = Replay()
    with started(quick_client(hosts)) as client:
        for number in range(20):
            client.ensure_path(f"{ROOT}/{number}")
        cache = TreeCache(client, ROOT, mode=strategy)
        cache.listen(replay)
        with cache:
            assert cache.wait_initialized(10)
            assert len(cache) == 21
            wipe()
            eventually(lambda: replay.kinds[TreeEvent.INITIALIZED] == 2, timeout=30)
            assert len(cache) == 0
            client.ensure_path(f"{ROOT}/back")
            assert settles(cache, replay, client, ROOT)
    assert replay.kinds[TreeEvent.CONNECTION_LOST] == 1
