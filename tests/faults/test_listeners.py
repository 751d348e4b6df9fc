"""Listeners that raise, block or call the cache: the cache, and kazoo's own listeners, continue."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from kazoo.protocol.states import KazooState

from exporter import TreeCache, TreeEvent
from tests.conftest import ZooKeeper
from tests.faults.conftest import Observed, observed
from tests.faults.proxy import Proxy
from tests.support import eventually


@pytest.fixture
def seen(proxy: Proxy, zookeeper: ZooKeeper, strategy: str) -> Iterator[Observed]:
    """A loaded cache of the test's root, through the proxy."""
    with observed(proxy, zookeeper.server.hosts, zookeeper.root, strategy) as seen:
        yield seen


def change(seen: Observed, times: int = 20) -> None:
    """Makes changes of every kind, and a reconnection."""
    for number in range(times):
        seen.writer.create(f"{seen.root}/c/{number}", b"%d" % number)
        seen.writer.set(f"{seen.root}/c", b"%d" % number)
        if number % 2:
            seen.writer.delete(f"{seen.root}/c/{number}")
        if number == times // 2:
            seen.proxy.cut()


def test_one_that_raises_is_a_fault_each_time(seen: Observed) -> None:
    faults: list[Exception] = []

    def broken(event: TreeEvent) -> None:
        raise RuntimeError(event.event_type)

    seen.cache.listen(broken)
    seen.cache.listen_fault(faults.append)
    before = sum(seen.replay.kinds.values())
    change(seen)
    assert seen.settles()
    eventually(lambda: len(faults) == sum(seen.replay.kinds.values()) - before)


def test_fault_listener_that_raises(seen: Observed) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("broken")

    seen.cache.listen(broken)
    seen.cache.listen_fault(broken)
    change(seen)
    assert seen.settles()


def test_one_that_blocks_delays_events_and_nothing_else(seen: Observed) -> None:
    go_on, blocked = threading.Event(), threading.Event()
    states: list[KazooState] = []

    def block(_: TreeEvent) -> None:
        blocked.set()
        go_on.wait(30)

    seen.cache.listen(block)
    seen.client.add_listener(states.append)
    seen.writer.create(seen.root + "/first")
    assert blocked.wait(10)
    seen.proxy.cut()
    eventually(lambda: states == [KazooState.SUSPENDED, KazooState.CONNECTED])
    seen.writer.create(seen.root + "/second")
    eventually(lambda: seen.root + "/second" in seen.cache)
    assert seen.client.retry(seen.client.exists, seen.root + "/second")
    assert seen.cache.stats().undelivered_events >= 3
    go_on.set()
    assert seen.settles()


def test_one_that_blocks_does_not_hold_up_close_for_long(seen: Observed) -> None:
    go_on, blocked = threading.Event(), threading.Event()
    mode = seen.cache.stats().mode

    def block(_: TreeEvent) -> None:
        blocked.set()
        go_on.wait(30)

    with TreeCache(seen.client, seen.root, mode=mode) as cache:
        assert cache.wait_initialized(60)
        cache.listen(block)
        seen.writer.create(seen.root + "/first")
        assert blocked.wait(10)
    assert len(cache) == 0
    go_on.set()
    assert seen.settles()


def test_one_that_reads_the_cache_and_listens(seen: Observed) -> None:
    read: list[object] = []
    late: list[TreeEvent] = []

    def nosy(event: TreeEvent) -> None:
        read.append((list(seen.cache), len(seen.cache), seen.cache.stats(), seen.cache.get_children(seen.root)))
        if event.event_data is not None:
            read.append((seen.cache.get_data(event.event_data.path), seen.client.exists(event.event_data.path)))
        if not late:
            seen.cache.listen(late.append)

    seen.cache.listen(nosy)
    seen.writer.create(seen.root + "/first")
    seen.writer.create(seen.root + "/second")
    assert seen.settles()
    eventually(lambda: [event.event_data.path for event in late] == [seen.root + "/second"])
    assert len(read) == 4


def test_one_that_starts_and_closes_caches(seen: Observed) -> None:
    caches: list[TreeCache] = []

    def open_another(event: TreeEvent) -> None:
        caches.append(TreeCache(seen.client, seen.root, mode=seen.cache.stats().mode))
        caches[-1].start()
        assert caches[-1].wait_initialized(60)

    seen.cache.listen(open_another)
    seen.writer.create(seen.root + "/first")
    eventually(lambda: len(caches) == 1 and len(caches[0]) == len(seen.cache))
    for cache in caches:
        cache.close()
    assert seen.settles()


def test_state_listener_that_closes_the_cache(seen: Observed) -> None:
    """kazoo calls state listeners on its connection's thread, which must not wait for its own messages."""
    cache = TreeCache(seen.client, seen.root, mode=seen.cache.stats().mode)
    cache.start()
    assert cache.wait_initialized(60)
    closed = threading.Event()

    def close(_: KazooState) -> None:
        cache.close()
        closed.set()

    seen.client.add_listener(close)
    seen.proxy.cut()
    assert closed.wait(10)
    assert seen.settles()


FORK = """
import faulthandler, os, sys, time
from kazoo.client import KazooClient
from exporter import TreeCache

client = KazooClient(sys.argv[1])
client.start()
with TreeCache(client, "/") as cache:
    assert cache.wait_initialized(60)
    cache.listen(lambda event: None)
    # The inquiry about what the server supports has its own client, which may just be stopping.
    client.handler._state_change.acquire()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)
        held = (len(cache), cache.get_data("/"), cache.get_children("/", ()), list(cache), cache.wait_initialized())
        print("child", cache.state, cache.stats().state, cache.initialized, *held, cache.verify(), flush=True)
        {leaves}
    else:
        client.handler._state_change.release()
        _, status = os.waitpid(child, 0)
        client.create("/after")
        while "/after" not in cache:
            time.sleep(0.01)
        print("parent", status, cache.state, flush=True)
client.stop()
client.close()
"""


@pytest.mark.parametrize("leaves", ["sys.exit(0)", "cache.close(); sys.exit(0)", "os._exit(0)"])
def test_fork_wedges_neither_child_nor_parent(zookeeper: ZooKeeper, leaves: str) -> None:
    """A child has none of its parent's threads: its cache is closed, and every way to exit works."""
    script = FORK.format(leaves=leaves)
    done = subprocess.run(
        [sys.executable, "-c", script, zookeeper.hosts], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["child closed closed False 0 None () [] False False", "parent 0 in_sync"], (
        done.stderr
    )


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, MemoryError, BaseException]
)
def test_everything_that_one_raises_is_a_fault_and_events_continue(seen: Observed, error: type[BaseException]) -> None:
    faults: list[BaseException] = []

    def broken(event: object) -> None:
        raise error("a listener's")

    seen.cache.listen(broken)
    seen.cache.listen_fault(broken)
    seen.cache.listen_fault(faults.append)
    before = sum(seen.replay.kinds.values())
    change(seen)
    assert seen.settles()
    eventually(lambda: len(faults) == sum(seen.replay.kinds.values()) - before)
    assert {type(fault) for fault in faults} == {error}
    eventually(lambda: seen.cache.state == "in_sync")
    stats = seen.cache.stats()
    assert (stats.faults["listener"], stats.engine_restarts) == (len(faults), 0)


def test_ones_that_raise_at_each_event_fill_no_log(seen: Observed, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("broken")

    with caplog.at_level(logging.ERROR):
        seen.cache.listen(broken)
        seen.cache.listen_fault(broken)
        change(seen)
        assert seen.settles()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("exporter.treecache")]
    assert ours == [f"a fault listener of the tree cache raised ({seen.root}): RuntimeError: broken"]
