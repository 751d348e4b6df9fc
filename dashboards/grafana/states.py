"""States: the words and colours of what a session, a copy of a tree and an exporter can be in."""

from __future__ import annotations

from dashboards.grafana.limits import Limits
from dashboards.grafana.panels import BAD, GOOD, NOTED, WARNING, State
from dashboards.grafana.promql import beyond, over, position, select
from exporter.zookeeper.stats import CLIENT_STATES

_SESSION = {
    "connecting": State("connecting", NOTED),
    "connected": State("connected", GOOD),
    "connected_ro": State("read-only", "yellow"),
    "suspended": State("suspended", WARNING),
    "lost": State("lost", BAD),
}
#: By what `session` gives.
SESSION_STATES = {number: _SESSION[name] for number, name in enumerate(CLIENT_STATES, 1)}
#: By what `copy` gives.
COPY_STATES = {
    0: State("loading", NOTED),
    1: State("fresh", GOOD),
    2: State("late", WARNING),
    3: State("stale", BAD),
    4: State("unproven", "purple"),
}
UP = {0: State("down", BAD), 1: State("up", GOOD)}


def session(*labels: str) -> str:
    """The state of a session as a number."""
    return over("max", labels, position("zookeeper_client_state", "state", CLIENT_STATES))


def copy(limits: Limits, *labels: str) -> str:
    """The state of a copy as a number: late above the staleness that warns, stale above that which pages."""
    loading = f"0 * ({select('zookeeper_cache_initialized')} == 0)"
    never = f"{select('zookeeper_cache_verified_timestamp_seconds')} == 0"
    unasked = f"{select('zookeeper_cache_freshness_interval_seconds')} == 0"
    unproven = f"4 + 0 * ({never} or {unasked})"
    proven = f"1 + {beyond(limits.late)} + {beyond(limits.stale)}"
    return over("max", labels, f"({loading}) or ({proven}) or ({unproven})")
