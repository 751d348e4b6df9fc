"""Pauses: delays requests after a failure, longer each time, and reports the failure once."""

from __future__ import annotations

from exporter.treecache.backoff import PERSISTENT, Backoff, Strike
from exporter.treecache.outcome import Outbox
from exporter.treecache.timers import Timer, Timers

#: Seconds until the next attempt: after the first failure, and at most.
FIRST_DELAY, LONGEST_DELAY = 0.05, 5.0
#: The longest delay before reading the whole tree again, and how long after its delay a failure is remembered.
_LONGEST_RESYNC_DELAY, _RESYNC_GRACE = 30.0, 60.0


class Pauses:
    """Recent failures by name, and the pauses after them. Callers pass monotonic seconds.

    Args:
        timers: keep the pause.
        outbox: takes faults.
    """

    def __init__(self, timers: Timers, outbox: Outbox) -> None:
        self._timers = timers
        self._outbox = outbox
        self._failed = Backoff(FIRST_DELAY, LONGEST_DELAY)
        self._resyncs = Backoff(FIRST_DELAY, _LONGEST_RESYNC_DELAY, grace=_RESYNC_GRACE)

    def after(self, failed: str, now: float, error: BaseException | None = None) -> None:
        """Pauses after the failure of this name; reports `error`, if any, as `_report_once` does."""
        self._begin(self._failed.strike(failed, now), error)

    def before_resync(self, now: float, error: BaseException | None = None) -> None:
        """Pauses before everything is read again; reports `error`, if any, as `_report_once` does."""
        self._begin(self._resyncs.strike("resync", now), error)

    def clear(self) -> None:
        """Forgets failures: another server, or the same after a restart, may answer differently."""
        self._failed.clear()

    def unsettled(self, now: float) -> int:
        """How many names keep failing. From any thread."""
        return self._failed.unsettled(now)

    def _begin(self, strike: Strike, error: BaseException | None) -> None:
        self._timers.set(Timer.BACK_OFF, strike.due_at)
        if error is not None:
            self._report_once(strike, error)

    def _report_once(self, strike: Strike, error: BaseException) -> None:
        """Reports a fault the first time, and once more when it turns out to persist."""
        if strike.number in (1, PERSISTENT):
            self._outbox.fault("request" if strike.number == 1 else "unsettled", error)
