"""FaultReports: tells fault listeners of each fault, and the log of what nobody else hears of, never in floods."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from exporter.process.greenlets import is_kill
from exporter.process.repetitions import Repetitions
from exporter.treecache.worker import in_words

logger = logging.getLogger(__name__)

FaultListener = Callable[[BaseException], object]

#: Seconds in which faults of one kind take one line of the log, and how many they were another.
INTERVAL = 60.0

_UNHANDLED = "unhandled tree cache error"
_RAISED = "a fault listener of the tree cache raised"


class FaultReports:
    """Hands faults to listeners; logs those that have none, and what the listeners raise.

    Of each kind, by the type of the exception, the first is logged with its traceback; of those that follow within
    `INTERVAL` only their number, by `sum_up`.

    Args:
        path: of the cache, for the log.
        listeners: those at the moment of a fault are told of it.
        clock: gives monotonic seconds.
    """

    def __init__(
        self, path: str, listeners: Sequence[FaultListener], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._listeners = listeners
        self._clock = clock
        self._repetitions = Repetitions(INTERVAL, clock)

    def report(self, error: BaseException) -> None:
        """Tells the listeners of a fault; raises nothing but what kills a greenlet."""
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
        """Logs how many were held back of what is over; gives the seconds until there may be more, None for never."""
        for kind, count in self._repetitions.take_overdue(at_once).items():
            logger.error("%s: %d more within the last minute", kind, count)
        due = self._repetitions.overdue_at
        return None if due is None else max(0.0, due - self._clock())

    def _log(self, what: str, error: BaseException) -> None:
        kind = f"{what} ({self._path}): {type(error).__name__}"
        if self._repetitions.admit(kind) is not None:
            logger.error("%s (%s): %s", what, self._path, in_words(error), exc_info=error)
