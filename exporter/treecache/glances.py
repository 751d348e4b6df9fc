"""Glances: small looks at a tree between two audits, for what no watch tells and is to be known soon: a changed ACL.

A glance reads the root and a few znodes that are spread over the tree. Where it finds that the session may no longer
read the root, or several of them, an audit of the whole tree follows at once.
"""

from __future__ import annotations

from collections.abc import Collection

#: Znodes beside the root in one glance. Where a fifth of a tree became unreadable, two of them or more show it in 99 of
#: 100 glances.
GLANCED = 32
_SEVERAL = 2
#: Seconds between two glances. It takes time to pass through a large tree, so there are fewer glances at it.
_INTERVAL = 10.0
_ZNODES_A_SECOND = 5_000
#: Seconds between two audits of the whole tree for this reason.
_REST = 60.0


class Glances:
    """Decides when a glance is due, and when what was found asks for an audit of everything. Times are monotonic."""

    def __init__(self) -> None:
        #: When the next glance is due; None before the tree was complete for the first time.
        self.due_at: float | None = None
        self._turn = -1
        self._rests_until = float("-inf")

    def plan(self, now: float, znodes: int) -> None:
        """The next glance at a tree of so many znodes comes an interval from now."""
        self.due_at = now + max(_INTERVAL, znodes / _ZNODES_A_SECOND)

    def next_turn(self) -> int:
        """Counts a glance that begins: from 0 on."""
        self._turn += 1
        return self._turn

    def are_due(self, now: float) -> bool:
        """Whether it is time for one."""
        return self.due_at is not None and now >= self.due_at

    def alarms(self, closed: Collection[str], now: float) -> bool:
        """Whether the paths that became unreadable ask for an audit of everything. There is one a minute at most."""
        if now < self._rests_until or ("" not in closed and len(closed) < _SEVERAL):
            return False
        self._rests_until = now + _REST
        return True
