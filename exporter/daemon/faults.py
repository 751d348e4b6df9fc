"""Faults: logs and remembers the faults of one tree, and limits their number."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from exporter.process.repetitions import FAULT_INTERVAL, Repetitions
from exporter.telemetry.sources import Fault

#: Seconds within which faults of one kind are remembered as one, and how many of those are remembered.
TOGETHER = 60.0
REMEMBERED = 10
#: Characters of a fault's text that are kept; paths of znodes can be very long.
TEXT_LIMIT = 300


class FaultLog:
    """Logs the faults of one tree: one of each kind per minute as a warning, with the number of those held back before.

    Faults that are held back are still counted in metrics, and logged at debug.
    """

    def __init__(self, logger: structlog.stdlib.BoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = logger
        self._repetitions = Repetitions(FAULT_INTERVAL, clock)

    def __call__(self, fault: Exception) -> None:
        """To be given to a cache as its fault listener."""
        kind = type(fault).__name__
        held_back = self._repetitions.admit(kind)
        if held_back is None:
            self._log.debug("fault", fault=kind, reason=str(fault))
        elif held_back:
            self._log.warning("fault", fault=kind, reason=str(fault), held_back=held_back)
        else:
            self._log.warning("fault", fault=kind, reason=str(fault))


@dataclass
class _Burst:
    kind: str
    text: str
    began_at: float
    last_at: float
    count: int = 1


class FaultMemory:
    """Remembers the latest faults of one tree. Thread-safe. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._bursts: deque[_Burst] = deque(maxlen=REMEMBERED)

    def __call__(self, fault: Exception) -> None:
        """To be given to a cache as its fault listener."""
        kind, now = type(fault).__name__, self._clock()
        with self._lock:
            for burst in self._bursts:
                if burst.kind == kind and now - burst.began_at < TOGETHER:
                    burst.count += 1
                    burst.last_at = time.time()
                    return
            self._bursts.append(_Burst(kind, _in_words(fault), now, time.time()))

    def recent(self) -> list[Fault]:
        """The remembered faults, in the order in which they first occurred."""
        with self._lock:
            return [Fault(burst.text, burst.count, burst.last_at) for burst in self._bursts]


def _in_words(fault: Exception) -> str:
    text = f"{type(fault).__name__}: {fault}".removesuffix(": ")
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
