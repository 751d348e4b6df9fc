"""RateLimit: how many znodes may be read now, when reading was limited to so many a second."""

from __future__ import annotations

#: Seconds' worth of reads that may be saved up while there is nothing to read.
_BURST = 0.1


class RateLimit:
    """A token bucket. Times are monotonic seconds, given by the caller.

    Args:
        per_second: the rate; None for no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._rate = per_second
        self._capacity = 0.0 if per_second is None else max(1.0, per_second * _BURST)
        self._saved = self._capacity
        self._counted_at: float | None = None

    def allowance(self, now: float) -> int | None:
        """How many reads may be sent now; None for any number."""
        if self._rate is None:
            return None
        if self._counted_at is not None:
            self._saved = min(self._capacity, self._saved + (now - self._counted_at) * self._rate)
        self._counted_at = now
        # What was saved up until `next_at` may fall short of a whole read by a rounding error.
        return max(0, int(self._saved + 1e-6))

    def spend(self, reads: int) -> None:
        """Notes that so many reads were sent."""
        self._saved -= reads

    def next_at(self, now: float) -> float:
        """When the next read may be sent."""
        return now if self._rate is None else now + max(0.0, 1.0 - self._saved) / self._rate
