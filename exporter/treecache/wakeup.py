"""Wakeup: lets one thread wait until others have work for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from kazoo.handlers.threading import SequentialThreadingHandler


class Wakeup(Protocol):
    """A flag that any thread sets and one thread waits for; the wait clears it."""

    def set(self) -> None:
        """Wakes the waiting thread, or lets its next wait return immediately."""

    def is_clear(self) -> bool:
        """Whether it was not set since it was last cleared."""

    def wait(self, timeout: float | None) -> None:
        """Waits until it is set, for at most `timeout` seconds; None for no limit."""


def wakeup(handler: Any) -> Wakeup:
    """A wakeup for the threads, or greenlets, of kazoo's `handler`."""
    return _LockWakeup() if type(handler) is SequentialThreadingHandler else _EventWakeup(handler.event_object())


class _LockWakeup:
    """A lock that is free while the wakeup is set. Python's Event makes a new lock for each wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.is_clear: Callable[[], bool] = self._lock.locked

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            # It is set already.
            return

    def wait(self, timeout: float | None) -> None:
        self._lock.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))


class _EventWakeup:
    """The handler's own event, which need not belong to threads."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def set(self) -> None:
        self._event.set()

    def is_clear(self) -> bool:
        return not self._event.is_set()

    def wait(self, timeout: float | None) -> None:
        self._event.wait(timeout)
        self._event.clear()
