"""Timers: when a replica has something to do although no message came, each reason by its name, with its own time."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """What a replica waits for."""

    #: Something failed, and is tried again.
    BACK_OFF = auto()
    #: The servers of an ensemble lose all of their clients at once: each reads everything again a little later.
    SPREAD = auto()
    #: The next refresh of a stream of changes leaves.
    PACING = auto()
    #: The rate limit lets the next read leave.
    RATE = auto()
    #: What the server can do is asked again.
    INQUIRY = auto()


#: While one of these is pending, nothing is sent.
_HOLDS = (Timer.BACK_OFF, Timer.SPREAD, Timer.PACING, Timer.RATE)
#: What is judged anew once something else lets reads leave.
_PASSING = (Timer.PACING, Timer.RATE)


class Timers:
    """The pending timers. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}

    def set(self, timer: Timer, due_at: float) -> None:
        """Has a timer go off at a time, instead of the one that was set before.

        A timer that keeps reads from being sent takes the place of those that only space them out: these are judged
        anew when the next read would leave.
        """
        if timer is not Timer.INQUIRY:
            self._clear(_PASSING)
        self._due[timer] = due_at

    def stop(self, timer: Timer) -> None:
        """Has a timer not go off; does nothing if it is not pending."""
        self._due.pop(timer, None)

    def release(self) -> None:
        """Stops everything that keeps reads from being sent."""
        self._clear(_HOLDS)

    def go_off(self, now: float) -> tuple[Timer, ...]:
        """The timers that are due by now, which are pending no more."""
        if not self._due:
            return ()
        due = tuple(timer for timer, due_at in self._due.items() if now >= due_at)
        self._clear(due)
        return due

    @property
    def is_holding(self) -> bool:
        """Whether nothing may be sent yet."""
        return bool(self._due) and any(timer in self._due for timer in _HOLDS)

    @property
    def wake_at(self) -> float | None:
        """When the first of the pending timers goes off, or None."""
        return min(self._due.values(), default=None)

    def _clear(self, timers: tuple[Timer, ...]) -> None:
        for timer in timers:
            self._due.pop(timer, None)
