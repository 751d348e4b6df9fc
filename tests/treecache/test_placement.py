"""Which turns are short: turns of a cache in sync with little to apply, and no work due by a timer."""

from __future__ import annotations

import math

import pytest

from exporter.treecache.placement import SHORT, is_short
from exporter.treecache.reading import AUDITED, SHORT_BYTES
from exporter.treecache.walk import Walk
from exporter.zookeeper.messages import CHANGED, Barrier, Connected, Message, Reply, Suspended, WatchEvent
from exporter.zookeeper.wire import NO_NODE, GetChildren, GetData, MultiRead, Sync
from tests.simulation.harness import Harness

EVENT = WatchEvent(CHANGED, "/app/a", -1)


@pytest.fixture(params=["recursive", "classic"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """A replica of /app, connected and in sync, with either strategy."""
    harness = Harness(mode=request.param)
    for path in ("/app", "/app/a", "/app/b"):
        harness.server.create(path, b"")
    harness.start()
    return harness


def reply(operations: int, size: int) -> Reply:
    return Reply(MultiRead("/app", ["/a"] * operations, []), 1, 0, bytes(size), 16)


@pytest.mark.parametrize(
    "messages",
    [
        [EVENT],
        [EVENT] * SHORT,
        [reply(1, 100)],
        [reply(SHORT, SHORT_BYTES)],
        [Reply(Sync("/app"), 1, 0, b"", 0)],
        [Barrier("sync", 1.0, 2.0, 3), EVENT],
    ],
)
def test_a_refresh_is_short(harness: Harness, messages: list[Message]) -> None:
    assert is_short(harness.replica, messages, harness.time_left)


@pytest.mark.parametrize(
    "messages",
    [
        [EVENT] * (SHORT + 1),
        [reply(SHORT + 1, 100)],
        [EVENT, reply(1, SHORT_BYTES + 1)],
        [Connected("host:2181")],
        [EVENT, Suspended()],
        ["something else"],
    ],
)
def test_what_may_take_longer_is_not(harness: Harness, messages: list[Message]) -> None:
    assert not is_short(harness.replica, messages, harness.time_left)


@pytest.mark.parametrize("path", ["/a", ""])
def test_the_removal_of_a_znode_with_children_is_not(harness: Harness, path: str) -> None:
    harness.server.create("/app/a/below", b"")
    harness.settle()
    gone = MultiRead("/app", [path], [])
    _, body = gone.refused(NO_NODE)
    assert not is_short(harness.replica, [Reply(gone, 1, 0, body, 0)], harness.time_left)
    leaf = MultiRead("/app", ["/b"], [])
    assert is_short(harness.replica, [Reply(leaf, 1, 0, body, 0)], harness.time_left)
    single = GetData("/app", path)
    assert not is_short(harness.replica, [Reply(single, 1, NO_NODE, b"", 0)], harness.time_left)
    listing = GetChildren("/app", path)
    assert not is_short(harness.replica, [Reply(listing, 1, 0, b"", 0)], harness.time_left)


def test_a_turn_after_which_much_else_is_read_is_not(harness: Harness) -> None:
    for number in range(SHORT + 2):
        harness.server.create(f"/app/more-{number}", b"")
    harness.settle()
    for number in range(SHORT + 2):
        harness.server.set(f"/app/more-{number}", b"changed")
    harness.deliver(SHORT + 2)
    assert not is_short(harness.replica, [EVENT], harness.time_left)


@pytest.mark.parametrize("more", [0, SHORT])
def test_a_load_is_not_unless_it_begins(harness: Harness, more: int) -> None:
    for number in range(more):
        harness.server.create(f"/app/more-{number}", b"")
    harness.settle()
    harness.server.disconnect(0)
    harness.server.connect()
    harness.deliver(len(harness.server.stream))
    harness.take()
    assert not harness.replica.is_in_sync
    assert is_short(harness.replica, [EVENT], math.inf) == (more == 0)


def test_what_a_timer_brings_is_not(harness: Harness) -> None:
    harness.replica.verify(harness.now, harness.now)
    harness.take()
    assert is_short(harness.replica, [EVENT], harness.time_left)
    harness.now += harness.time_left
    assert not is_short(harness.replica, [EVENT], harness.time_left)


@pytest.mark.parametrize("at_hand", [True, False])
def test_an_audit_is_short_but_for_its_lists_and_for_passing_the_tree(
    monkeypatch: pytest.MonkeyPatch, at_hand: bool
) -> None:
    monkeypatch.setattr(Walk, "has_at_hand", lambda self, count: at_hand)
    harness = Harness(mode="recursive", audit_interval=30.0)
    harness.server.create("/app")
    for number in range(9 * AUDITED):
        harness.server.create(f"/app/{number:04}", bytes(200))
    harness.start()
    audit = harness.replica.audit
    assert audit.due_at is not None
    harness.now = audit.due_at
    harness.take()
    requests = list(audit.comparison.requests)
    assert [bool(request.lists) for request in requests] == [True, False, False, False]
    for request in requests:
        answer = Reply(request, 1, 0, bytes(2 * SHORT_BYTES), 16)
        assert is_short(harness.replica, [answer, EVENT], 1.0) is (at_hand and not request.lists)
