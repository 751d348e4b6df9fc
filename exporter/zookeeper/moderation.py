"""Moderation: lets watch events in quick succession gather for a moment, so that one wake-up reads many.

Network cards do the same with their interrupts. A server sends each event in its own packet; waking up for each
costs more than processing it.
"""

from __future__ import annotations

#: Seconds for which events may gather: the most by which reading one is delayed.
_PAUSE = 0.002
#: The average seconds between events below which a read counts as dense: more than 1,250 events a second.
_DENSE = 0.0008
#: Events gather after this many dense reads in a row. A shorter burst is read immediately.
_PATIENCE = 4


class Moderation:
    """Measures how densely events come. Callers pass monotonic seconds."""

    def __init__(self) -> None:
        self._events = 0
        self._read_at = 0.0
        self._dense_reads = 0
        #: For how many seconds arriving messages may gather before they are read, 0.0 for not at all.
        self.pause = 0.0

    def event(self) -> None:
        """Counts a watch event of the current read."""
        self._events += 1

    def read(self, now: float) -> None:
        """Ends a read, after `event` was called for each of its events."""
        is_dense = now - self._read_at < self._events * _DENSE
        self._dense_reads = self._dense_reads + 1 if is_dense else 0
        self._events, self._read_at = 0, now
        self.pause = _PAUSE if self._dense_reads >= _PATIENCE else 0.0
