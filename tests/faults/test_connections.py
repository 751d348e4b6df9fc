"""A connection that is cut, refused, slowed, stalled or broken in the middle of a frame, by a proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from tests.conftest import ZooKeeper
from tests.faults.conftest import Observed, observed, quick_client, started
from tests.faults.proxy import DOWN, UP, Proxy
from tests.replay import Replay, read, same
from tests.support import eventually, expire


@pytest.fixture
def seen(proxy: Proxy, zookeeper: ZooKeeper, strategy: str) -> Iterator[Observed]:
    """A loaded cache of the test's root, through the proxy."""
    with observed(proxy, zookeeper.server.hosts, zookeeper.root, strategy, timeout=4.0) as seen:
        yield seen


def change(seen: Observed) -> None:
    """Changes, creates and deletes znodes, bypassing the proxy."""
    seen.writer.set(seen.root + "/c", b"changed")
    seen.writer.create(seen.root + "/new/below", b"1", makepath=True)
    seen.writer.delete(seen.root + "/a", recursive=True)
    seen.writer.create(seen.root + "/a", b"another")


def test_cut_while_changes_happen(seen: Observed) -> None:
    for number in range(5):
        seen.writer.create(f"{seen.root}/{number}")
        seen.proxy.cut()
        seen.writer.set(f"{seen.root}/{number}", b"1")
    assert seen.settles()
    assert seen.replay.kinds[TreeEvent.INITIALIZED] == 1


def test_changes_while_no_connection_can_be_made(seen: Observed) -> None:
    seen.proxy.refuse()
    seen.proxy.cut()
    eventually(lambda: seen.replay.kinds[TreeEvent.CONNECTION_SUSPENDED] == 1)
    change(seen)
    before = seen.replay.data()
    seen.proxy.heal()
    assert seen.settles()
    assert seen.replay.data() != before


def test_session_expires_while_no_connection_can_be_made(seen: Observed) -> None:
    client_id = seen.client.client_id
    seen.proxy.refuse()
    seen.proxy.cut()
    eventually(lambda: seen.replay.kinds[TreeEvent.CONNECTION_SUSPENDED] == 1)
    expire(client_id, f"127.0.0.1:{seen.proxy.target}")
    change(seen)
    seen.proxy.heal()
    eventually(lambda: seen.replay.kinds[TreeEvent.INITIALIZED] == 2)
    assert seen.settles()


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_one_direction_stalls(seen: Observed, direction: str) -> None:
    """The client receives nothing, or its messages do not arrive; it drops the connection itself."""
    seen.proxy.stall(direction)
    change(seen)
    eventually(lambda: seen.replay.kinds[TreeEvent.CONNECTION_SUSPENDED] >= 1)
    seen.proxy.heal()
    assert seen.settles()


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_connection_breaks_in_the_middle_of_a_frame(seen: Observed, direction: str) -> None:
    seen.proxy.break_frame(direction)
    change(seen)
    eventually(lambda: seen.replay.kinds[TreeEvent.CONNECTION_RECONNECTED] >= 1)
    assert seen.settles()


def test_load_is_broken_off_again_and_again(
    proxy: Proxy, zookeeper: ZooKeeper, strategy: str, client: KazooClient
) -> None:
    for number in range(20):
        client.ensure_path(f"/{number}/below/it")
    replay = Replay()
    with started(quick_client(proxy.hosts)) as reader:
        cache = TreeCache(reader, zookeeper.root, mode=strategy, batch_size=4, window=2)
        cache.listen(replay)
        with cache:
            for _ in range(8):
                proxy.break_frame(DOWN)
                eventually(lambda: not proxy.breaking)
            assert cache.wait_initialized(60)
            eventually(lambda: same(replay.data(), expected(client, zookeeper)))
    assert not replay.wrong
    assert replay.kinds[TreeEvent.INITIALIZED] == 1


def test_slow_network(seen: Observed) -> None:
    seen.proxy.delay = 0.05
    change(seen)
    assert seen.settles()
    assert seen.replay.kinds[TreeEvent.CONNECTION_SUSPENDED] == 0


def test_initialized_comes_after_all_znodes(
    proxy: Proxy, zookeeper: ZooKeeper, strategy: str, client: KazooClient
) -> None:
    """Also if the session expires and the tree changes during the load."""
    for number in range(30):
        client.ensure_path(f"/{number}/below")
    replay = Replay()
    at_initialized: list[set[str]] = []
    proxy.delay = 0.02
    with started(quick_client(proxy.hosts)) as reader:
        cache = TreeCache(reader, zookeeper.root, mode=strategy, batch_size=8, window=1)
        cache.listen(replay)
        cache.listen(
            lambda event: at_initialized.append(set(replay.data())) if event.event_type == event.INITIALIZED else None
        )
        with cache:
            eventually(lambda: len(cache) > 10)
            assert not cache.initialized
            expire(reader.client_id, zookeeper.server.hosts)
            eventually(lambda: replay.kinds[TreeEvent.CONNECTION_LOST] == 1)
            assert cache.wait_initialized(60)
            eventually(lambda: at_initialized)
    assert at_initialized == [set(expected(client, zookeeper))]
    assert not replay.wrong


def expected(client: KazooClient, zookeeper: ZooKeeper) -> dict[str, tuple[object, int, int]]:
    """The server's tree in the form of events."""
    there = read(client, "/")
    return {zookeeper.root + path.rstrip("/"): (data, s.czxid, s.mzxid) for path, (data, s, _) in there.items()}
