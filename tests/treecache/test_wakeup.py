"""A wakeup wakes the waiting thread, is never lost, and is cleared by the wait."""

from __future__ import annotations

import threading
import time

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.treecache.wakeup import Wakeup, wakeup


class OtherHandler(SequentialThreadingHandler):  # type: ignore[misc]
    """A handler of another type with the same events."""


@pytest.fixture(params=[SequentialThreadingHandler, OtherHandler])
def wake(request: pytest.FixtureRequest) -> Wakeup:
    """A wakeup of each kind."""
    return wakeup(request.param())


def test_waiting_takes_it_back(wake: Wakeup) -> None:
    wake.set()
    assert not wake.is_clear()
    wake.wait(None)
    assert wake.is_clear()


def test_set_twice_is_set_once(wake: Wakeup) -> None:
    wake.set()
    wake.set()
    wake.wait(None)
    assert wake.is_clear()


def test_nothing_came_in_time(wake: Wakeup) -> None:
    began = time.monotonic()
    wake.wait(0.02)
    assert time.monotonic() - began >= 0.02
    wake.wait(0.0)
    assert wake.is_clear()


@pytest.mark.parametrize("timeout", [None, 3600.0])
def test_it_wakes_the_one_that_waits(wake: Wakeup, timeout: float | None) -> None:
    woken = threading.Event()

    def wait() -> None:
        wake.wait(timeout)
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not woken.wait(0.02)
    wake.set()
    assert woken.wait(10)


def test_none_is_lost_among_many_threads(wake: Wakeup) -> None:
    left: list[int] = []
    threads, each = 4, 5_000

    def leave() -> None:
        for number in range(each):
            left.append(number)
            if wake.is_clear():
                wake.set()

    for _ in range(threads):
        threading.Thread(target=leave, daemon=True).start()
    taken, deadline = 0, time.monotonic() + 30
    while taken < threads * each:
        wake.wait(deadline - time.monotonic())
        assert time.monotonic() < deadline
        taken = len(left)
