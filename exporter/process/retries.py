"""Retries: when a periodic check tries again what failed: each time after twice as many checks as before."""

from __future__ import annotations

#: The maximum number of checks from one attempt to the next.
LONGEST = 16


class Retries:
    """Counts the checks since a failure."""

    def __init__(self) -> None:
        # Checks left until the next attempt, and their number at first.
        self._left = self._wait = 1

    def is_due(self) -> bool:
        """Whether to try again at this check."""
        self._left -= 1
        if self._left > 0:
            return False
        self._wait = self._left = min(2 * self._wait, LONGEST)
        return True

    def settled(self) -> None:
        """Notes a success: the next failure is tried again at the next check."""
        self._left = self._wait = 1
