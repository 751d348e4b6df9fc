"""Moderation: lets watch events that come thick and fast gather for a moment, so that one wake-up reads many.

Network cards do the same with their interrupts. A server sends each event in a packet of its own; to wake for each of
them costs more than everything that is then done with it.
"""

from __future__ import annotations

#: Seconds for which events may gather, the most by which one is read later.
_PAUSE = 0.002
#: Seconds from one event to the next, on average, below which they come thick and fast: more than 1,250 a second.
_DENSE = 0.0008
#: After so many reads in a row that were dense. A burst that is over sooner is read at once.
_PATIENCE = 4


class Moderation:
    """Watches how densely events come. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._events = 0
        self._read_at = 0.0
        self._dense_reads = 0

    def event(self) -> None:
        """A watch event was among what is being read."""
        self._events += 1

    def read(self, now: float) -> None:
        """What had arrived has been read, and `event` called for each event in it."""
        is_dense = now - self._read_at < self._events * _DENSE
        self._dense_reads = self._dense_reads + 1 if is_dense else 0
        self._events, self._read_at = 0, now

    @property
    def pause(self) -> float:
        """For how long what arrives may gather before it is read, 0.0 for not at all."""
        return _PAUSE if self._dense_reads >= _PATIENCE else 0.0
