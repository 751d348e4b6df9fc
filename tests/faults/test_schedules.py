"""Random faults while several writers run: afterwards cache, server and events agree on the tree.

`FAULT_SEED=17` runs only that seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache
from exporter.demo.server import NETTY, ZooKeeperServer
from tests.faults.conftest import BRIEF_SESSION, quick_client, started
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import Proxy
from tests.faults.schedule import Faults, Writer
from tests.faults.size import seeds, size
from tests.replay import Replay, settles
from tests.support import LONG_SESSIONS, eventually

FAULTS = size(3, 8)


@pytest.fixture(scope="module")
def server() -> Iterator[ZooKeeperServer]:
    """A server for all schedules that need only one."""
    with ZooKeeperServer(tick_time=200, config=LONG_SESSIONS, system_properties=NETTY) as server:
        yield server


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    """An ensemble for all schedules that need one."""
    with Ensemble() as ensemble:
        yield ensemble


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize("strategy", ["recursive", "classic"])
def test_one_server(server: ZooKeeperServer, strategy: str, seed: int) -> None:
    with Proxy(server.port) as proxy:
        play(server, proxy, strategy, seed)


@pytest.mark.parametrize("seed", seeds()[::6])
@pytest.mark.parametrize("strategy", ["recursive", "classic"])
def test_ensemble(ensemble: Ensemble, strategy: str, seed: int) -> None:
    with Proxy(ensemble.members[seed // 6 % 3].port) as proxy:
        play(ensemble, proxy, strategy, seed)


def play(place: ZooKeeperServer | Ensemble, proxy: Proxy, strategy: str, seed: int) -> None:
    """Runs the schedule of a seed."""
    root = f"/{strategy}-{seed}"
    replay = Replay()
    with ExitStack() as cleanup:
        admin = cleanup.enter_context(started(quick_client(place.hosts, timeout=4.0)))
        admin.ensure_path(root)
        reader = cleanup.enter_context(started(quick_client(proxy.hosts, BRIEF_SESSION)))
        cache = TreeCache(reader, root, create_root=False, mode=strategy, batch_size=7 + seed % 50, window=1 + seed % 4)
        cache.listen(replay)
        writers = [Writer(place.hosts, root, f"{seed} {number}") for number in range(2)]
        for writer in writers:
            writer.start()
        # A new session needs longer than some faults leave.
        eventually(lambda: all(writer.client.connected for writer in writers))
        faults = Faults(seed, proxy, reader, place)
        cleanup.enter_context(cache)
        try:
            faults.happen(FAULTS)
        finally:
            for writer in writers:
                writer.stop()
        try:
            settles(cache, replay, admin, root)
        except AssertionError as failure:
            again = f"FAULT_SEED={seed} pytest {__file__} -k {strategy}"
            raise AssertionError(f"{again}\nfaults: {', '.join(faults.drawn)}\n{failure}") from failure
        check_at_rest(cache, admin, root)


def check_at_rest(cache: TreeCache, admin: KazooClient, root: str) -> None:
    """Nothing is pending once everything has been read."""
    assert cache.wait_initialized(60)
    eventually(lambda: cache.stats().outstanding_operations == cache.stats().pending_paths == 0)
    stats = cache.stats()
    assert stats.faults == dict.fromkeys(stats.faults, 0)
    assert stats.nodes["persistent"] + stats.nodes["ephemeral"] == len(cache)
    assert admin.connected
