"""Timers: named times at which a replica has something to do even without a message."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """The reasons why a replica waits."""

    #: After a failure, until the next attempt.
    BACK_OFF = auto()
    #: After a reconnect, since a server loses all its clients at once: spreads their resyncs.
    SPREAD = auto()
    #: Until the next refresh of a stream of changes.
    PACING = auto()
    #: Until the rate limit allows the next read.
    RATE = auto()
    #: Until the session asks the server again what it supports.
    INQUIRY = auto()


#: While one of these is pending, nothing is sent.
_HOLDS = (Timer.BACK_OFF, Timer.SPREAD, Timer.PACING, Timer.RATE)
#: Timers that are computed anew when another hold ends.
_PASSING = (Timer.PACING, Timer.RATE)


class Timers:
    """The pending timers. Callers pass monotonic seconds."""

    def __init__(self) -> None:
        #: When each pending timer goes off.
        self.pending: dict[Timer, float] = {}

    def set(self, timer: Timer, due_at: float) -> None:
        """Sets a timer, replacing its previous time.

        A timer that holds reads back clears the timers that only space reads out: these are computed anew when the next
        read would leave.
        """
        if timer is not Timer.INQUIRY:
            self._clear(_PASSING)
        self.pending[timer] = due_at

    def stop(self, timer: Timer) -> None:
        """Stops a timer; does nothing if it is not pending."""
        self.pending.pop(timer, None)

    def release(self) -> None:
        """Stops all timers that hold reads back."""
        self._clear(_HOLDS)

    def go_off(self, now: float) -> tuple[Timer, ...]:
        """Removes and returns the timers that are due by now."""
        if not self.pending:
            return ()
        due = tuple(timer for timer, due_at in self.pending.items() if now >= due_at)
        self._clear(due)
        return due

    @property
    def is_holding(self) -> bool:
        """Whether a timer holds reads back."""
        return bool(self.pending) and any(timer in self.pending for timer in _HOLDS)

    @property
    def wake_at(self) -> float | None:
        """When the first of the pending timers goes off, or None."""
        return min(self.pending.values(), default=None)

    def _clear(self, timers: tuple[Timer, ...]) -> None:
        for timer in timers:
            self.pending.pop(timer, None)
