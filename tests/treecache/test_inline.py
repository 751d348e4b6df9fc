"""Inline listeners are called where the cache is kept up to date; other listeners on their own thread."""

from __future__ import annotations

import threading
import time

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.treecache.outcome import Outcome
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import Sync
from tests.support import eventually

CHANGES = 20


@pytest.fixture
def cache(client: KazooClient) -> TreeCache:
    return TreeCache(client, "/app")


def test_events_come_in_order_on_another_thread_than_those_of_other_listeners(
    cache: TreeCache, client: KazooClient
) -> None:
    inline: list[tuple[int, bytes | None]] = []
    others: list[tuple[int, bytes | None]] = []
    threads: dict[str, set[str]] = {"inline": set(), "others": set()}

    @cache.listen
    def hear(event: TreeEvent) -> None:
        threads["others"].add(threading.current_thread().name)
        others.append((event.event_type, event.event_data and event.event_data.data))

    def hear_inline(event: TreeEvent) -> None:
        threads["inline"].add(threading.current_thread().name)
        inline.append((event.event_type, event.event_data and event.event_data.data))

    assert cache.listen(hear_inline, inline=True) is hear_inline
    with cache:
        assert cache.wait_initialized(60)
        for number in range(CHANGES):
            client.set("/app", b"%d" % number)
            eventually(lambda number=number: inline[-1][1] == b"%d" % number)  # type: ignore[misc]
        eventually(lambda: len(others) == len(inline))
    assert others == inline
    assert inline[:2] == [(TreeEvent.NODE_ADDED, b""), (TreeEvent.INITIALIZED, None)]
    assert [data for _, data in inline[2:]] == [b"%d" % number for number in range(CHANGES)]
    assert not threads["inline"] & threads["others"]


def test_what_one_raises_is_a_fault_and_stops_nothing(cache: TreeCache, client: KazooClient) -> None:
    error, faults, heard = SystemExit("said so"), list[BaseException](), list[TreeEvent]()

    def broken(event: TreeEvent) -> None:
        raise error

    cache.listen(broken, inline=True)
    cache.listen(heard.append, inline=True)
    cache.listen_fault(faults.append)
    with cache:
        assert cache.wait_initialized(60)
        client.set("/app", b"1")
        eventually(lambda: [event.event_type for event in heard][2:] == [TreeEvent.NODE_UPDATED])
        eventually(lambda: faults == [error] * 3)
        assert cache.stats().faults["listener"] == 3
        assert cache.state == "in_sync"


def test_one_may_close_the_cache(cache: TreeCache, client: KazooClient) -> None:
    took: list[float] = []
    heard: list[TreeEvent] = []

    def close(event: TreeEvent) -> None:
        if event.event_type == TreeEvent.NODE_UPDATED:
            began = time.monotonic()
            cache.close()
            took.append(time.monotonic() - began)

    cache.listen(close, inline=True)
    cache.listen(heard.append, inline=True)
    cache.start()
    assert cache.wait_initialized(60)
    client.set("/app", b"1")
    eventually(lambda: took != [])
    assert cache.state == "closed"
    eventually(lambda: cache._engine.wait_over(0))
    assert [event.event_type for event in heard] == [TreeEvent.NODE_ADDED, TreeEvent.INITIALIZED]
    # The session continues.
    assert client.get("/app")[0] == b"1"


def test_requests_that_follow_from_an_answer_leave_before_many_more_are_applied(
    cache: TreeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    take = cache._replica.take

    def note_take(now: float) -> Outcome:
        done.append("take")
        return take(now)

    monkeypatch.setattr(cache._replica, "receive", lambda message, now: done.append(f"{len(message.body)}"))
    monkeypatch.setattr(cache._replica, "take", note_take)
    cache._session = Session.attach(cache._client)
    cache._inbox.extend(Reply(Sync("/"), 1, 0, bytes(size), 0) for size in (50_000, 50_000, 10, 100_000, 20))
    turns = 0
    while cache._inbox:
        cache._turn()
        turns += 1
    assert done == ["50000", "50000", "take", "10", "100000", "take", "20", "take"]
    assert turns == 3
