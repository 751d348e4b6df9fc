"""Glances: small audits between two audits, to notice changed ACLs soon, which no watch event reports.

A glance reads the root and a few znodes spread over the tree. If it finds that the session may no longer read the root,
or several of the others, an audit of the whole tree follows immediately.
"""

from __future__ import annotations

from collections.abc import Collection

#: Znodes in one glance besides the root. If a fifth of a tree has become unreadable, 99 of 100 glances hit at least two
#: such znodes.
GLANCED = 32
_SEVERAL = 2
#: Seconds between two glances; more for a large tree, which takes longer to walk through.
_INTERVAL = 10.0
_ZNODES_A_SECOND = 5_000
#: Seconds between two audits of the whole tree after an alarm.
_REST = 60.0


class Glances:
    """Decides when a glance is due, and when it calls for an audit of the whole tree. Times are monotonic."""

    def __init__(self) -> None:
        #: When the next glance is due; None until the tree is complete for the first time.
        self.due_at: float | None = None
        self._turn = -1
        self._rests_until = float("-inf")

    def plan(self, now: float, znodes: int) -> None:
        """Plans the next glance, an interval from now; the interval grows with the number of `znodes`."""
        self.due_at = now + max(_INTERVAL, znodes / _ZNODES_A_SECOND)

    def next_turn(self) -> int:
        """The number of a glance that begins, counted from 0."""
        self._turn += 1
        return self._turn

    def are_due(self, now: float) -> bool:
        """Whether a glance is due."""
        return self.due_at is not None and now >= self.due_at

    def alarms(self, closed: Collection[str], now: float) -> bool:
        """Whether the paths that became unreadable call for an audit of the whole tree; at most once a minute."""
        if now < self._rests_until or ("" not in closed and len(closed) < _SEVERAL):
            return False
        self._rests_until = now + _REST
        return True
