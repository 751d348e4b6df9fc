"""Contradictory answers: the replica asks again ever less often, reports it once, and recovers with the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from exporter.treecache.backoff import UnsettledError
from exporter.treecache.events import TreeEvent
from exporter.treecache.shard import Shard
from exporter.zookeeper.messages import CHANGED, Barrier
from exporter.zookeeper.wire import THROTTLED, AddWatch, Request
from tests.simulation.harness import Harness
from tests.simulation.znodes import Znode

_SYSTEM_ERROR = -1
_HOUR = 3600.0


@pytest.fixture(params=["recursive", "classic"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """A replica of /app at a server that has /app/a/b and /app/c."""
    return made(request.param)


def made(mode: str, **options: Any) -> Harness:
    harness = Harness(mode=mode, **options)
    for path in ("/app", "/app/a", "/app/a/b", "/app/c"):
        harness.server.create(path, path.encode())
    return harness


def run(harness: Harness, seconds: float) -> list[int]:
    """Lets this much time pass, with a server that answers immediately; returns the requests of each minute."""
    server, end, began = harness.server, harness.now + seconds, harness.now
    minutes: Counter[int] = Counter()
    while harness.now < end:
        harness.deliver(len(server.stream))
        harness.take()
        while server.requests:
            minutes[int((harness.now - began) // 60)] += 1
            server.execute()
        if not server.stream:
            wake_at = harness.replica.wake_at
            harness.now = end if wake_at is None else min(max(harness.now, wake_at), end)
    return [minutes[minute] for minute in range(max(1, int(seconds // 60)))]


def unsettled(harness: Harness) -> int:
    return harness.replica.unsettled(harness.now)


def test_a_child_that_is_listed_and_not_there(harness: Harness) -> None:
    harness.server.haunt("/app/a", "ghost")
    harness.server.connect()
    first, *others = run(harness, _HOUR)
    assert harness.replica.initialized
    assert first < 60
    assert max(others) <= 6
    assert [type(fault) for fault in harness.faults] == [UnsettledError]
    assert "/app/a:" in str(harness.faults[0])
    assert unsettled(harness) == 1
    harness.server.exorcise("/app/a", "ghost")
    run(harness, 600)
    harness.check()
    assert unsettled(harness) == 0


def test_a_ghost_whose_parent_is_told_to_have_changed_is_over_at_once(harness: Harness) -> None:
    harness.server.haunt("/app/a", "ghost")
    harness.server.connect()
    run(harness, 600)
    harness.server.exorcise("/app/a", "ghost")
    harness.server.set("/app/a", b"new")
    run(harness, 0.1)
    assert unsettled(harness) == 0
    run(harness, 120)
    harness.check()


def test_ghosts_hold_up_nothing_else(harness: Harness) -> None:
    harness.server.haunt("/app/a", "ghost")
    harness.server.connect()
    run(harness, 600)
    harness.published()
    began = harness.now
    harness.server.set("/app/a/b", b"new")
    harness.server.create("/app/c/n")
    harness.settle()
    assert harness.published() == [(TreeEvent.NODE_UPDATED, "/a/b"), (TreeEvent.NODE_ADDED, "/c/n")]
    assert harness.now < began + 1.0


def test_a_parent_that_changes_is_listed_at_once_for_all_its_ghosts(harness: Harness) -> None:
    harness.server.haunt("/app/a", "ghost")
    harness.server.connect()
    run(harness, 600)
    harness.server.create("/app/a/n")
    harness.server.stream.clear()
    harness.server.set("/app/a", b"new")
    run(harness, 1.0)
    # The event of its creation was lost, but the parent's stat shows it.
    assert "/app/a/n" in harness.held()


def test_very_many_ghosts(harness: Harness) -> None:
    for number in range(300):
        harness.server.create(f"/app/c/{number}")
        harness.server.haunt(f"/app/c/{number}", "ghost")
    harness.server.connect()
    *_, last = run(harness, 600)
    # A list and a read of each per minute, most of them together with bulk reads.
    assert last <= (60 if harness.replica.mode == "recursive" else 4 * 300)
    assert len(harness.faults) == unsettled(harness) == 300


def test_suspects_are_looked_into_although_there_are_changes_all_the_time() -> None:
    harness = made("recursive")
    harness.start()
    harness.server.create("/app/a/n")
    harness.server.stream.clear()
    harness.server.set("/app/a", b"reported, unlike the child")
    for number in range(3000):
        harness.server.set("/app/c", b"%d" % number)
        harness.deliver(len(harness.server.stream))
        harness.take()
        if number % 3 == 0 and harness.server.requests:
            harness.server.execute()
    assert "/app/a/n" in harness.held()


@pytest.mark.parametrize("loaded", [True, False])
def test_a_znode_whose_reads_fail(harness: Harness, loaded: bool) -> None:
    if loaded:
        harness.start()
        harness.server.set("/app/c", b"new")
    else:
        harness.server.connect()
    harness.server.broken["/app/c"] = _SYSTEM_ERROR
    first, *others = run(harness, 600)
    assert first < 40
    assert max(others) <= 13
    assert len(harness.faults) == 2, "once at the start, and once when it persists"
    assert "/app/c" in str(harness.faults[0])
    assert harness.replica.initialized is loaded, "a load waits for all its reads"
    assert unsettled(harness) == 1
    assert harness.replica.pending_paths >= 1
    # Meanwhile all other changes are read.
    began = harness.now
    harness.server.set("/app/a/b", b"new")
    run(harness, 0.2)
    assert harness.held()["/app/a/b"] == harness.server.nodes["/app/a/b"].record
    assert harness.now < began + 1.0
    del harness.server.broken["/app/c"]
    run(harness, 60)
    harness.check()
    assert unsettled(harness) == 0


def test_a_check_waits_for_a_znode_whose_reads_fail(harness: Harness) -> None:
    harness.start()
    harness.server.broken["/app/c"] = _SYSTEM_ERROR
    harness.server.set("/app/c", b"new")
    run(harness, 10)
    asked_at = harness.now
    harness.replica.verify(asked_at, asked_at)
    run(harness, 30)
    assert harness.replica.freshness.verified is None or harness.replica.freshness.verified.asked_at < asked_at
    del harness.server.broken["/app/c"]
    run(harness, 30)
    harness.verify()


def test_reconnecting_asks_at_once(harness: Harness) -> None:
    harness.server.broken["/app/c"] = _SYSTEM_ERROR
    harness.server.haunt("/app/a", "ghost")
    harness.server.connect()
    run(harness, 600)
    harness.server.broken.clear()
    harness.server.exorcise("/app/a", "ghost")
    harness.server.disconnect()
    harness.server.connect()
    run(harness, 0.5)
    harness.check()
    assert unsettled(harness) == 0


def test_a_root_that_exists_and_is_not_there() -> None:
    harness = Harness(mode="classic")
    harness.server.leader.nodes["/app"] = Znode(b"", 1, 1, 1)
    harness.server.broken["/app"] = -101
    harness.server.connect()
    first, *others = run(harness, 600)
    assert first < 60
    assert max(others) <= 6
    assert [type(fault) for fault in harness.faults] == [UnsettledError]
    harness.server.broken.clear()
    run(harness, 120)
    assert harness.held().keys() == {"/app"}


def test_a_list_whose_stat_is_ever_newer_than_the_znodes() -> None:
    harness = made("classic")
    node = harness.server.leader.nodes["/app/a"]
    node.pzxid += 1000
    node.changed()
    harness.server.listed_stats["/app/a"] = node.record[-68:]
    node.pzxid -= 1000
    node.changed()
    harness.server.connect()
    first, *others = run(harness, 600)
    assert first < 60
    assert max(others) <= 6
    assert [type(fault) for fault in harness.faults] == [UnsettledError]


@pytest.mark.parametrize("error", [THROTTLED, _SYSTEM_ERROR])
def test_requests_that_fail_as_a_whole(harness: Harness, error: int) -> None:
    harness.start()
    harness.server.set("/app/c", b"new")
    minutes = []
    for _ in range(5):
        harness.server.mishaps.extend([error] * 100)
        minutes += run(harness, 60)
    assert max(minutes[1:]) <= 13
    assert len(harness.faults) == 2
    harness.server.mishaps.clear()
    run(harness, 10)
    harness.check()


def test_a_watch_of_a_shard_that_is_refused() -> None:
    harness = made("recursive", shard=Shard(0, 1))
    carry_out = harness.server._carry_out

    def refuse(request: Request) -> tuple[int, bytes]:
        return (_SYSTEM_ERROR, b"") if isinstance(request, AddWatch) else carry_out(request)

    harness.server._carry_out = refuse  # type: ignore[method-assign]
    harness.server.connect()
    *_, last = run(harness, 600)
    assert last <= 30
    assert len(harness.faults) == 2
    harness.server._carry_out = carry_out  # type: ignore[method-assign]
    run(harness, 60)
    harness.check()


def resyncs_in_the_last_minute(harness: Harness, provoke: Callable[[int], None]) -> int:
    """Provokes a resync each second for ten minutes; returns how many the tenth minute has."""
    for _ in range(10):
        before = harness.replica.syncs["reconnect"]
        for number in range(60):
            provoke(number)
            run(harness, 1.0)
    return harness.replica.syncs["reconnect"] - before


def test_events_that_are_never_true_lead_to_few_resyncs() -> None:
    harness = made("recursive")
    harness.start()
    assert resyncs_in_the_last_minute(harness, lambda _: harness.server.stray(CHANGED, "/app")) <= 3
    assert len(harness.faults) == 1


def test_barriers_that_fall_back_each_time_lead_to_few_resyncs() -> None:
    harness = made("recursive")
    harness.start()

    def fall_back(number: int) -> None:
        harness.replica.receive(Barrier("quorum", harness.now, 0.0, 1000 - 500 * (number % 2)), harness.now)

    assert resyncs_in_the_last_minute(harness, fall_back) <= 3
