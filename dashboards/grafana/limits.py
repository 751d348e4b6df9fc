"""Limits: where a panel turns orange and red. Where there is an alert it is the alert's own threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from dashboards.prometheus.parameters import Parameters


class Limit(NamedTuple):
    """Where something becomes worth a look, and where bad; less is worse if `warning` is the higher."""

    warning: float
    critical: float


class Bound(NamedTuple):
    """The staleness that a tree may have, as a multiple of its own limit."""

    ratio: float

    def __str__(self) -> str:
        return f"{self.ratio:g} times the tree's own limit"


#: Counts of what does not happen in good times, and of what must never happen; half of one less, because increase()
#: extrapolates and may take one event for 0.95.
SOME = Limit(0.5, 2.5)
NEVER = Limit(0.5, 0.5)
#: Counts of what may be known and accepted, however many there are.
ANY = Limit(0.5, math.inf)


@dataclass(frozen=True)
class Limits:
    """The limits that follow from the rules' parameters; ages and durations in seconds, the rest shares."""

    parameters: Parameters

    @property
    def stale(self) -> Bound:
        """Staleness of a cache that warns."""
        return Bound(self.parameters.lag_warning_ratio)

    @property
    def very_stale(self) -> Bound:
        """Staleness of a tree that pages."""
        return Bound(self.parameters.lag_critical_ratio)

    @property
    def staleness(self) -> Limit:
        """Staleness as a share of the cache's own limit."""
        return Limit(self.parameters.lag_warning_ratio, self.parameters.lag_critical_ratio)

    @property
    def fresh(self) -> Bound:
        """Staleness up to which a tree meets the freshness objective."""
        return Bound(self.parameters.slo_ratio)

    @property
    def freshness(self) -> Limit:
        """Share of the time that a tree is fresh: the objective, and twice the budget."""
        return Limit(self.parameters.slo_objective, 1 - 2 * self.parameters.slo_budget)

    @property
    def silence(self) -> Limit:
        """Share of the session timeout without a word from the server; at 1 the ensemble may expire the session."""
        return Limit(self.parameters.near_timeout_ratio, 0.9)

    @property
    def errors(self) -> Limit:
        """Share of requests that fail."""
        return Limit(self.parameters.request_error_ratio / 5, self.parameters.request_error_ratio)

    @property
    def connecting(self) -> Limit:
        """Seconds that the median connection takes to be made: where it may be slower than usual, and is slow."""
        return Limit(self.parameters.slower_connects_seconds, self.parameters.connects_slow_seconds)

    @property
    def listeners(self) -> Limit:
        """Share of the time that a tree's listeners take."""
        return Limit(self.parameters.listener_busy_ratio / 2, self.parameters.listener_busy_ratio)

    @property
    def waiting(self) -> Limit:
        """How many session timeouts the oldest request has waited for its reply."""
        return Limit(min(1.0, self.parameters.stuck_timeouts), self.parameters.stuck_timeouts)
