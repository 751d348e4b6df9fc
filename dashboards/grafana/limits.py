"""Limits: where a panel turns orange and red: at the threshold of the alert, if there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from dashboards.prometheus.parameters import Parameters
from exporter.views.limits.view import NEAR


class Limit(NamedTuple):
    """The thresholds of orange and red; lower values are worse if `warning` is the higher one."""

    warning: float
    critical: float


class Bound(NamedTuple):
    """The highest staleness of a tree, as a multiple of its own limit."""

    ratio: float

    def __str__(self) -> str:
        return f"{self.ratio:g} times the tree's own limit"


#: Counts of unwanted events, and of events that must never happen. Less than one, because increase() extrapolates and
#: may count one event as 0.95.
SOME = Limit(0.5, 2.5)
NEVER = Limit(0.5, 0.5)
#: Counts that may be known and accepted, however high.
ANY = Limit(0.5, math.inf)


@dataclass(frozen=True)
class Limits:
    """The limits by the rules' parameters; durations in seconds, the rest shares."""

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
        """Share of the time that a tree is fresh: red where twice the error budget is used."""
        return Limit(self.parameters.slo_objective, 1 - 2 * self.parameters.slo_budget)

    @property
    def silence(self) -> Limit:
        """Share of the session timeout since the server was last heard; at 1 the ensemble may expire the session."""
        return Limit(self.parameters.near_timeout_ratio, 0.9)

    @property
    def near(self) -> float:
        """Share of ZooKeeper's size limit from which on a znode is near it, as the exporter counts them."""
        return NEAR

    @property
    def errors(self) -> Limit:
        """Share of requests that fail."""
        return Limit(self.parameters.request_error_ratio / 5, self.parameters.request_error_ratio)

    @property
    def connecting(self) -> Limit:
        """Median seconds to connect: where it may be slower than usual, and where it is slow."""
        return Limit(self.parameters.slower_connects_seconds, self.parameters.connects_slow_seconds)

    @property
    def listeners(self) -> Limit:
        """Share of the time that a tree's listeners are busy."""
        return Limit(self.parameters.listener_busy_ratio / 2, self.parameters.listener_busy_ratio)

    @property
    def waiting(self) -> Limit:
        """How many session timeouts the oldest request has waited for its reply."""
        return Limit(min(1.0, self.parameters.stuck_timeouts), self.parameters.stuck_timeouts)
