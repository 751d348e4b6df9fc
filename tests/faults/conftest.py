"""Fixtures of the tests of faults: clients that notice faults quickly, a proxy, and a cache observed through it."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from exporter import TreeCache, TreeEvent
from exporter.treecache import placement
from tests.conftest import ZooKeeper
from tests.faults.proxy import Proxy
from tests.faults.size import SOAK
from tests.replay import Replay, settles
from tests.support import eventually

#: Seconds of a session. A client notices a silent server after two thirds of them: tests of silence take the brief one.
#: Others take the long one, which outlasts a moment in which the machine stands still.
BRIEF_SESSION, LONG_SESSION = 1.5, 10.0
#: Where short turns of an engine are taken: on its own thread, like all others, or on the connection's.
PLACEMENTS = ("own", "connections")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a soak, each test runs with both placements."""
    if SOAK:
        metafunc.parametrize("placed", PLACEMENTS, indirect=True)


@pytest.fixture(autouse=True)
def placed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The placement of short turns; without a soak, each half of the tests has one of them, always the same."""
    chosen: str = getattr(request, "param", PLACEMENTS[zlib.crc32(request.node.name.encode()) % 2])
    if chosen == "own":
        monkeypatch.setattr(placement, "SHORT", -1)
    return chosen


def quick_client(hosts: str, timeout: float = LONG_SESSION) -> KazooClient:
    """A client that tries to reconnect several times a second."""
    return KazooClient(hosts, timeout=timeout, connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2))


@contextlib.contextmanager
def started(client: KazooClient) -> Iterator[KazooClient]:
    """Starts a client, even if its server fails during that, and stops and closes it afterwards."""
    try:
        client.start(timeout=60)
        yield client
    finally:
        client.stop()
        client.close()


@dataclass(frozen=True)
class Observed:
    """A cache that is loaded through a proxy, all its events, and a client that bypasses the proxy."""

    proxy: Proxy
    client: KazooClient
    cache: TreeCache
    replay: Replay
    writer: KazooClient
    root: str

    def settles(self, timeout: float = 60.0) -> bool:
        """Waits until server, cache and events agree on the tree."""
        return settles(self.cache, self.replay, self.writer, self.root, timeout)


@contextlib.contextmanager
def observed(
    proxy: Proxy, hosts: str, root: str, mode: str = "auto", timeout: float = LONG_SESSION
) -> Iterator[Observed]:
    """An `Observed` of a small tree at `root`, which it creates on the server at `hosts`."""
    with started(KazooClient(hosts)) as writer:
        for path in ("", "/a", "/a/b", "/c"):
            writer.ensure_path(root + path)
        replay = Replay()
        with started(quick_client(proxy.hosts, timeout)) as client:
            cache = TreeCache(client, root, mode=mode)
            cache.listen(replay)
            with cache:
                assert cache.wait_initialized(60)
                eventually(lambda: replay.kinds[TreeEvent.INITIALIZED] and cache.stats().undelivered_events == 0)
                yield Observed(proxy, client, cache, replay, writer, root)


@pytest.fixture
def proxy(zookeeper: ZooKeeper) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    with Proxy(zookeeper.server.port) as proxy:
        yield proxy


@pytest.fixture(params=["recursive", "classic"])
def strategy(request: pytest.FixtureRequest) -> str:
    """Each of the two strategies."""
    return str(request.param)
