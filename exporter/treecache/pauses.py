"""Pauses: after something failed nothing is sent for a while, longer each time, and it is said once, not each time."""

from __future__ import annotations

from exporter.treecache.backoff import PERSISTENT, Backoff, Strike
from exporter.treecache.outcome import Outbox
from exporter.treecache.timers import Timer, Timers

#: Seconds until what failed is tried again: after the first time, and at the longest.
FIRST_DELAY, LONGEST_DELAY = 0.05, 5.0
#: The same for reading the whole tree again, and how long it is remembered that it was.
_LONGEST_RESYNC_DELAY, _RESYNC_GRACE = 30.0, 60.0


class Pauses:
    """What failed of late, by a name each, and when to go on. Times are monotonic seconds, given by the caller.

    Args:
        timers: where a pause is kept.
        outbox: where faults are reported.
    """

    def __init__(self, timers: Timers, outbox: Outbox) -> None:
        self._timers = timers
        self._outbox = outbox
        self._failed = Backoff(FIRST_DELAY, LONGEST_DELAY)
        self._resyncs = Backoff(FIRST_DELAY, _LONGEST_RESYNC_DELAY, grace=_RESYNC_GRACE)

    def after(self, failed: str, now: float, error: BaseException | None = None) -> None:
        """Pauses after what failed by this name; of the `error`, if any, see `_say_once`."""
        self._begin(self._failed.strike(failed, now), error)

    def before_resync(self, now: float, error: BaseException | None = None) -> None:
        """Pauses before everything is read again; of the `error` that it is for, if any, see `_say_once`."""
        self._begin(self._resyncs.strike("resync", now), error)

    def clear(self) -> None:
        """Forgets what failed: another server, or the same after its restart, may answer otherwise."""
        self._failed.clear()

    def unsettled(self, now: float) -> int:
        """How much fails again and again. From any thread."""
        return self._failed.unsettled(now)

    def _begin(self, strike: Strike, error: BaseException | None) -> None:
        self._timers.set(Timer.BACK_OFF, strike.due_at)
        if error is not None:
            self._say_once(strike, error)

    def _say_once(self, strike: Strike, error: BaseException) -> None:
        """A fault the first time, and one more when it is clear that it goes on."""
        if strike.number in (1, PERSISTENT):
            self._outbox.fault("request" if strike.number == 1 else "unsettled", error)
