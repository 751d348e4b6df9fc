"""Repetitions: limits how often a message is logged, and counts how often it was held back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Seconds until a fault of the same kind is logged again.
FAULT_INTERVAL = 60.0
#: Distinct messages to remember; more of them than that are no repetitions.
_REMEMBERED = 256


class Repetitions:
    """Admits each message once in `interval` seconds, and counts how often it was held back since; thread-safe."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        # Held only briefly, where no greenlet switch can happen. Reentrant: a listener that logs may come here again.
        self._lock = threading.RLock()
        self._admitted_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def admit(self, message: str) -> int | None:
        """How often the message was held back since it was last admitted; None if it is held back now."""
        now = self._clock()
        with self._lock:
            last = self._admitted_at.get(message)
            if last is not None and now - last < self._interval:
                self._held_back[message] = self._held_back.get(message, 0) + 1
                return None
            while len(self._admitted_at) >= _REMEMBERED:
                oldest = next(iter(self._admitted_at))
                del self._admitted_at[oldest]
                self._held_back.pop(oldest, None)
            # Removed first, so that the dictionary stays in the order of time.
            self._admitted_at.pop(message, None)
            self._admitted_at[message] = now
            return self._held_back.pop(message, 0)

    def take_overdue(self, at_once: bool = False) -> dict[str, int]:
        """Takes the counts of held-back messages whose interval has ended, or of all with `at_once`."""
        if not self._held_back:
            return {}
        with self._lock:
            now = self._clock()
            due = (one for one in self._held_back if at_once or now - self._admitted_at[one] >= self._interval)
            overdue = list(due)
            for message in overdue:
                self._admitted_at.pop(message)
                self._admitted_at[message] = now
            return {message: self._held_back.pop(message) for message in overdue}

    @property
    def overdue_at(self) -> float | None:
        """When `take_overdue` will have a count to give, by the clock; None if nothing is held back."""
        if not self._held_back:
            return None
        with self._lock:
            return min((self._admitted_at[one] + self._interval for one in self._held_back), default=None)
