"""FaultReports: reports each fault to the fault listeners, or without any to the log, with repetitions limited."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from exporter.process.greenlets import is_kill
from exporter.process.repetitions import Repetitions
from exporter.treecache.worker import in_words

logger = logging.getLogger(__name__)

FaultListener = Callable[[BaseException], object]

#: Seconds in which faults of one kind take two lines of the log: the first fault, and the number of further ones.
INTERVAL = 60.0

_UNHANDLED = "unhandled tree cache error"
_RAISED = "a fault listener of the tree cache raised"


class FaultReports:
    """Calls the fault listeners; logs faults if there are none, and the exceptions of listeners.

    It logs the first fault of each kind (type of exception) with its traceback; `sum_up` logs the number of faults that
    follow within `INTERVAL`.

    Args:
        path: the cache's path, for the log.
        listeners: the fault listeners; the list may change.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, path: str, listeners: Sequence[FaultListener], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._listeners = listeners
        self._clock = clock
        self._repetitions = Repetitions(INTERVAL, clock)

    def report(self, error: BaseException) -> None:
        """Reports a fault to the listeners; raises only exceptions that kill a greenlet."""
        listeners = list(self._listeners)
        if not listeners:
            self._log(_UNHANDLED, error)
        for listener in listeners:
            try:
                listener(error)
            except BaseException as raised:
                if is_kill(raised):
                    raise
                self._log(_RAISED, raised)

    def sum_up(self, at_once: bool = False) -> float | None:
        """Logs the numbers held back whose interval is over; returns the seconds until the next is due, or None."""
        for kind, count in self._repetitions.take_overdue(at_once).items():
            logger.error("%s: %d more within the last minute", kind, count)
        due = self._repetitions.overdue_at
        return None if due is None else max(0.0, due - self._clock())

    def _log(self, what: str, error: BaseException) -> None:
        kind = f"{what} ({self._path}): {type(error).__name__}"
        if self._repetitions.admit(kind) is not None:
            logger.error("%s (%s): %s", what, self._path, in_words(error), exc_info=error)
