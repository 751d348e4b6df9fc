"""Freshness checks at a model server: what a check waits for, and when it requests a barrier."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.zookeeper.messages import BARRIERS
from exporter.zookeeper.wire import NO_AUTH, NOT_READ_ONLY, OK, THROTTLED, Check, Request, Sync
from tests.simulation.harness import Harness


@pytest.fixture(params=["recursive", "classic"])
def strategy(request: pytest.FixtureRequest) -> str:
    """Each of the two strategies."""
    return str(request.param)


def loaded(mode: str = "recursive", **options: Any) -> Harness:
    """A replica that has loaded /app and /app/a, and has verified that if it has a freshness interval."""
    harness = Harness(mode=mode, **options)
    harness.server.create("/app")
    harness.server.create("/app/a")
    harness.start()
    return harness


def verified(harness: Harness) -> float | None:
    barrier = harness.replica.freshness.verified
    return None if barrier is None else barrier.asked_at


def barriers_requested(harness: Harness) -> int:
    """How many barriers are under way."""
    return sum(isinstance(request, Check) for request in harness.server.requests)


def turn(harness: Harness) -> None:
    """Delivers all messages, lets the replica continue, and lets the server execute all requests."""
    harness.deliver(len(harness.server.stream))
    harness.take()
    while harness.server.requests:
        harness.server.execute()


def test_loaded_tree_is_verified_at_once_and_again_after_each_interval(strategy: str) -> None:
    harness = loaded(strategy, freshness_interval=30.0)
    first = verified(harness)
    assert first is not None
    harness.now = first + 29.9
    harness.settle()
    # The harness also waits for work that is due soon.
    assert verified(harness) == pytest.approx(first + 30, abs=0.1)


def test_checks_end_although_changes_never_do(strategy: str) -> None:
    harness = loaded(strategy)
    for _ in range(50):
        since = harness.now
        harness.replica.verify(since, since)
        for _ in range(12):
            for number in range(10):
                harness.server.set("/app/a", b"%d" % number)
            harness.server.create(f"/app/{harness.now}")
            turn(harness)
            assert harness.replica.pending_paths or harness.replica.outstanding_operations, "it is at rest"
        proven = verified(harness)
        assert proven is not None
        assert proven >= since


def test_newest_of_the_barriers_that_wait_is_verified_next() -> None:
    harness = loaded()
    harness.server.set("/app/a", b"new")
    harness.deliver(len(harness.server.stream))
    for _ in range(3):
        harness.request_barrier(BARRIERS[0])
        last = harness.now
        harness.server.execute()
        harness.deliver(len(harness.server.stream))
    harness.settle()
    assert verified(harness) == last


def test_a_barrier_of_another_replica_counts_and_puts_off_the_own() -> None:
    harness = loaded(freshness_interval=30.0)
    harness.now += 15
    harness.request_barrier(BARRIERS[0])
    asked_at = harness.now
    harness.settle()
    assert verified(harness) == asked_at
    harness.now = asked_at + 29
    harness.take()
    assert barriers_requested(harness) == 0
    harness.now = asked_at + 30
    harness.take()
    assert barriers_requested(harness) == 1


def test_a_weaker_barrier_proves_nothing_and_a_stronger_one_does() -> None:
    strict, lenient = loaded(), loaded(freshness_barrier="sync")
    for harness, kind in ((strict, "sync"), (lenient, "quorum")):
        harness.request_barrier(kind)
        harness.settle()
    assert verified(strict) is None
    assert verified(lenient) is not None


def test_a_server_without_a_quorum_is_asked_nothing() -> None:
    harness = loaded(freshness_interval=30.0)
    before = verified(harness)
    harness.server.disconnect()
    harness.server.connect(read_only=True)
    for _ in range(20):
        harness.now += 5
        turn(harness)
        assert not any(isinstance(request, Check | Sync) for request in harness.server.requests)
    assert verified(harness) == before
    harness.resync()
    assert verified(harness) != before


def failures(harness: Harness) -> dict[str, int]:
    """The numbers of failed checks, by reason."""
    return {reason: count for reason, count in harness.replica.freshness.failures.items() if count}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(THROTTLED, "throttled"), (NOT_READ_ONLY, "refused"), (NO_AUTH, "refused"), (-6, "refused"), (-1, "other")],
)
def test_a_barrier_that_fails_counts_once_and_is_repeated_a_second_later(error: int, reason: str) -> None:
    harness = loaded()
    harness.replica.verify(harness.now, harness.now)
    harness.take()
    harness.server.mishaps.append(error)
    turn(harness)
    turn(harness)
    assert failures(harness) == {reason: 1}
    assert barriers_requested(harness) == 0
    harness.now += 1
    harness.settle()
    assert verified(harness) is not None
    assert failures(harness) == {reason: 1}


def test_a_barrier_without_an_answer_counts_once_however_long_it_takes() -> None:
    harness = loaded(freshness_interval=30.0, freshness_timeout=5.0)
    harness.now += 30
    harness.take()
    for _ in range(10):
        harness.now += 10
        harness.take()
    assert failures(harness) == {"timeout": 1}
    assert barriers_requested(harness) == 1
    harness.settle()
    assert failures(harness) == {"timeout": 1}


def test_reads_that_take_too_long_count_as_well_and_still_prove() -> None:
    harness = loaded(freshness_timeout=5.0)
    harness.server.set("/app/a", b"new")
    harness.deliver(len(harness.server.stream))
    harness.request_barrier(BARRIERS[0])
    asked_at = harness.now
    harness.server.execute()
    harness.deliver(len(harness.server.stream))
    harness.take()
    harness.now += 6
    harness.take()
    assert failures(harness) == {"timeout": 1}
    harness.settle()
    assert verified(harness) == asked_at


@pytest.mark.parametrize("answered", [False, True])
def test_a_connection_that_goes_ends_the_check_and_counts_once(answered: bool) -> None:
    harness = loaded(freshness_interval=30.0)
    before = verified(harness)
    harness.now += 30
    harness.server.set("/app/a", b"new")
    harness.take()
    if answered:
        harness.server.execute()
        harness.deliver(len(harness.server.stream))
        harness.take()
    harness.server.disconnect()
    harness.deliver(len(harness.server.stream))
    harness.take()
    assert failures(harness) == {"connection_loss": 1}
    assert verified(harness) == before
    harness.now += 100
    harness.take()
    assert failures(harness) == {"connection_loss": 1}
    harness.resync()
    assert verified(harness) != before


def behind(barrier: str) -> Harness:
    """A replica at a leader that has not yet applied a write that followers have acknowledged, a second ago.

    ZooKeeper's leader answers `sync` without waiting for that.
    """
    harness = loaded(freshness_barrier=barrier)
    server = harness.server
    server.disconnect()
    server.connect(lag=1)
    harness.settle()
    server.set("/app/a", b"acknowledged")
    harness.now += 1
    carry_out = server._carry_out

    def answer_sync_at_once(request: Request) -> tuple[int, bytes]:
        return (OK, b"") if isinstance(request, Sync) else carry_out(request)

    server._carry_out = answer_sync_at_once  # type: ignore[method-assign]
    return harness


def test_sync_proves_too_much_at_a_leader_under_load_and_the_quorum_barrier_does_not() -> None:
    harness = behind("sync")
    harness.replica.verify(harness.now, harness.now)
    with pytest.raises(AssertionError, match="/app/a is older than verified"):
        harness.settle()
    harness = behind("quorum")
    since = harness.now
    harness.replica.verify(since, since)
    harness.settle()
    assert (verified(harness) or 0.0) >= since
    assert harness.held()["/app/a"].startswith(b"\0\0\0\x0cacknowledged")


def test_sync_proves_too_much_at_a_deposed_leader_and_the_quorum_barrier_nothing() -> None:
    harness = behind("sync")
    # Cut off from the others, it gets no more transactions, and does not know that yet.
    harness.server.catch_up = lambda count: None  # type: ignore[method-assign]
    harness.replica.verify(harness.now, harness.now)
    with pytest.raises(AssertionError, match="/app/a is older than verified"):
        harness.settle()
    harness = behind("quorum")
    since, before = harness.now, verified(harness)
    harness.replica.verify(since, since)
    turn_without_quorum(harness)
    assert verified(harness) == before


def turn_without_quorum(harness: Harness) -> None:
    """Lets the replica continue; requests that need a commit get no answer."""
    for _ in range(10):
        harness.deliver(len(harness.server.stream))
        harness.take()
        waiting = [request for request in harness.server.requests if isinstance(request, Check)]
        for request in waiting:
            harness.server.requests.remove(request)
        while harness.server.requests:
            harness.server.execute()
