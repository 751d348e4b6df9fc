"""Clock: how far a server's clock is from the exporter's, by the header `Date` of an answer over HTTP."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

#: The form in which HTTP says a time (RFC 9110, IMF-fixdate).
_DATE = re.compile(rb"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
#: Seconds that a date leaves out on average: it has whole seconds, rounded down.
_LEFT_OUT = 0.5


def clock_offset(date: bytes, asked: float, answered: float) -> float | None:
    """The server's clock minus the exporter's, in seconds; None for a malformed date.

    The server read its clock at some time between question and answer, of which the middle is taken. So the result is
    wrong by at most half a second and half of that time.

    Args:
        date: the header.
        asked: when the question was sent, by the exporter's clock, in Unix time.
        answered: when the answer began to arrive.
    """
    if not _DATE.fullmatch(date):
        return None
    try:
        said = parsedate_to_datetime(date.decode()).timestamp()
    except ValueError:
        return None
    return said + _LEFT_OUT - (asked + answered) / 2
