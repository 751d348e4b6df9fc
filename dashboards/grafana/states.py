"""States: the states of a session, a cache and an exporter, with their words and colours."""

from __future__ import annotations

from dashboards.grafana.limits import Limits
from dashboards.grafana.panels import BAD, GOOD, NOTED, WARNING, State
from dashboards.grafana.promql import SERVER_STATES as SERVERS
from dashboards.grafana.promql import beyond, in_state, over, position, select
from exporter.zookeeper.stats import CLIENT_STATES

_SESSION = {
    "connecting": State("connecting", NOTED),
    "connected": State("connected", GOOD),
    "connected_ro": State("read-only", "yellow"),
    "suspended": State("suspended", WARNING),
    "lost": State("lost", BAD),
}
#: By the number that `session` returns.
SESSION_STATES = {number: _SESSION[name] for number, name in enumerate(CLIENT_STATES, 1)}
#: By the number that `cache` returns: the higher, the worse. Only a complete and verified cache is fresh, and green.
CACHE_STATES = {
    1: State("fresh", GOOD),
    2: State("unverified", "purple"),
    3: State("catching up", NOTED),
    4: State("loading", NOTED),
    5: State("disconnected", WARNING),
    6: State("stale", WARNING),
    7: State("znodes unreadable", WARNING),
    8: State("root missing", WARNING),
    9: State("very stale", BAD),
    10: State("root unreadable", BAD),
    11: State("closed", BAD),
    12: State("failed", BAD),
}
_SERVER = {
    "leader": State("leads", GOOD),
    "standalone": State("standalone", GOOD),
    "follower": State("follows", NOTED),
    "observer": State("observes", "purple"),
    "read-only": State("read-only", WARNING),
}
#: By the number that `promql.server_state` returns.
SERVER_STATES = {0: State("down", BAD), **{number: _SERVER[name] for number, name in enumerate(SERVERS, 1)}}
UP = {0: State("down", BAD), 1: State("up", GOOD)}


def session(*labels: str) -> str:
    """The state of a session as a number."""
    return over("max", labels, position("zookeeper_client_state", "state", CLIENT_STATES))


def cache(limits: Limits, *labels: str) -> str:
    """The worst state of a cache as a number: stale above the limit that warns, very stale above the one that pages.

    Of series with the same labels the first in the list counts; of those with different labels, `max` picks the worst.
    """
    never = f"{select('zookeeper_cache_verified_timestamp_seconds')} == 0"
    unasked = f"{select('zookeeper_cache_freshness_interval_seconds')} == 0"
    states = [
        *(f"{_number(name)} * {in_state('cache', name)}" for name in ("failed", "closed")),
        f"{_number('root unreadable')} * {in_state('cache_root', 'unreadable')}",
        f"{_number('very stale')} * ({beyond(limits.very_stale)} == 1)",
        f"{_number('root missing')} * {in_state('cache_root', 'missing')}",
        f"{_number('znodes unreadable')} + 0 * ({select('zookeeper_cache_unreadable_nodes')} > 0)",
        f"{_number('stale')} * ({beyond(limits.stale)} == 1)",
        *(f"{_number(name)} * {in_state('cache', name)}" for name in ("disconnected", "loading", "catching up")),
        f"{_number('unverified')} + 0 * ({never} or {unasked})",
        f"{_number('fresh')} + 0 * {beyond(limits.stale)}",
    ]
    return over("max", labels, " or ".join(f"({state})" for state in states))


def _number(text: str) -> int:
    return next(number for number, state in CACHE_STATES.items() if state.text == text)
