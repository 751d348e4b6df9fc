"""Feed: views get every change of the tree, in order, and know when it is whole; their errors are theirs alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter import TreeCache, TreeEvent
from exporter.treecache.feed import Feed
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import AddedRun, Event, Fault, Outcome
from exporter.treecache.replica import Replica
from exporter.treecache.tree import Tree, record_of
from exporter.treecache.view import Batch, View
from exporter.zookeeper.records import UNREADABLE, child_count, data_of
from tests.simulation.fed import FedReplica, run_without_poison
from tests.simulation.harness import Harness

ADDED, UPDATED, REMOVED = TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED


class Mirror(View):
    """A copy of the tree that takes changes only in an order that makes sense."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.marks: list[str] = []
        self.is_complete = False

    def changed(self, batch: Batch) -> None:
        for one in batch:
            if isinstance(one, AddedRun):
                assert len({path.rpartition("/")[0] for path in one.paths}) == 1, "a run is of siblings"
        for event in self.each(batch):
            self._apply(event)

    def _apply(self, event: Event) -> None:
        kind, path, record, old = event
        held = self.held.get(path)
        if kind in (ADDED, View.NODE_UNREADABLE):
            assert not held, f"{path} is added, but was there"
            assert path == "" or path[: path.rindex("/")] in self.held, f"{path} is added before its parent"
            self.held[path] = UNREADABLE if kind == View.NODE_UNREADABLE else record or b""
            assert (kind == View.NODE_UNREADABLE) == (not record)
        elif kind == UPDATED:
            assert held == old, f"{path} is updated, but was not so before"
            assert record
            assert record != old, f"{path} is updated without a difference"
            self.held[path] = record
        else:
            assert kind == REMOVED
            assert held == (record or UNREADABLE), f"{path} is removed, but was not so before"
            assert record == old
            del self.held[path]

    def complete(self) -> None:
        assert not self.is_complete
        self.is_complete = True
        self.marks.append("complete")

    def incomplete(self) -> None:
        assert self.is_complete
        self.is_complete = False
        self.marks.append("incomplete")

    def reset(self) -> None:
        self.held.clear()
        self.is_complete = False
        self.marks.append("reset")


class MirroredReplica(FedReplica[Mirror]):
    """A replica with a mirror, which is compared with the tree after each turn.

    Every few turns another mirror joins, and takes the place of the one that joined before.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.late = self.new_view()
        self._turns = itertools.count(1)

    def new_view(self) -> Mirror:
        return Mirror()

    def take(self, now: float) -> Outcome:
        outcome = super().take(now)
        if next(self._turns) % 3 == 0:
            self.feed.remove(self.late)
            self.late = self.new_view()
            self.feed.join(self.late, self.tree, is_complete=self.is_in_sync)
        for mirror in self.feed.views:
            assert isinstance(mirror, Mirror)
            assert mirror.held == {path: record_of(entry) for path, entry in self.tree.walk()}
            assert mirror.is_complete == self.is_in_sync
        return outcome


@pytest.fixture(autouse=True)
def fed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has harnesses and schedules drive replicas with a mirror."""
    monkeypatch.setattr("tests.simulation.harness.Replica", MirroredReplica)


def fed_replica(harness: Harness) -> MirroredReplica:
    assert isinstance(harness.replica, MirroredReplica)
    return harness.replica


@pytest.fixture(params=["recursive", "classic"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """A replica of /app, loaded, at a server that has /app/a/b and /app/c."""
    harness = Harness(mode=request.param)
    for path in ("/app", "/app/a", "/app/a/b", "/app/c"):
        harness.server.create(path, path.encode())
    harness.start()
    return harness


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_a_view_equals_the_tree_after_each_turn_of_any_schedule(first: int) -> None:
    for seed in range(first, first + 25):
        run_without_poison(seed)


def test_the_marks_follow_connections_and_syncs(harness: Harness) -> None:
    mirror = fed_replica(harness).view
    assert mirror.marks == ["complete"]
    harness.server.disconnect()
    harness.deliver(len(harness.server.stream))
    harness.take()
    assert mirror.marks == ["complete", "incomplete"]
    assert len(mirror.held) == 4, "what it knew is still there"
    harness.resync()
    assert mirror.marks == ["complete", "incomplete", "complete"]


def test_a_view_learns_what_listeners_do_not(harness: Harness) -> None:
    replica, server = fed_replica(harness), harness.server
    harness.published()
    server.create("/app/c/new")
    harness.settle()
    assert harness.published() == [(ADDED, "/c/new")]
    assert child_count(replica.view.held["/c"]) == 1, "that the parent's children have changed"
    server.set_readable("/app/a", False)
    harness.resync()
    assert replica.view.held["/a"] == UNREADABLE, "that a znode is there but cannot be read"
    server.delete_all("/app/a")
    harness.settle()
    assert "/a" not in replica.view.held


def test_an_interruption_within_a_turn_is_no_secret() -> None:
    faults, mirror = list[Fault](), Mirror()
    feed = Feed(faults.extend)
    feed.add(mirror)
    root: list[Event | AddedRun] = [Event(ADDED, "", b"1"), Event(TreeEvent.INITIALIZED)]
    feed.take(root, interrupted=True, is_complete=True)
    feed.take([], interrupted=False, is_complete=True)
    assert mirror.marks == ["complete"]
    feed.take([Event(TreeEvent.CONNECTION_SUSPENDED)], interrupted=True, is_complete=True)
    assert mirror.marks == ["complete", "incomplete", "complete"]
    feed.interrupt()
    feed.reset()
    assert (mirror.marks[3:], mirror.held, faults) == (["incomplete", "reset"], {}, [])


def test_without_asides_the_batch_is_the_engines_own() -> None:
    class Keeper(View):
        batches: list[Batch] = []  # noqa: RUF012

        def changed(self, batch: Batch) -> None:
            self.batches.append(batch)

    feed, keeper = Feed(lambda faults: None), Keeper()
    feed.add(keeper)
    feed.take([], interrupted=True, is_complete=True)
    events: list[Event | AddedRun] = [Event(ADDED, "", b"1"), AddedRun(["/a"], [b"2"])]
    feed.take(events, interrupted=False, is_complete=True)
    assert keeper.batches[0] is events


class Broken(View):
    """Raises where it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        self._where, self._error = where, error
        self.calls: list[str] = []

    def _call(self, method: str) -> None:
        self.calls.append(method)
        if method == self._where:
            raise self._error

    def changed(self, batch: Batch) -> None:
        self._call("changed")

    def complete(self) -> None:
        self._call("complete")

    def incomplete(self) -> None:
        self._call("incomplete")

    def reset(self) -> None:
        self._call("reset")


@pytest.mark.parametrize("where", ["changed", "complete", "incomplete", "reset"])
def test_a_view_that_raises_ends_and_says_so_and_others_go_on(where: str) -> None:
    error, faults = SystemExit("said so"), list[Fault]()
    broken, mirror, feed = Broken(where, error), Mirror(), Feed(faults.extend)
    feed.add(broken)
    feed.add(mirror)
    for _ in range(2):
        feed.take([Event(ADDED, "", b"1")], interrupted=True, is_complete=True)
        feed.interrupt()
        feed.reset()
    assert mirror.marks == ["complete", "incomplete", "reset"] * 2
    assert faults == [Fault("view", error)]
    assert broken.failure is error
    assert broken.calls[-1] == where
    assert broken.calls.count(where) == 1


# Data.


class Reader(View):
    """Reads the data of what is called config, and of the root."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def reads(self, path: str) -> bool:
        self.asked.append(path)
        return path.endswith("/config") or not path

    def reads_below(self, path: str) -> bool:
        return "other" not in path


def loaded(*views: View, **options: Any) -> tuple[Harness, dict[str, bytes | None]]:
    """A replica with these views and without data, and the data that it holds by path."""
    harness = Harness("/app", keep_data=False, **options)
    feed = Feed(lambda faults: None)
    for view in views:
        feed.add(view)
    harness.replica.attend(feed)
    for path in ("", "/a", "/a/config", "/other", "/other/config", *(f"/{number}" for number in range(40)), "/config"):
        harness.server.create(f"/app{path}", b"data")
    harness.start()
    return harness, held_data(harness)


def held_data(harness: Harness) -> dict[str, bytes | None]:
    return {path: data_of(record_of(entry)) for path, entry in harness.replica.tree.walk()}


@pytest.fixture(name="plain")
def without_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has harnesses drive plain replicas."""
    monkeypatch.setattr("tests.simulation.harness.Replica", Replica)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_only_the_data_that_a_view_reads_is_kept(mode: str) -> None:
    reader = Reader()
    harness, data = loaded(View(), reader, mode=mode, audit_interval=60.0)
    kept = {"", "/a/config", "/config"} | ({"/other/config"} if mode == "classic" else set())
    assert {path for path, one in data.items() if one is not None} == kept
    assert len(data) == 46
    if mode == "recursive":
        assert not [path for path in reader.asked if path.startswith("/other/")], "asked once for all of them"
    for path in ("/a", "/a/config"):
        harness.server.set(f"/app{path}", b"more")
    harness.server.create("/app/a/config/config", b"new")
    harness.settle()
    changed = held_data(harness)
    assert (changed["/a"], changed["/a/config"], changed["/a/config/config"]) == (None, b"more", b"new")
    harness.audit()
    assert not any(harness.replica.audit.comparison.findings.mismatches.values())
    harness.resync()
    assert held_data(harness) == changed


@pytest.mark.usefixtures("plain")
def test_without_a_view_that_reads_no_data_is_kept() -> None:
    reader = Reader()
    reader.reads_anything = False
    _, data = loaded(View(), reader)
    assert set(data.values()) == {None}
    assert reader.asked == []


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("question", ["reads", "reads_below"])
def test_a_view_that_raises_when_asked_reads_nothing(question: str) -> None:
    def refuse(path: str) -> bool:
        raise LookupError(path)

    reader = Reader()
    setattr(reader, question, refuse)
    _, data = loaded(reader)
    assert {path for path, one in data.items() if one} <= {""}
    assert isinstance(reader.failure, LookupError)


# The cache.


def test_a_view_is_added_once_and_not_to_a_closed_cache() -> None:
    cache = TreeCache(KazooClient(), "/app")
    view = Mirror()
    assert cache.add_view(view) is view
    with pytest.raises(ValueError, match="has this view already"):
        cache.add_view(view)
    cache.remove_view(view)
    cache.remove_view(view)
    assert cache.add_view(view) is view
    cache._state = cache.STATE_CLOSED
    with pytest.raises(KazooException, match="closed cache"):
        cache.add_view(Mirror())


def test_a_view_that_joins_again_begins_anew() -> None:
    feed, mirror, tree = Feed(lambda faults: None), Mirror(), Tree()
    tree.add("", b"\0" * 68)
    for _ in range(2):
        feed.join(mirror, tree, is_complete=True)
        assert set(mirror.held) == {""}
        feed.remove(mirror)


def test_a_view_that_joins_and_raises_ends_alone() -> None:
    faults: list[Fault] = []
    feed, mirror, broken = Feed(faults.extend), Mirror(), Broken("changed", ValueError("no"))
    tree = Tree()
    tree.add("", b"\0" * 68)
    feed.join(mirror, tree, is_complete=True)
    feed.join(broken, tree, is_complete=True)
    assert [fault.kind for fault in faults] == ["view"]
    feed.take([Event(ADDED, "/a", b"1")], interrupted=False, is_complete=True)
    assert set(mirror.held) == {"", "/a"}
    assert mirror.marks == ["reset", "complete"]


def test_a_cache_counts_the_faults_of_its_views() -> None:
    cache = TreeCache(KazooClient(), "/app")
    view = cache.add_view(Broken("changed", ValueError("no")))
    heard: list[TreeEvent] = []
    cache.listen(heard.append, inline=True)
    happened: Sequence[Event] = [Event(ADDED, "", b"\0" * 72)]
    cache._publish(replica_outcome(happened))
    assert cache.stats().faults["view"] == 1
    assert [event.event_type for event in heard] == [ADDED]
    assert isinstance(view.failure, ValueError)


def test_a_cache_that_fails_or_ends_says_so_to_its_views() -> None:
    cache = TreeCache(KazooClient(), "/app")
    view = cache.add_view(Mirror())
    assert cache._feed is not None
    cache._feed.take([Event(ADDED, "", b"1")], interrupted=True, is_complete=True)
    cache._on_engine_failure(ValueError(), 0.1)
    assert view.marks == ["complete", "incomplete"]
    cache._forget()
    assert view.marks == ["complete", "incomplete", "reset"]
    assert view.held == {}


def replica_outcome(events: Sequence[Event]) -> Outcome:
    outcome = Replica("/app", CacheOptions()).take(0.0)
    outcome.events.extend(events)
    return outcome
