"""Wakeup: one thread waits until others have left something for it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Protocol

from kazoo.handlers.threading import SequentialThreadingHandler


class Wakeup(Protocol):
    """Set by any thread, waited for by one; to have waited for it takes it back."""

    def set(self) -> None:
        """Wakes the one that waits, or spares it the next wait."""

    def is_set(self) -> bool:
        """Whether it was set and not waited for since."""

    def wait(self, timeout: float | None) -> None:
        """Waits until it is set, at most so many seconds, None for any time."""


def wakeup(handler: Any) -> Wakeup:
    """A wakeup among what kazoo's `handler` calls threads."""
    return _LockWakeup() if type(handler) is SequentialThreadingHandler else _EventWakeup(handler.event_object())


class _LockWakeup:
    """A lock that is free while the wakeup is set. Python's Event does the same with a fresh lock for each wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        # Somebody else may do the same just now.
        with suppress(RuntimeError):
            self._lock.release()

    def is_set(self) -> bool:
        return not self._lock.locked()

    def wait(self, timeout: float | None) -> None:
        self._lock.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))


class _EventWakeup:
    """The handler's own event, which need not be one of threads."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return bool(self._event.is_set())

    def wait(self, timeout: float | None) -> None:
        self._event.wait(timeout)
        self._event.clear()
