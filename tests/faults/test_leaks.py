"""Nothing leaks: after many caches and many events, resources are back at their initial level."""

from __future__ import annotations

import contextlib
import gc
import logging
import operator
import os
import sys
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.demo.server import ZooKeeperServer
from tests.faults.conftest import quick_client, started
from tests.faults.proxy import Proxy
from tests.faults.size import size
from tests.support import LONG_SESSIONS, eventually

CYCLES = size(50, 1_000)
EVENTS = size(10_000, 1_000_000)
ZNODES = 100
#: Concurrent changes, each of a different znode, so that each leads to an event.
AT_ONCE = 1_000

#: Tolerance in blocks of memory, of about 70 bytes on average, that Python itself allocates or frees.
NOISE = 2_000


@pytest.fixture(autouse=True)
def no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The log that pytest keeps would look like a leak."""
    caplog.set_level(logging.CRITICAL, "kazoo")
    caplog.set_level(logging.CRITICAL, "kazoo.client")


class Belongings(NamedTuple):
    """The resources of a process and its server."""

    threads: int
    descriptors: int
    watches: int

    def are_within(self, others: Belongings) -> bool:
        """Asserts that none are more than the others, which may include what an inquiry just needed."""
        assert all(map(operator.le, self, others)), f"{self}, more than {others}: {threading.enumerate()}"
        return True


@pytest.fixture(scope="module")
def server() -> Iterator[ZooKeeperServer]:
    """A server on which no other client sets watches."""
    with ZooKeeperServer(tick_time=200, config=LONG_SESSIONS) as server:
        yield server


@pytest.fixture
def writer(server: ZooKeeperServer) -> Iterator[KazooClient]:
    """A client other than the cache's, which created the tree."""
    with started(KazooClient(server.hosts)) as writer:
        for number in range(ZNODES):
            writer.ensure_path(f"/app/{number}")
        yield writer


def belongings(server: ZooKeeperServer) -> Belongings:
    """The current resources."""
    watches = int(server.mntr()["zk_watch_count"])
    return Belongings(threading.active_count(), descriptors(), watches)


def descriptors() -> int:
    """The number of open files, without those that kazoo's `select` opens for each wait of a client."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        # The listing's own is closed already.
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{name}") != "anon_inode:[eventpoll]"
    return found


def blocks() -> int:
    """The number of memory blocks of Python's objects, without garbage."""
    gc.collect()
    return sys.getallocatedblocks()


def run(client: KazooClient, strategy: str) -> None:
    """Starts, uses and closes a cache."""
    cache = TreeCache(client, "/app", mode=strategy)
    cache.listen(lambda event: None)
    with cache:
        assert cache.wait_initialized(60)
        assert len(cache) == ZNODES + 1


def test_caches_started_and_closed_on_one_client(server: ZooKeeperServer, writer: KazooClient, strategy: str) -> None:
    # One-shot watches cannot be taken back one by one: those of a classic cache stay until they fire or the session
    # ends. A server holds one of each kind for a session and path, so they do not add up.
    left = 0 if strategy == "recursive" else 2 * (ZNODES + 1)
    with started(quick_client(server.hosts, timeout=4.0)) as client:
        for _ in range(10):
            run(client, strategy)
        before = eventually(lambda: belongings(server))
        eventually(lambda: belongings(server).watches == left)
        blocks_before = blocks()
        for _ in range(CYCLES):
            run(client, strategy)
        eventually(lambda: belongings(server).are_within(before._replace(watches=left)))
        eventually(lambda: blocks() - blocks_before < NOISE)
    eventually(lambda: belongings(server).watches == 0)


def test_caches_closed_before_they_are_loaded(server: ZooKeeperServer, writer: KazooClient) -> None:
    """The watch must be removed even if it is still being set."""
    with started(quick_client(server.hosts, timeout=4.0)) as client:
        run(client, "recursive")
        before = belongings(server)
        for _ in range(CYCLES):
            with TreeCache(client, "/app", create_root=False):
                pass
        eventually(lambda: belongings(server).are_within(before._replace(watches=0)))


def test_clients_and_caches(server: ZooKeeperServer, writer: KazooClient, strategy: str) -> None:
    before = belongings(server)
    for cycle in range(CYCLES // 2):
        with started(quick_client(server.hosts, timeout=4.0)) as client:
            run(client, strategy)
        if cycle == 5:
            blocks_before = blocks()
    eventually(lambda: belongings(server).are_within(before))
    eventually(lambda: blocks() - blocks_before < NOISE)


def test_reconnects(server: ZooKeeperServer, writer: KazooClient, strategy: str) -> None:
    with Proxy(server.port) as proxy, started(quick_client(proxy.hosts, timeout=4.0)) as client:
        cache = TreeCache(client, "/app", mode=strategy)
        with cache:
            assert cache.wait_initialized(60)
            before = belongings(server)
            for number in range(1, size(10, 200)):
                proxy.cut()
                eventually(lambda n=number: cache.stats().syncs["reconnect"] == n and not busy(cache))  # type: ignore[misc]
                if number == 5:
                    blocks_before = blocks()
            eventually(lambda: belongings(server).are_within(before))
            eventually(lambda: blocks() - blocks_before < NOISE)


def test_many_events(server: ZooKeeperServer, writer: KazooClient, strategy: str) -> None:
    delivered = 0

    def count(event: TreeEvent) -> None:
        nonlocal delivered
        delivered += event.event_type == TreeEvent.NODE_UPDATED

    paths = [f"/many/{number}" for number in range(AT_ONCE)]
    for path in paths:
        writer.ensure_path(path)
    with started(quick_client(server.hosts, timeout=4.0)) as client:
        cache = TreeCache(client, "/many", mode=strategy)
        cache.listen(count)
        with cache:
            assert cache.wait_initialized(60)
            before = belongings(server)
            for turn in range(EVENTS // AT_ONCE):
                set_all(writer, paths, b"%d" % turn)
                eventually(lambda n=turn: delivered == (n + 1) * AT_ONCE)  # type: ignore[misc]
                if turn == 5:
                    blocks_before = blocks()
            eventually(lambda: not busy(cache))
            eventually(lambda: belongings(server).are_within(before))
            eventually(lambda: blocks() - blocks_before < NOISE)


def set_all(writer: KazooClient, paths: list[str], data: bytes) -> None:
    """Changes the data of many znodes."""
    transaction = writer.transaction()
    for path in paths:
        transaction.set_data(path, data)
    transaction.commit()


def busy(cache: TreeCache) -> bool:
    """Whether the cache still reads or delivers events."""
    stats = cache.stats()
    return bool(stats.outstanding_operations or stats.pending_paths or stats.undelivered_events)
