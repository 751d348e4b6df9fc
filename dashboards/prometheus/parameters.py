"""Parameters: every threshold, wait and window of the rules, with its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

Kind = Literal["time", "threshold", "text"]

SEVERITIES = ("warning", "critical")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME = re.compile("([0-9]+)(ms|s|m|h|d)")


def _parameter(default: float | str, kind: Kind, meaning: str) -> Any:
    return field(default=default, metadata={"kind": kind, "meaning": meaning})


def _wait(default: str, meaning: str) -> Any:
    return _parameter(default, "time", meaning)


def _threshold(default: float, meaning: str) -> Any:
    return _parameter(default, "threshold", meaning)


def _text(default: str, meaning: str) -> Any:
    return _parameter(default, "text", meaning)


@dataclass(frozen=True)
class Parameters:
    """The parameters of the rules. Times are durations with one unit, such as `90s`; the rest are numbers."""

    runbooks: str = _text(
        "",
        "Address of the runbooks: `runbook_url` begins with it. By default, `/docs/runbooks` of an exporter.",
    )
    grafana: str = _text(
        "",
        "Address of Grafana, such as `https://grafana.example`: `dashboard` begins with it. Empty: no links.",
    )

    copies: str = _text(
        "instance, pod",
        "Labels that distinguish the caches of one tree: the labels that replicas do not share, nor most alerts have.",
    )

    memory: str = _wait(
        "1h",
        "How long a job whose targets vanished alerts, and how long targets are remembered while Prometheus is down.",
    )
    evaluation: str = _wait(
        "15s",
        "How often Prometheus evaluates these rules, best set to the scrape interval.",
    )
    keep_firing_for: str = _wait(
        "90s",
        "How long an alert keeps firing after its condition ends: a missed scrape does not resolve and repeat it.",
    )
    absent_for: str = _wait(
        "1m",
        "Wait before an exporter that does not answer alerts; its last values count so long; at least four scrapes.",
    )
    reload_failed_for: str = _wait("5m", "Wait before a configuration that could not be loaded alerts.")
    memory_ratio: float = _threshold(
        0.9, "Share of its memory limit above which an exporter warns; it also warns if it uses more than ..."
    )
    memory_start: float = _threshold(0.6, "... this share and will reach the limit within ...")
    memory_within: str = _wait("1h", "... this time, at the growth rate over both ...")
    memory_long: str = _wait("10m", "... this window, which starts after the exporter does, ...")
    memory_short: str = _wait("2m", "... and this one, at least four scrapes, ...")
    memory_for: str = _wait("2m", "... for this long; a sudden jump does not alert.")
    shard_for: str = _wait(
        "5m", "Wait before a shard that is missing or held by too many exporters alerts; a rollout takes less."
    )
    shard_window: str = _wait(
        "1d", "How long a shard may lack a replica that it had before the other shards count as held by too many."
    )

    rate_window: str = _wait(
        "5m", "Window of rates and quantiles, at least four scrapes. It is the suffix of their names."
    )

    quorum_lost_window: str = _wait(
        "2m",
        "The quorum is lost if servers closed connections in this window, at least four scrapes, while no client of "
        "the job was connected ...",
    )
    quorum_lost_for: str = _wait("30s", "... and this lasts for so long; an election takes less.")
    quorum_back_for: str = _wait(
        "1m",
        "After a lost quorum, how much later than the first client the last one may connect; at least four scrapes.",
    )
    client_down_seconds: float = _threshold(
        30, "Seconds since it last heard from a server, above which a client without a connection alerts."
    )
    client_never_for: str = _wait("1m", "Wait before a client that never had a connection alerts.")
    session_lost_window: str = _wait("10m", "How long a lost session alerts.")
    session_lost_severity: str = _text(
        "warning", "Severity of a lost session of an exporter, `critical` or `warning`; an application's is critical."
    )
    maybe_expired_timeouts: float = _threshold(
        2,
        "Session timeouts since the client last heard from a server, after which a suspended session may have expired.",
    )
    flapping_transitions: float = _threshold(4, "Number of times that one session's connection may break ...")
    flapping_window: str = _wait("15m", "... within this window.")
    near_timeout_ratio: float = _threshold(
        0.5, "Share of the session timeout that may pass without hearing from the server; a third is normal. More ..."
    )
    near_timeout_window: str = _wait("5m", "... at any scrape within this window ...")
    near_timeout_for: str = _wait("10m", "... alerts after this long.")

    not_initialized_for: str = _wait("10m", "How long the first load of a tree may take while the client is connected.")
    root_missing_for: str = _wait(
        "5m", "How long the root of a tree may be missing, from the start or since it was deleted, before it alerts."
    )
    rule_for: str = _wait("15m", "How long a rule must leave something out of its metric to alert.")
    near_limit_for: str = _wait("5m", "How long a znode or a list of children must be near the size limit to alert.")
    limit_within: str = _wait("7d", "Alerts if the largest one will reach the limit within this time ...")
    limit_window: str = _wait("1d", "... at the growth rate over this window ...")
    limit_gap: str = _wait("30m", "... without regard to gaps of this length ...")
    limit_start: float = _threshold(0.3, "... and has this share of the limit already ...")
    limit_for: str = _wait("1h", "... for this long.")
    subtree_window: str = _wait("1h", "A child of the root that vanishes with all below it alerts for this long ...")
    subtree_share: float = _threshold(0.01, "... if it had this share of the tree's znodes ...")
    subtree_for: str = _wait("5m", "... and does not come back within this time.")
    quota_ratio: float = _threshold(0.8, "Share of a quota's limit that may be used ...")
    quota_for: str = _wait("5m", "... for this long.")
    failed_for: str = _wait("15s", "How long a cache must have failed to alert ...")
    failed_restarts: float = _threshold(3, "... or how often its engine must have restarted ...")
    failed_window: str = _wait("5m", "... within this window.")
    lag_warning_ratio: float = _threshold(
        1, "Staleness of a cache that warns, as a multiple of the tree's own limit (30 s by default)."
    )
    lag_critical_ratio: float = _threshold(
        2, "Staleness of a tree's freshest cache that pages, as a multiple of the tree's own limit."
    )
    lag_for: str = _wait("1m", "How long staleness must last to alert.")
    slo_ratio: float = _threshold(
        1, "A tree is fresh while the staleness of its freshest cache is at most this multiple of the tree's own limit."
    )
    slo_objective: float = _threshold(0.999, "Objective: the share of the time that a tree is fresh.")
    burn_1: float = _threshold(14.4, "Pages when the error budget burns this many times as fast as allowed ...")
    burn_1_long: str = _wait("1h", "... over this window, ...")
    burn_1_short: str = _wait("5m", "... and over this one.")
    burn_2: float = _threshold(6, "Pages when the error budget burns this many times as fast as allowed ...")
    burn_2_long: str = _wait("6h", "... over this window, ...")
    burn_2_short: str = _wait("30m", "... and over this one.")
    burn_3: float = _threshold(3, "Warns when the error budget burns this many times as fast as allowed ...")
    burn_3_long: str = _wait("1d", "... over this window, ...")
    burn_3_short: str = _wait("2h", "... and over this one.")
    burn_4: float = _threshold(1, "Warns when the error budget burns this many times as fast as allowed ...")
    burn_4_long: str = _wait("3d", "... over this window, ...")
    burn_4_short: str = _wait("6h", "... and over this one.")
    told_within: str = _wait(
        "2m", "Staleness burns no budget from this long before until this long after another alert about it."
    )
    unverified_window: str = _wait("10m", "How long freshness checks may fail before a tree that never had one alerts.")
    stuck_timeouts: float = _threshold(3, "Session timeouts that a read may wait for its reply ...")
    stuck_for: str = _wait("1m", "... and how much longer before it alerts.")
    audit_window: str = _wait("1h", "How long a mismatch alerts; must exceed the time between two audits.")

    request_error_ratio: float = _threshold(
        0.05, "Share of requests that may fail; NONODE, NODEEXISTS and BADVERSION are answers, not failures ..."
    )
    request_errors_for: str = _wait("10m", "... and more alert after this long.")
    request_latency_ratio: float = _threshold(
        0.1, "Share of the session timeout within which 99 % of the reads must be answered ..."
    )
    request_latency_for: str = _wait("10m", "... or it alerts after this long.")
    commits_slow_seconds: float = _threshold(1, "Seconds that the median commit may take ...")
    commits_slow_window: str = _wait(
        "2m", "... over this window, at least four scrapes; freshness checks count as commits ..."
    )
    commits_slow_for: str = _wait("30s", "... and longer ones alert after this long.")
    connects_slow_seconds: float = _threshold(1, "Seconds that it may take to connect (median) ...")
    connects_slow_for: str = _wait(
        "15m", "... over `slower_window`, before it alerts after this long; one reconnection of all clients takes less."
    )
    slower_ratio: float = _threshold(
        5, "How many times its usual value the median duration of commits, reads and connecting may be ..."
    )
    slower_window: str = _wait("10m", "... over this window ...")
    slower_recently: str = _wait("2m", "... and, for commits and reads, over this one, at least four scrapes ...")
    slower_for: str = _wait("5m", "... for this long. The usual value is the median ...")
    slower_past: str = _wait("1d", "... of the window of this length before, sampled once per `slower_window`, ...")
    slower_past_least: float = _threshold(6, "... if at least this many samples exist ...")
    slower_requests_least: float = _threshold(10, "... and `slower_window` has at least this many requests ...")
    slower_connects_least: float = _threshold(3, "... or connections.")
    slower_requests_seconds: float = _threshold(
        0.1, "Seconds up to which no duration alerts: for commits and reads ..."
    )
    slower_connects_seconds: float = _threshold(0.5, "... and for connecting.")

    nodes_dropped_ratio: float = _threshold(
        0.4, "Share of its persistent znodes that a tree may lose; less than half, so that losing half alerts ..."
    )
    nodes_dropped_window: str = _wait("10m", "... within this window, which is also how long the alert lasts ...")
    nodes_dropped_past: str = _wait("1d", "... unless it had as few at some time in this window before ...")
    nodes_dropped_minimum: float = _threshold(20, "... if it had at least this many ...")
    nodes_dropped_for: str = _wait("1m", "... and they stay gone for this long.")
    nodes_grown_ratio: float = _threshold(
        8, "How many times its median size a tree may reach; less than ten, so that growing tenfold alerts ..."
    )
    nodes_grown_past: str = _wait("1h", "... of this window, within the same time from now ...")
    nodes_grown_window: str = _wait("1m", "... at the growth rate over this window, at least four scrapes ...")
    nodes_grown_start: float = _threshold(1.25, "... once it has reached this multiple of that median ...")
    nodes_grown_minimum: float = _threshold(1000, "... and has at least this many znodes ...")
    nodes_grown_for: str = _wait("2m", "... and keeps growing for this long; a sudden jump does not alert.")
    unreadable_ratio: float = _threshold(0.2, "Share of a tree's znodes that may be unreadable; more page ...")
    unreadable_for: str = _wait("15s", "... after this long.")
    unreadable_window: str = _wait(
        "1h", "Fewer unreadable znodes warn if there are more than at some time in this window ..."
    )
    unreadable_few_for: str = _wait("1m", "... for this long.")
    listener_busy_ratio: float = _threshold(0.8, "Share of the time that a tree's listeners may be busy ...")
    listener_busy_for: str = _wait("5m", "... before it alerts after this long.")

    server_down_for: str = _wait(
        "5m", "How long a server must not answer to count as down; a restart takes less, and four polls too ..."
    )
    server_down_settled: str = _wait(
        "1m", "... and how long one must count to alert; after an outage servers come back one by one."
    )
    no_leader_for: str = _wait("1m", "How long no server of an ensemble may serve; an election takes less.")
    not_serving_window: str = _wait(
        "2m",
        "A server that said in this window that it does not serve may lead, if others follow and none says it leads.",
    )
    clocks_seconds: float = _threshold(5, "Seconds that the clocks of an ensemble's servers may differ ...")
    clocks_for: str = _wait("10m", "... and how long more alert.")
    two_leaders_for: str = _wait(
        "2m", "How long two servers may say that they lead; servers are asked at different moments of an election."
    )
    server_requests_queued: float = _threshold(100, "Requests in a server's queue, on average over `rate_window` ...")
    server_requests_queued_for: str = _wait("10m", "... and how long more alert.")
    followers_behind_for: str = _wait(
        "10m", "How long a connected follower may not be in sync; one that gets a whole snapshot takes minutes."
    )
    server_files_ratio: float = _threshold(0.8, "Share of its limit of file descriptors that a server may use ...")
    server_files_for: str = _wait("10m", "... for this long.")
    server_fsync_seconds: float = _threshold(
        0.1, "Seconds that a server's write to its log may take, on average over `rate_window` ..."
    )
    server_fsync_for: str = _wait("10m", "... and how long more alerts.")
    server_snapshot_seconds: float = _threshold(
        10, "Seconds that a snapshot may take: half of the default `initLimit`, on average ..."
    )
    server_snapshot_window: str = _wait("1h", "... over this window.")
    server_errors_window: str = _wait(
        "1h", "How long a mismatch of a server's digest, or an unrecoverable error, alerts."
    )
    server_errors: float = _threshold(2, "Unrecoverable errors in that time that an election may bring; more alert.")
    ensemble_znodes: float = _threshold(
        1e6, "Number of znodes that an ensemble should not reach; set it to what yours is made for ..."
    )
    ensemble_bytes: float = _threshold(
        2**29, "... and bytes of its paths and data: half of the heap that `zkServer.sh` gives Java by default."
    )
    ensemble_within: str = _wait("7d", "Alerts if one of the two will be reached within this time ...")
    ensemble_window: str = _wait("1d", "... at the growth rate over this window ...")
    ensemble_start: float = _threshold(0.3, "... from this share of it on ...")
    ensemble_for: str = _wait("1h", "... for this long.")
    versions_for: str = _wait(
        "1d", "How long servers of an ensemble may have different versions; an upgrade takes less."
    )
    connections_ratio: float = _threshold(2, "How many times the usual number of clients' connections alert ...")
    connections_more: float = _threshold(100, "... if an ensemble has more than so many more than usual, ...")
    connections_of_one_more: float = _threshold(
        20,
        "... or the address with most has more than so many more than such an address usually. Usual is the median ...",
    )
    connections_past: str = _wait("1d", "... of the window of this length before, sampled once per ...")
    connections_sampled: str = _wait("10m", "... this time, ...")
    connections_past_least: float = _threshold(6, "... if at least this many samples exist.")
    connections_for: str = _wait(
        "15m", "How long there must be more; a deployment that starts the new before it ends the old takes less."
    )

    shorten: float = _threshold(
        1, "Divides every wait and window, and nothing else, to shorten tests on a live system."
    )

    def __post_init__(self) -> None:
        for parameter in fields(self):
            if parameter.metadata["kind"] == "time":
                milliseconds(getattr(self, parameter.name))
        if self.session_lost_severity not in SEVERITIES:
            given = f"session_lost_severity={self.session_lost_severity}"
            raise ValueError(f"{given}: not a severity; accepted: {', '.join(SEVERITIES)}")

    def shortened(self, text: str, times: float = 1) -> str:
        """A wait or window, multiplied by `times`, as the rules write it."""
        return in_words(times * milliseconds(text) / self.shorten)

    def seconds(self, text: str) -> str:
        """A wait or window in seconds, for arithmetic in the rules."""
        return f"{milliseconds(text) / self.shorten / 1000:g}"

    @property
    def slo_budget(self) -> float:
        """Share of the time that a tree may be stale."""
        return round(1 - self.slo_objective, 9)

    @property
    def burns(self) -> tuple[tuple[float, str, str, str], ...]:
        """How fast the error budget may burn, the long and short window, and the severity of the alert."""
        return (
            (self.burn_1, self.burn_1_long, self.burn_1_short, "critical"),
            (self.burn_2, self.burn_2_long, self.burn_2_short, "critical"),
            (self.burn_3, self.burn_3_long, self.burn_3_short, "warning"),
            (self.burn_4, self.burn_4_long, self.burn_4_short, "warning"),
        )

    @property
    def burn_windows(self) -> list[str]:
        """Every window of a burn rate, the shortest first."""
        return sorted({window for _, *windows, _ in self.burns for window in windows}, key=milliseconds)

    def with_changes(self, changes: Iterable[str]) -> Parameters:
        """These parameters, changed by texts such as `lag_for=2m`.

        Raises ValueError, which says what is accepted, for an unknown name or a value that does not fit.
        """
        kinds = {parameter.name: parameter.metadata["kind"] for parameter in fields(self)}
        values: dict[str, str | float] = {}
        for change in changes:
            name, equals, value = change.partition("=")
            if not equals or name not in kinds:
                raise ValueError(f"{change}: no such parameter; accepted: NAME=VALUE with a NAME of {', '.join(kinds)}")
            if kinds[name] == "threshold":
                values[name] = _number(change, value)
            else:
                values[name] = value
        return replace(self, **cast("dict[str, Any]", values))


def documented() -> Iterator[tuple[str, float | str, str]]:
    """The name, default and meaning of each parameter."""
    for parameter in fields(Parameters):
        yield parameter.name, cast("float | str", parameter.default), parameter.metadata["meaning"]


def milliseconds(text: str) -> float:
    """The milliseconds of a duration with one unit, such as `90s`.

    Raises ValueError, which says what is accepted.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text}: not a duration; accepted: a whole number and ms, s, m, h or d, such as 90s")
    return float(int(match[1]) * _UNITS[match[2]])


def in_words(span: float) -> str:
    """Milliseconds as a duration in the largest unit that divides them; at least one of it."""
    whole = max(1, round(span))
    unit = next(unit for unit in reversed(_UNITS) if whole % _UNITS[unit] == 0)
    return f"{whole // _UNITS[unit]}{unit}"


def _number(change: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{change}: not a number; accepted: one above 0")
    return number
