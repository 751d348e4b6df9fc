"""Moments: when something happened, by both clocks, and as a Unix time that stays constant.

The monotonic clock measures durations; it has no date, and on Linux it stops while the machine is suspended. The wall
clock has a date, and may be set. A Unix time that is computed from both at each scrape varies by the time between the
two readings, so that ``changes()`` counts changes that did not happen. So both clocks are read once, at the moment.
"""

from __future__ import annotations

import time
from typing import NamedTuple

#: The maximum number of seconds between a moment's two readings, unless the thread is interrupted at each attempt.
_PRECISION = 0.0005
_TRIES = 5
#: The minimum number of seconds by which setting back the wall clock is noticed. NTP steps it by 128 ms and more; it
#: slews smaller differences, and Linux slews the monotonic clock as well.
_TOLERANCE = 2 * _PRECISION


class Moment(NamedTuple):
    """One point in time: ``monotonic`` and ``unix`` seconds, read in this order.

    Those of `now` are made within its call.
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
    """The Unix time of the latest of a sequence of moments, to subtract from the present wall clock.

    It stays constant until the next moment, with one exception. If the wall clock is set back after the moment, the
    time read then is too late by the new clock, and would make things look younger than they are: so it is set back by
    as much, once. A clock set forward makes things look older, until the next moment. Time for which the machine slept
    before its clock was set back is not noticed.
    """

    def __init__(self) -> None:
        self._published: tuple[Moment, float] | None = None

    def of(self, moment: Moment | None) -> float:
        """The moment in Unix seconds; 0.0 for None."""
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
