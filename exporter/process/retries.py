"""Retries: when what failed is tried again by one who looks from time to time, each time after twice as many looks."""

from __future__ import annotations

#: Looks, at most, from one attempt to the next.
LONGEST = 16


class Retries:
    """Counts the looks since something failed."""

    def __init__(self) -> None:
        # Looks that are left until the next attempt, and those there were.
        self._left = self._wait = 1

    def is_due(self) -> bool:
        """Whether this look is one to try again at."""
        self._left -= 1
        if self._left > 0:
            return False
        self._wait = self._left = min(2 * self._wait, LONGEST)
        return True

    def settled(self) -> None:
        """Nothing is to be tried again; what fails from now on is so at the next look."""
        self._left = self._wait = 1
