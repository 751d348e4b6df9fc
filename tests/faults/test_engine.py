"""Any exception anywhere in the engine or its delivery: the cache reports whether it has failed, and recovers."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl

from exporter import TreeCache, TreeEvent
from exporter.treecache.attachment import Attachment
from exporter.treecache.cache import TreeCache as Cache
from exporter.treecache.dispatch import Dispatch
from exporter.treecache.events import NodeData
from exporter.treecache.loading import Loading
from exporter.treecache.observer import CacheObserver
from exporter.treecache.publication import Publication
from exporter.treecache.refreshing import Refreshing
from exporter.treecache.replica import Replica
from exporter.treecache.stats import CACHE_STATES
from exporter.zookeeper.session import Session
from tests.conftest import ZooKeeper
from tests.faults.size import seeds
from tests.support import eventually, walk

RAISED: list[type[BaseException]] = [
    RuntimeError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    MemoryError,
    asyncio.CancelledError,
]
ROOT = "/app"


@pytest.fixture(params=["recursive", "classic"])
def cache(client: KazooClient, request: pytest.FixtureRequest) -> Iterator[TreeCache]:
    """A loaded cache of /app, which has ten children."""
    client.ensure_path(ROOT)
    for number in range(10):
        client.create(f"{ROOT}/{number}")
    with TreeCache(client, ROOT, mode=request.param) as cache:
        assert cache.wait_initialized(60)
        yield cache


class Breaks:
    """Replaces a method: raises the remaining errors one by one, then calls the original."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.errors: list[BaseException] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return self.original(*args, **kwargs)


def breaks(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Breaks:
    broken = Breaks(getattr(owner, name))
    monkeypatch.setattr(owner, name, broken)
    return broken


def is_true_to(cache: TreeCache, client: KazooClient) -> bool:
    """Whether the cache is in sync and equal to the server."""
    held = {path: cache.get_data(path) for path in cache}
    stats = {path: node.stat for path, node in held.items() if isinstance(node, NodeData)}
    assert (cache.state, cache.initialized) == ("in_sync", True)
    assert stats == walk(client, ROOT)
    return True


@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("where", ["receive", "take", "detach"])
def test_an_engine_that_raises_is_failed_and_comes_back(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch, where: str, error: type[BaseException]
) -> None:
    faults: list[BaseException] = []
    cache.listen_fault(faults.append)
    # Recovery fails too: twice in a row.
    again = breaks(monkeypatch, cache._replica, "detach")
    again.errors = [error("of the recovery")]
    first = again if where == "detach" else breaks(monkeypatch, cache._replica, where)
    if where == "detach":
        breaks(monkeypatch, cache._replica, "receive").errors = [error("of the engine")]
    else:
        first.errors = [error("of the engine")]
    client.create(f"{ROOT}/new")
    eventually(lambda: cache.stats().engine_restarts == 1)
    eventually(lambda: is_true_to(cache, client))
    stats = cache.stats()
    assert (stats.failure, stats.failed_at, stats.faults["engine"]) == (None, 0.0, 2)
    eventually(lambda: [str(fault) for fault in faults] == ["of the engine", "of the recovery"])


def test_a_failed_cache_says_so_until_it_is_complete_again(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovering, go_on = threading.Event(), threading.Event()
    detach = cache._replica.detach

    def hesitate(now: float) -> None:
        recovering.set()
        go_on.wait(30)
        detach(now)

    monkeypatch.setattr(cache._replica, "detach", hesitate)
    breaks(monkeypatch, cache._replica, "take").errors = [SystemExit("enough")]
    events: list[TreeEvent] = []
    cache.listen(events.append)
    client.create(f"{ROOT}/new")
    assert recovering.wait(20)
    stats = cache.stats()
    assert (cache.state, stats.state, stats.failure) == ("failed", "failed", "SystemExit: enough")
    assert not cache.initialized
    assert not stats.initialized
    assert stats.failed_at == cache.stats().failed_at > 0
    assert not cache.wait_initialized(0.01)
    assert not cache.verify(0.01)
    go_on.set()
    assert cache.wait_initialized(60)
    assert cache.verify(60)
    eventually(lambda: [e.event_type for e in events] == [TreeEvent.NODE_ADDED, TreeEvent.INITIALIZED])


@pytest.mark.parametrize("fails", ["nothing", "_subscribe", "close"])
@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_session_that_ends_during_the_recovery_is_reported_once(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch, ends: str, fails: str
) -> None:
    if fails == "close":
        breaks(monkeypatch, cache._subscription, "close").errors = [RuntimeError("of the old subscription")]
    subscribe = breaks(monkeypatch, cache, "_subscribe")
    subscribe.errors = [RuntimeError("of the new subscription")] if fails == "_subscribe" else []

    def subscribe_at_the_end() -> None:
        if ends == "before":
            client.stop()
        subscribe()
        if ends == "after":
            client.stop()

    monkeypatch.setattr(cache, "_subscribe", subscribe_at_the_end)
    events: list[int] = []
    cache.listen(lambda event: events.append(event.event_type))
    breaks(monkeypatch, cache._replica, "take").errors = [RuntimeError("of the engine")]
    client.create(f"{ROOT}/new")
    eventually(lambda: TreeEvent.CONNECTION_LOST in events)
    client.start()
    eventually(lambda: is_true_to(cache, client))
    connection = (TreeEvent.CONNECTION_LOST, TreeEvent.CONNECTION_RECONNECTED)
    assert [event for event in events if event in connection] == list(connection)


def test_a_subscription_that_cannot_be_greeted_is_gone(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.attach(client)
    breaks(monkeypatch, session._inquiries, "connected").errors = [RuntimeError("of the greeting")]
    breaks(monkeypatch, cache._replica, "take").errors = [RuntimeError("of the engine")]
    client.create(f"{ROOT}/new")
    eventually(lambda: cache.stats().engine_restarts == 1)
    eventually(lambda: is_true_to(cache, client))
    assert len(session._stream.subscriptions) == 1


def test_the_same_error_turn_after_turn_backs_off_and_is_named_once(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        breaks(monkeypatch, cache._replica, "take").errors = [RuntimeError("always") for _ in range(4)]
        client.create(f"{ROOT}/new")
        eventually(lambda: cache.stats().faults["engine"] == 4)
    eventually(lambda: is_true_to(cache, client))
    logged = [r.getMessage() for r in caplog.records if "/app failed" in r.getMessage()]
    assert logged == ["tree cache /app failed: RuntimeError: always; restarting in 0.1 s"]
    assert len([r for r in caplog.records if r.exc_info]) == 2, "one of the engine, one of its unheard fault"


def test_a_failed_cache_can_be_closed_and_ends_those_who_wait(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.treecache.worker.FIRST_DELAY", 1000.0)
    breaks(monkeypatch, cache._replica, "take").errors = [GeneratorExit()]
    client.create(f"{ROOT}/new")
    eventually(lambda: cache.state == "failed")
    answers: list[bool] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(cache.wait_initialized())),
        threading.Thread(target=lambda: answers.append(cache.verify())),
    ]
    for thread in waiting:
        thread.start()
    cache.close()
    for thread in waiting:
        thread.join(20)
    assert answers == [False, False]
    assert (cache.state, len(cache), cache.stats().failure) == ("closed", 0, None)


def test_changes_of_the_connection_while_it_is_failed_are_not_lost(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[int] = []
    cache.listen(lambda event: events.append(event.event_type))
    reached, go_on = threading.Event(), threading.Event()
    detach = cache._replica.detach

    def hesitate(now: float) -> None:
        reached.set()
        go_on.wait(30)
        detach(now)

    monkeypatch.setattr(cache._replica, "detach", hesitate)
    breaks(monkeypatch, cache._replica, "take").errors = [RuntimeError("a defect")]
    client.create(f"{ROOT}/new")
    assert reached.wait(20)
    client.stop()
    client.start()
    go_on.set()
    eventually(lambda: is_true_to(cache, client))
    eventually(lambda: TreeEvent.INITIALIZED in events)
    expected = [TreeEvent.CONNECTION_LOST, TreeEvent.CONNECTION_RECONNECTED, TreeEvent.INITIALIZED]
    assert [kind for kind in events if kind in expected] == expected


def test_an_observer_that_raises_harms_nothing(
    cache: TreeCache, client: KazooClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(CacheObserver):
        def refreshed(self, *_: object) -> None:
            raise SystemExit("an observer's")

    cache.observe(Broken())
    client.create(f"{ROOT}/new")
    client.create(f"{ROOT}/newer")
    eventually(lambda: is_true_to(cache, client))
    assert cache.stats().engine_restarts == 0


class Refuses:
    """A selector whose methods raise."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def keep(self, path: str) -> bool:
        raise self.error(path)

    def descend(self, path: str) -> bool:
        raise self.error(path)


@pytest.mark.parametrize("error", RAISED)
def test_a_selector_that_raises_leaves_the_znode_in_the_cache(client: KazooClient, error: type[BaseException]) -> None:
    client.ensure_path(f"{ROOT}/a/b")
    with TreeCache(client, ROOT, selector=Refuses(error)) as cache:
        assert cache.wait_initialized(60)
        client.create(f"{ROOT}/c")
        eventually(lambda: is_true_to(cache, client))
        assert cache.stats().faults["selector"] > 0
        assert cache.stats().engine_restarts == 0


def test_a_selector_that_lacks_a_method_is_refused(client: KazooClient) -> None:
    with pytest.raises(ValueError, match=r"selector must be an object with the methods keep and descend, not "):
        TreeCache(client, ROOT, selector=object())  # type: ignore[arg-type]


class Acts:
    """A selector with a side effect."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def keep(self, path: str) -> bool:
        self.act()
        return True

    def descend(self, path: str) -> bool:
        return True


def test_a_selector_may_close_the_cache(client: KazooClient) -> None:
    client.ensure_path(f"{ROOT}/a")
    closed = threading.Event()
    caches: list[TreeCache] = []

    def close() -> None:
        caches[0].close()
        closed.set()

    caches.append(cache := TreeCache(client, ROOT, selector=Acts(close)))
    cache.start()
    assert closed.wait(20)
    eventually(lambda: cache.state == "closed" and len(cache) == 0)


def test_an_engine_that_does_not_end_holds_up_close_for_a_while_only(
    client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.treecache.cache._LAST_TURN", 0.1)
    client.ensure_path(f"{ROOT}/a")
    asked, go_on = threading.Event(), threading.Event()

    def block() -> None:
        asked.set()
        go_on.wait(60)

    cache = TreeCache(client, ROOT, selector=Acts(block))
    cache.start()
    assert asked.wait(20)
    cache.close()
    assert (cache.state, len(cache), cache.get_data(ROOT, "none")) == ("closed", 0, "none")
    go_on.set()


# Properties: any exception at any place.

PLACES = {
    Replica: ["receive", "take", "_hand_on", "_check_freshness", "_run_audits"],
    Attachment: ["connected", "_arm", "_abandon"],
    Dispatch: ["fill_window", "send", "put_back"],
    Loading: ["begin", "ends"],
    Refreshing: ["on_event"],
    Cache: ["_submit", "_on_verified", "_apply"],
    Publication: ["publish"],
}


@pytest.mark.parametrize("seed", seeds())
def test_any_exception_anywhere_ends_in_a_failed_or_a_true_cache(
    client: KazooClient, zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Methods of the engine raise at random calls while the tree changes. Afterwards the cache equals the server."""
    draw = random.Random(seed)
    monkeypatch.setattr("exporter.treecache.worker.LONGEST_DELAY", 0.2)
    left = draw.randint(1, 6)
    lock = threading.Lock()

    def raises_at_times(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            before = draw.random() < 0.5
            with lock:
                strikes = left > 0 and draw.random() < 0.05
                left -= strikes
            error = draw.choice(RAISED)(f"seed {seed}")
            if strikes and before:
                raise error
            value = original(*args, **kwargs)
            if strikes:
                raise error
            return value

        return call

    for owner, names in PLACES.items():
        for name in names:
            monkeypatch.setattr(owner, name, raises_at_times(getattr(owner, name)))
    client.ensure_path(ROOT)
    mode = draw.choice(["recursive", "classic"])
    cache = TreeCache(client, ROOT, mode=mode, freshness_interval=0.05, audit_interval=0.1)
    cache.start()
    try:
        for number in range(60):
            path = f"{ROOT}/{number % 7}"
            if client.exists(path):
                client.delete(path) if draw.random() < 0.5 else client.set(path, b"x")
            else:
                client.create(path)
            assert cache.state in CACHE_STATES
        left = 0
        eventually(lambda: is_true_to(cache, client), timeout=60)
        assert cache.verify(60)
    finally:
        cache.close()
    assert cache.state == "closed"


# The log.


def test_a_thousand_unreadable_znodes_are_one_line_of_the_log(
    client: KazooClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.create(ROOT)
    hidden = [make_digest_acl("other", "secret", all=True)]
    for creation in [client.create_async(f"{ROOT}/{n}", acl=hidden) for n in range(1000)]:
        creation.get(timeout=30)
    with caplog.at_level(logging.ERROR), TreeCache(client, ROOT) as cache:
        assert cache.wait_initialized(60)
        eventually(lambda: cache.stats().faults["no_auth"] == 1000 and not cache.stats().undelivered_events)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("exporter.treecache")]
    assert len(ours) == 2
    assert ours[0].startswith("unhandled tree cache error (/app): NoAuthError: /app/")
    assert ours[1] == "unhandled tree cache error (/app): NoAuthError: 999 more within the last minute"
