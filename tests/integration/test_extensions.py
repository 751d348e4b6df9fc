"""Features that kazoo's cache does not have, with a real server and each strategy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kazoo.client import KazooClient

from exporter import NodeData, TreeCache, TreeEvent
from tests.support import eventually

Make = Callable[..., TreeCache]

ADDED, UPDATED, REMOVED = TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED


@pytest.fixture(params=["recursive", "classic"])
def make(request: pytest.FixtureRequest, client: KazooClient) -> Make:
    """Makes a cache of /app, which has children a and b, each with children c and d."""
    for path in ("/app/a/c", "/app/a/d", "/app/b/c", "/app/b/d"):
        client.ensure_path(path)
    return lambda **options: TreeCache(client, "/app", mode=request.param, **options)


class Selection:
    """Excludes every d, and everything below /app/b."""

    def keep(self, path: str) -> bool:
        return not path.endswith("/d")

    def descend(self, path: str) -> bool:
        return path != "/app/b"


def loaded(cache: TreeCache) -> TreeCache:
    assert cache.wait_initialized(10)
    return cache


def test_selector(make: Make, client: KazooClient) -> None:
    delivered: list[str] = []
    cache = make(selector=Selection())
    cache.listen(lambda event: delivered.append(event.event_data.path) if event.event_data else None)
    with cache:
        assert sorted(loaded(cache)) == ["/app", "/app/a", "/app/a/c", "/app/b"]
        for path in ("/app/a/d/x", "/app/b/x", "/app/a/x/d"):
            client.ensure_path(path)
        client.set("/app/b/c", b"not looked at")
        client.create("/app/last")
        eventually(lambda: "/app/last" in cache)
        assert sorted(cache) == ["/app", "/app/a", "/app/a/c", "/app/a/x", "/app/b", "/app/last"]
        eventually(lambda: sorted(delivered) == sorted(cache))


def test_error_of_a_selector_leaves_nothing_out_and_is_a_fault(make: Make) -> None:
    class Broken(Selection):
        def keep(self, path: str) -> bool:
            raise RuntimeError("broken")

    faults: list[Exception] = []
    cache = make(selector=Broken())
    cache.listen_fault(faults.append)
    with cache:
        assert "/app/a/d" in list(loaded(cache))
        eventually(lambda: {str(fault) for fault in faults} == {"broken"})
        assert cache.stats().faults["selector"] > 0


@pytest.mark.parametrize(("depth", "held", "later"), [(0, 1, 1), (1, 3, 3), (2, 7, 7), (3, 7, 8), (None, 7, 9)])
def test_max_depth(make: Make, client: KazooClient, depth: int | None, held: int, later: int) -> None:
    with make(max_depth=depth) as cache:
        assert len(loaded(cache)) == held
        client.create("/app/a/c/e/f", makepath=True)
        client.set("/app", b"last")
        eventually(lambda: cache.get_data("/app").data == b"last")
        eventually(lambda: len(cache) == later)


def test_without_data(make: Make, client: KazooClient) -> None:
    client.set("/app/a/c", b"12345")
    events: list[TreeEvent] = []
    cache = make(keep_data=False)
    cache.listen(events.append)
    with cache:
        assert loaded(cache).get_data("/app/a/c").data is None
        assert cache.get_data("/app/a/c").stat == client.exists("/app/a/c")
        client.set("/app/a/c", b"123")
        eventually(lambda: events and events[-1].event_type == UPDATED)
        assert events[-1].event_data.data is None
        assert cache.stats().data_bytes == 3


def test_no_more_znodes_a_second_than_asked_for(make: Make, client: KazooClient) -> None:
    for number in range(93):
        client.create(f"/app/{number}")
    began = time.monotonic()
    with make(max_nodes_per_second=100) as cache:
        assert len(loaded(cache)) == 100
        assert time.monotonic() - began >= 0.85
        client.create("/app/last")
        eventually(lambda: "/app/last" in cache)


def test_without_create_root(client: KazooClient) -> None:
    with TreeCache(client, "/missing", create_root=False) as cache:
        assert cache.wait_initialized(10)
        assert len(cache) == 0
        assert not client.exists("/missing")


def test_old_data(make: Make, client: KazooClient) -> None:
    events: list[TreeEvent] = []
    cache = make(old_data=True)
    cache.listen(events.append)
    with cache:
        loaded(cache)
        first = NodeData.make("/app/a/c", *client.get("/app/a/c"))
        eventually(lambda: len(events) == 8)
        assert {event.old_data for event in events} == {None}
        client.set("/app/a/c", b"new")
        second = NodeData.make("/app/a/c", *client.get("/app/a/c"))
        eventually(lambda: len(events) == 9)
        client.delete("/app/a/c")
        eventually(lambda: len(events) == 10)
    delivered: list[tuple[Any, ...]] = [(*event, event.old_data) for event in events[-2:]]
    assert delivered == [(UPDATED, second, first), (REMOVED, second, second)]
    assert all(len(event) == 2 for event in events)


def test_old_data_is_not_told_unasked(make: Make, client: KazooClient) -> None:
    events: list[TreeEvent] = []
    cache = make()
    cache.listen(events.append)
    with cache:
        loaded(cache)
        client.set("/app/a/c", b"new")
        eventually(lambda: events and events[-1].event_type == UPDATED)
    assert {event.old_data for event in events} == {None}


def test_length_iteration_and_membership(make: Make) -> None:
    cache = make()
    assert (len(cache), list(cache), bool(cache)) == (0, [], True)
    with cache:
        paths = list(loaded(cache))
        assert sorted(paths) == ["/app", "/app/a", "/app/a/c", "/app/a/d", "/app/b", "/app/b/c", "/app/b/d"]
        assert len(cache) == len(paths)
        assert all(paths.index(path.rpartition("/")[0]) < paths.index(path) for path in paths if path != "/app")
        assert "/app/a/c" in cache
        assert "/app/a/x" not in cache
    assert (len(cache), list(cache)) == (0, [])


def test_context_manager_and_wait_initialized(make: Make) -> None:
    cache = make()
    assert not cache.wait_initialized(0.01)
    with cache as entered:
        assert entered is cache
        assert cache.wait_initialized()
        assert cache.initialized
    assert not cache.initialized


def test_extensions_are_keyword_only(client: KazooClient) -> None:
    with pytest.raises(TypeError):
        TreeCache(client, "/app", False)  # type: ignore[call-arg]
