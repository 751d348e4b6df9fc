"""Moments: when something happened, by both clocks, and as a Unix time that stands still while the fact does.

The monotonic clock measures durations; it has no date, and on Linux it stands still while the machine is suspended. The
wall clock has a date, and may be set. A Unix time that is worked out anew from both at each scrape trembles by the time
between the two readings, so that ``changes()`` counts changes where there are none. Here both clocks are read once,
when the thing happens.
"""

from __future__ import annotations

import time
from typing import NamedTuple

#: The most seconds between the two readings of a moment, unless the thread is interrupted each time.
_PRECISION = 0.0005
_TRIES = 5
#: Seconds by which the wall clock must have been set back to be noticed. NTP steps it by 128 ms and more; what is
#: less it slews, and Linux slews the monotonic clock with it.
_TOLERANCE = 2 * _PRECISION


class Moment(NamedTuple):
    """One point in time: ``monotonic`` and ``unix`` seconds, read in this order.

    Both are at or after the beginning and at or before the end of the call of `now` that made it.
    """

    monotonic: float
    unix: float

    @classmethod
    def now(cls) -> Moment:
        """This moment."""
        for _ in range(_TRIES):
            moment = cls(time.monotonic(), time.time())
            if time.monotonic() - moment.monotonic <= _PRECISION:
                break
        return moment


class SteadyTime:
    """The Unix time of the latest of a sequence of moments, for those who subtract it from the present wall clock.

    It stands still until the next moment, with one exception. If the wall clock was set back since, the time that was
    read then lies too late by what is now the clock's time, and would make things look younger than they are: it is
    then set back as well, once. A clock that was set forward makes them look older, until the next moment. How long the
    machine slept before its clock was set back is not noticed.
    """

    def __init__(self) -> None:
        self._published: tuple[Moment, float] | None = None

    def of(self, moment: Moment | None) -> float:
        """The moment in Unix seconds; 0.0 for none."""
        if moment is None:
            return 0.0
        published = self._published
        unix = published[1] if published is not None and published[0] == moment else moment.unix
        now = Moment.now()
        by_this_clock = now.unix - (now.monotonic - moment.monotonic)
        if by_this_clock < unix - _TOLERANCE:
            unix = by_this_clock - _PRECISION
        self._published = (moment, unix)
        return unix
