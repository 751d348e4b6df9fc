"""Limits: where a panel turns orange and red. Where there is an alert it is the alert's own threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dashboards.prometheus.parameters import Parameters


class Limit(NamedTuple):
    """Where something becomes worth a look, and where bad; less is worse if `warning` is the higher."""

    warning: float
    critical: float


#: Counts of what does not happen in good times, and of what must never happen; half of one less, because increase()
#: extrapolates and may take one event for 0.95.
SOME = Limit(0.5, 2.5)
NEVER = Limit(0.5, 0.5)


@dataclass(frozen=True)
class Limits:
    """The limits that follow from the rules' parameters; ages and durations in seconds, the rest shares."""

    parameters: Parameters

    @property
    def staleness(self) -> Limit:
        """Of a tree: what warns, and what pages."""
        return Limit(self.parameters.lag_warning_seconds, self.parameters.lag_critical_seconds)

    @property
    def fresh(self) -> float:
        """Staleness up to which a tree meets the freshness objective."""
        return self.parameters.slo_seconds

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
    def listeners(self) -> Limit:
        """Share of the time that a tree's listeners take."""
        return Limit(self.parameters.listener_busy_ratio / 2, self.parameters.listener_busy_ratio)


#: Seconds that the oldest unanswered request has waited; the alert asks for three session timeouts, often 10 s each.
WAITING = Limit(10, 30)
