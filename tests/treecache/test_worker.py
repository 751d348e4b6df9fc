"""Turns continue after any exception, each failure is noted, and no wait for the end lasts forever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.treecache import worker as module
from exporter.treecache.worker import DECLINED, RESTS, Worker
from tests.support import eventually

RAISED = [
    RuntimeError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    MemoryError,
    asyncio.CancelledError,
    BaseException,
]


class Turns:
    """Counts turns, and raises the given errors in the first of them."""

    def __init__(self) -> None:
        self.taken = 0
        self.patience: float | None = None
        self.errors: list[BaseException] = []
        self.failures: list[BaseException] = []
        self.ended = 0
        self.at_end: Callable[[], None] = lambda: None

    def __call__(self) -> float | None:
        self.taken += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.patience

    def fail(self, error: BaseException, delay: float) -> None:
        self.failures.append(error)

    def end(self) -> None:
        self.ended += 1
        self.at_end()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def worker(turns: Turns) -> Iterator[Worker]:
    worker = Worker(SequentialThreadingHandler(), turns, failed=turns.fail, ended=turns.end)
    yield worker
    worker.stop()
    assert worker.wait_over(20)


def test_a_turn_is_taken_at_the_start_and_whenever_it_is_woken(worker: Worker, turns: Turns) -> None:
    worker.start()
    for number in range(1, 4):
        eventually(partial(lambda number: turns.taken == number, number))
        worker.wake()


@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_turn_raises_is_a_failure_until_the_next_start(
    worker: Worker, turns: Turns, error: type[BaseException]
) -> None:
    recovering, go_on = threading.Event(), threading.Event()

    def recover() -> None:
        recovering.set()
        go_on.wait(20)

    worker._recover = recover
    turns.errors = [error("said so")]
    worker.start()
    assert recovering.wait(20)
    assert worker.failure is not None
    assert worker.failure.reason == f"{error.__name__}: said so"
    assert (worker.restarts, turns.taken) == (0, 1)
    go_on.set()
    eventually(lambda: turns.taken == 2)
    assert worker.restarts == 1
    assert worker.retry_at is None
    assert [type(one) for one in turns.failures] == [error]


def test_failures_in_a_row_are_further_and_further_apart(
    worker: Worker, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(module, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.004)
    since: list[float | None] = []

    def fail(error: BaseException, delay: float) -> None:
        delays.append(delay)
        since.append(worker.failure and worker.failure.at)

    worker._failed = fail
    turns.errors = [RuntimeError("again") for _ in range(5)]
    before = time.time()
    worker.start()
    eventually(lambda: worker.restarts == 5 and worker.failure is None)
    assert delays == [0.001, 0.002, 0.004, 0.004, 0.004]
    # All failures in a row count from the first.
    assert len(since) == 5
    assert set(since) == {since[0]}
    assert before <= (since[0] or 0) <= time.time()


def test_a_failure_to_tell_of_a_failure_or_to_recover_is_no_end(worker: Worker, turns: Turns) -> None:
    def fail(error: BaseException, delay: float) -> None:
        raise MemoryError

    recoveries = iter([MemoryError(), SystemExit()])

    def recover() -> None:
        for error in recoveries:
            raise error

    worker._failed, worker._recover = fail, recover
    turns.errors = [MemoryError()]
    worker.start()
    eventually(lambda: turns.taken == 2 and worker.failure is None)


def test_at_rest_there_is_no_thread_and_a_wakeup_makes_one(worker: Worker, turns: Turns) -> None:
    before = set(threading.enumerate())
    turns.patience = RESTS
    worker.start()
    for number in range(1, 4):
        eventually(partial(lambda number: turns.taken == number and set(threading.enumerate()) <= before, number))
        worker.wake()
    assert worker.failure is None


def test_no_wakeup_is_lost_to_a_rest(worker: Worker, turns: Turns) -> None:
    """Each turn is requested while the thread is about to rest."""
    turns.patience = RESTS
    worker.start()
    for _ in range(500):
        taken = turns.taken
        worker.wake()
        eventually(partial(lambda taken: turns.taken > taken, taken), interval=0)


def wake_often(worker: Worker) -> None:
    for _ in range(300):
        worker.wake()


def test_several_who_wake_it_at_rest_make_one_thread(worker: Worker, turns: Turns) -> None:
    running = most = 0

    def turn() -> float | None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        turns.taken += 1
        running -= 1
        return RESTS

    worker._turn = turn
    worker.start()
    threads = [threading.Thread(target=wake_often, args=(worker,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    eventually(lambda: worker.is_unasked())
    assert most == 1


class Spawner(SequentialThreadingHandler):  # type: ignore[misc]
    """A handler that, if set to, makes no thread, or one that ends before it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = self.kills = False

    def spawn(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        if self.refuses:
            raise RuntimeError("can't start new thread")
        return super().spawn(func if not self.kills else lambda *_: None, *args, **kwargs)


def goes_on(worker: Worker) -> bool:
    worker.revive()
    return worker.failure is None


def test_a_thread_that_is_not_to_be_had_is_a_failure_and_made_later(turns: Turns) -> None:
    handler = Spawner()
    turns.patience = RESTS
    worker = Worker(handler, turns, failed=turns.fail, ended=turns.end)
    worker.start()
    eventually(lambda: turns.taken == 1 and worker.is_unasked())
    handler.refuses = True
    worker.wake()
    assert worker.failure is not None
    handler.refuses = False
    eventually(lambda: goes_on(worker) and turns.taken > 1)
    worker.stop()
    assert worker.wait_over(20)


def test_a_thread_that_was_ended_before_it_began_is_a_failure_and_replaced(turns: Turns) -> None:
    handler = Spawner()
    worker = Worker(handler, turns, failed=turns.fail, ended=turns.end)
    handler.kills = True
    worker.start()
    eventually(lambda: worker.failure is not None)
    handler.kills = False
    eventually(lambda: goes_on(worker) and turns.taken == 1)
    assert worker.restarts == 1
    worker.stop()
    assert worker.wait_over(20)


def test_what_was_ended_before_it_began_can_be_stopped(turns: Turns) -> None:
    handler = Spawner()
    handler.kills = True
    worker = Worker(handler, turns, failed=turns.fail, ended=turns.end)
    worker.start()
    eventually(lambda: worker.failure is not None)
    worker.stop()
    assert worker.wait_over(20)
    assert turns.ended == 1


@pytest.mark.parametrize("patience", [None, RESTS])
def test_the_end_comes_once(worker: Worker, turns: Turns, patience: float | None) -> None:
    turns.patience = patience
    worker.start()
    eventually(lambda: turns.taken == 1)
    for _ in range(2):
        worker.stop()
        assert worker.wait_over(20)
    assert turns.ended == 1
    worker.wake()
    assert turns.taken <= 2


def test_what_never_started_ends(turns: Turns) -> None:
    worker = Worker(SequentialThreadingHandler(), turns, ended=turns.end)
    worker.stop()
    assert worker.wait_over(20)


def test_nobody_waits_for_their_own_end_nor_longer_than_they_want(worker: Worker, turns: Turns) -> None:
    answers: list[bool] = []
    go_on, at_work = threading.Event(), threading.Event()

    def turn() -> float | None:
        worker.stop()
        answers.append(worker.wait_over(20))
        at_work.set()
        go_on.wait(20)
        return None

    worker._turn = turn
    worker.start()
    assert at_work.wait(20)
    assert not worker.wait_over(0.01)
    assert answers == [False]
    go_on.set()
    assert worker.wait_over(20)


def test_an_end_that_fails_is_one(worker: Worker, turns: Turns) -> None:
    def fail() -> None:
        raise MemoryError

    turns.at_end = fail
    worker.start()
    eventually(lambda: turns.taken == 1)
    worker.stop()
    assert worker.wait_over(20)


# Guests


@pytest.fixture
def idle(worker: Worker, turns: Turns) -> Worker:
    """A worker that waits for its second turn."""
    worker.start()
    eventually(lambda: turns.taken == 1 and worker.visit(worker._turn))
    turns.taken = 0
    return worker


def test_a_guest_takes_a_turn_in_its_own_thread(idle: Worker) -> None:
    by: list[int] = []
    idle._turn = lambda: by.append(threading.get_ident())
    assert idle.visit(idle._turn)
    assert by == [threading.get_ident()]
    assert not idle.is_current()


def test_a_guest_that_declines_requests_no_turn(idle: Worker) -> None:
    assert not idle.visit(lambda: DECLINED)
    assert idle.is_unasked()


def test_a_guest_comes_to_no_turn_that_is_under_way_or_requested(worker: Worker, turns: Turns) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def turn() -> float | None:
        turns.taken += 1
        at_work.set()
        go_on.wait(20)
        return None

    worker._turn = turn
    assert not worker.visit(worker._turn), "it has not begun"
    worker.start()
    assert at_work.wait(20)
    assert not worker.visit(worker._turn)
    worker.wake()
    go_on.set()
    eventually(lambda: turns.taken == 2)
    eventually(lambda: worker.visit(worker._turn))
    worker.stop()
    assert not worker.visit(worker._turn)


@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_guests_turn_raises_is_a_failure_that_the_workers_thread_recovers_from(
    idle: Worker, turns: Turns, error: type[BaseException]
) -> None:
    recovering, go_on = threading.Event(), threading.Event()

    def recover() -> None:
        recovering.set()
        go_on.wait(20)

    idle._recover = recover
    turns.errors = [error("said so")]
    assert idle.visit(idle._turn)
    assert idle.failure is not None
    assert idle.failure.reason == f"{error.__name__}: said so"
    assert not idle.visit(idle._turn)
    assert recovering.wait(20)
    assert turns.taken == 1
    go_on.set()
    eventually(lambda: turns.taken == 2)
    assert idle.restarts == 1
    assert [type(one) for one in turns.failures] == [error]


def test_after_a_guests_turn_the_workers_own_next_turn_comes_when_that_wants_it(idle: Worker, turns: Turns) -> None:
    turns.patience = 0.001
    assert idle.visit(idle._turn)
    eventually(lambda: turns.taken > 2)


def test_a_guest_may_stop_the_worker_which_ends_after_the_guests_turn(idle: Worker, turns: Turns) -> None:
    ended: list[int] = []

    def turn() -> float | None:
        idle.stop()
        assert idle.is_current()
        assert not idle.wait_over(20)
        ended.append(turns.ended)
        return None

    idle._turn = turn
    assert idle.visit(idle._turn)
    assert idle.wait_over(20)
    assert (ended, turns.ended) == ([0], 1)


def test_turns_of_guests_and_of_the_worker_never_overlap(worker: Worker, turns: Turns) -> None:
    running, overlaps = threading.Lock(), 0

    def turn() -> float | None:
        nonlocal overlaps
        if not running.acquire(blocking=False):
            overlaps += 1
            return None
        turns.taken += 1
        running.release()
        return 0.0001

    worker._turn = turn
    worker.start()
    guests = [threading.Thread(target=lambda: [worker.visit(worker._turn) for _ in range(500)]) for _ in range(3)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join(60)
    assert overlaps == 0


def test_what_kills_the_guest_is_a_failure_and_goes_on_killing_it(
    idle: Worker, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_kill", lambda error: isinstance(error, KeyboardInterrupt))
    turns.errors = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        idle.visit(idle._turn)
    assert idle.failure is not None
    eventually(lambda: idle.restarts == 1)
