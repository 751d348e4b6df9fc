"""Pace: when the next refresh may leave. At once while changes are few; gathered for a moment when they stream in.

Each request costs the client and the ensemble about as much as a dozen of the operations in it. A stream of changes
that is followed request by request takes most of a processor; one that is looked at two hundred times a second is as
fresh to any reader and takes a fraction.
"""

from __future__ import annotations

#: Seconds between refreshes of a stream.
_INTERVAL = 0.005
#: Changes in a second that make a stream, those that keep it one, and the seconds over which they are counted: a short
#: burst is followed at once, and a short lull ends nothing.
_STREAM = 2000.0
_STILL_STREAM = 800.0
_WINDOW = 0.010


class Pace:
    """Spaces refreshes out. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._noted = 0
        self._counting_since = float("-inf")
        self._streaming = False
        self._due_at = float("-inf")

    @property
    def due_at(self) -> float:
        """When the next refresh may leave."""
        return self._due_at

    def note(self) -> None:
        """Notes a change, which the next refresh will follow."""
        self._noted += 1

    def sent(self, now: float) -> None:
        """Notes that a refresh left."""
        counted_for = now - self._counting_since
        if counted_for >= _WINDOW:
            self._streaming = self._noted > counted_for * (_STILL_STREAM if self._streaming else _STREAM)
            self._noted = 0
            self._counting_since = now
        self._due_at = now + _INTERVAL if self._streaming else now
