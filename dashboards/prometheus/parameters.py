"""Parameters: every threshold, wait and window of the rules, once, with what it means."""

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
    """What the rules can be told. Times are Prometheus' durations of one unit, such as `90s`; the rest are numbers."""

    runbooks: str = _text(
        "",
        "Where the runbooks are published: `runbook_url` begins with it. By default, `/docs/runbooks` of an exporter.",
    )
    grafana: str = _text(
        "",
        "Address of Grafana, such as `https://grafana.example`: `dashboard` begins with it. Without it there is none.",
    )

    copies: str = _text(
        "instance, pod", "Labels that tell one copy of a tree from another: what replicas do not share."
    )

    memory: str = _wait(
        "1h",
        "How long a job whose targets vanished alerts, and targets are remembered while Prometheus itself is down.",
    )
    evaluation: str = _wait(
        "15s", "How often Prometheus evaluates these rules, in place of its own interval. Best is the scrape interval."
    )
    keep_firing_for: str = _wait(
        "90s", "How long an alert goes on when it has no more reason: a scrape that is missed ends and repeats none."
    )
    absent_for: str = _wait("1m", "Wait before an exporter that does not answer alerts; four scrapes at least.")
    reload_failed_for: str = _wait("5m", "Wait before a configuration that could not be loaded alerts.")
    memory_ratio: float = _threshold(
        0.9, "Share of its memory limit that an exporter may use; or it warns when it uses more than ..."
    )
    memory_start: float = _threshold(0.6, "... this share, and reaches the limit within ...")
    memory_within: str = _wait("1h", "... this time, at the pace of both ...")
    memory_long: str = _wait("10m", "... this window, which begins after the exporter's start, ...")
    memory_short: str = _wait("2m", "... and this one ...")
    memory_for: str = _wait("2m", "... for this long; a jump does not.")
    shard_for: str = _wait("5m", "Wait before a shard that is missing or held too often alerts; a rollout takes less.")
    shard_window: str = _wait(
        "1d", "How long a shard may lack a replica that it had before the others count as held too often."
    )

    rate_window: str = _wait("5m", "Window of rates and quantiles; four scrapes at least. Names end with it.")

    quorum_lost_window: str = _wait(
        "2m", "Servers that hang up within this window, while no client of the job is connected, have no quorum ..."
    )
    quorum_lost_for: str = _wait("30s", "... when it has been so for this long; an election takes less.")
    client_down_seconds: float = _threshold(
        30, "Seconds since a client without a connection last heard from a server, above which it alerts."
    )
    client_never_for: str = _wait("1m", "Wait before a client that never had a connection alerts.")
    session_lost_window: str = _wait("10m", "How long a lost session alerts.")
    session_lost_severity: str = _text(
        "warning", "Severity of a lost session of an exporter, `critical` or `warning`; an application's is critical."
    )
    maybe_expired_timeouts: float = _threshold(
        2, "Session timeouts since the server was last heard, after which a suspended session may have expired."
    )
    flapping_transitions: float = _threshold(4, "Interruptions of one session's connection that are still normal ...")
    flapping_window: str = _wait("15m", "... within this window.")
    near_timeout_ratio: float = _threshold(
        0.5, "Share of the session timeout that may pass in silence; a healthy client is silent for a third at most ..."
    )
    near_timeout_window: str = _wait("5m", "... at any scrape within this window ...")
    near_timeout_for: str = _wait("10m", "... before silence that comes again and again alerts.")

    not_initialized_for: str = _wait("10m", "What a tree's first load may take while the client is connected.")
    root_missing_for: str = _wait(
        "5m", "How long the root of a tree may be missing, from the start or since it was deleted, before it alerts."
    )
    failed_for: str = _wait("15s", "How long a cache must be failed to alert ...")
    failed_restarts: float = _threshold(3, "... or how often its engine must be started again ...")
    failed_window: str = _wait("5m", "... within this window.")
    lag_warning_ratio: float = _threshold(
        1, "Staleness of a copy that warns, as a multiple of the tree's own limit (30 s by default)."
    )
    lag_critical_ratio: float = _threshold(
        2, "Staleness of a tree's best copy that pages, as a multiple of the tree's own limit."
    )
    lag_for: str = _wait("1m", "How long staleness must last to alert.")
    slo_ratio: float = _threshold(
        1, "A tree is fresh while the staleness of its best copy is at most so many times its own limit."
    )
    slo_objective: float = _threshold(0.999, "Share of the time that a tree is to be fresh.")
    burn_1: float = _threshold(14.4, "Pages when the error budget burns so many times as fast as it may ...")
    burn_1_long: str = _wait("1h", "... over this window, ...")
    burn_1_short: str = _wait("5m", "... and over this one still.")
    burn_2: float = _threshold(6, "Pages when the error budget burns so many times as fast as it may ...")
    burn_2_long: str = _wait("6h", "... over this window, ...")
    burn_2_short: str = _wait("30m", "... and over this one still.")
    burn_3: float = _threshold(3, "Warns when the error budget burns so many times as fast as it may ...")
    burn_3_long: str = _wait("1d", "... over this window, ...")
    burn_3_short: str = _wait("2h", "... and over this one still.")
    burn_4: float = _threshold(1, "Warns when the error budget burns so many times as fast as it may ...")
    burn_4_long: str = _wait("3d", "... over this window, ...")
    burn_4_short: str = _wait("6h", "... and over this one still.")
    told_within: str = _wait(
        "2m", "Staleness so long before, during and after another alert about it burns no budget: it was told."
    )
    unverified_window: str = _wait("10m", "How long freshness checks may fail before a tree that never had one alerts.")
    stuck_timeouts: float = _threshold(3, "Session timeouts that a read may wait for its reply ...")
    stuck_for: str = _wait("1m", "... and how much longer until it alerts.")
    audit_window: str = _wait("1h", "How long a mismatch alerts; longer than the time between two audits.")

    request_error_ratio: float = _threshold(
        0.05, "Share of requests that may fail; NONODE, NODEEXISTS and BADVERSION are answers, not failures ..."
    )
    request_errors_for: str = _wait("10m", "... when more fail for this long.")
    request_latency_ratio: float = _threshold(
        0.1, "Share of the session timeout within which 99 % of the reads are to be answered ..."
    )
    request_latency_for: str = _wait("10m", "... when they are not for this long.")
    commits_slow_seconds: float = _threshold(1, "Seconds that the median commit may take ...")
    commits_slow_window: str = _wait("2m", "... over this window; a freshness check is a commit ...")
    commits_slow_for: str = _wait("30s", "... when it takes longer for this long.")
    connects_slow_seconds: float = _threshold(1, "Seconds that the median connection may take to be made ...")
    connects_slow_for: str = _wait(
        "15m", "... over `slower_window`, when it takes longer for this long; one move of all clients is over before."
    )
    slower_ratio: float = _threshold(
        5, "The median duration of commits, of reads and of connecting may be so many times its usual one ..."
    )
    slower_window: str = _wait("10m", "... over this window ...")
    slower_recently: str = _wait("2m", "... and, of commits and reads, over this one still ...")
    slower_for: str = _wait("5m", "... for this long. Usual is the median ...")
    slower_past: str = _wait("1d", "... of this window before, looked at once in each `slower_window`, ...")
    slower_past_least: float = _threshold(6, "... if there is something to be seen so many times ...")
    slower_requests_least: float = _threshold(10, "... and in `slower_window` at least so many requests ...")
    slower_connects_least: float = _threshold(3, "... or connections.")
    slower_requests_seconds: float = _threshold(0.1, "Seconds that are no reason to alert, whatever is usual ...")
    slower_connects_seconds: float = _threshold(0.5, "... and for connecting.")

    nodes_dropped_ratio: float = _threshold(
        0.4, "Share of its persistent znodes that a tree may lose; less than half, so that half of them is seen ..."
    )
    nodes_dropped_window: str = _wait("10m", "... within this window, which is how long the alert lasts ...")
    nodes_dropped_past: str = _wait("1d", "... unless it had as few at some time in this one before ...")
    nodes_dropped_minimum: float = _threshold(20, "... if it had at least so many ...")
    nodes_dropped_for: str = _wait("1m", "... when they stay away this long.")
    nodes_grown_ratio: float = _threshold(
        8, "A tree may grow so many times its median; less than ten, so that tenfold is seen ..."
    )
    nodes_grown_past: str = _wait("1h", "... of this window, within as long again ...")
    nodes_grown_window: str = _wait("1m", "... at the pace of this window ...")
    nodes_grown_start: float = _threshold(1.25, "... once it has grown so many times that median ...")
    nodes_grown_minimum: float = _threshold(1000, "... and has at least so many znodes ...")
    nodes_grown_for: str = _wait("2m", "... and goes on for this long; a jump does not.")
    unreadable_ratio: float = _threshold(0.2, "Share of a tree's znodes that may be unreadable; more of them pages ...")
    unreadable_for: str = _wait("15s", "... when they are for this long.")
    unreadable_window: str = _wait(
        "1h", "Fewer unreadable znodes warn when there are more than at any time in this window ..."
    )
    unreadable_few_for: str = _wait("1m", "... for this long.")
    listener_busy_ratio: float = _threshold(0.8, "Share of the time that a tree's listeners may take ...")
    listener_busy_for: str = _wait("5m", "... when they take more for this long.")

    shorten: float = _threshold(
        1, "Divides every wait and window, and nothing else, so that tests on a live system need not wait."
    )

    def __post_init__(self) -> None:
        for parameter in fields(self):
            if parameter.metadata["kind"] == "time":
                milliseconds(getattr(self, parameter.name))
        if self.session_lost_severity not in SEVERITIES:
            given = f"session_lost_severity={self.session_lost_severity}"
            raise ValueError(f"{given}: not a severity; accepted: {', '.join(SEVERITIES)}")

    def shortened(self, text: str, times: float = 1) -> str:
        """A wait or window, so many times over, as it stands in the rules."""
        return in_words(times * milliseconds(text) / self.shorten)

    def seconds(self, text: str) -> str:
        """A wait or window in seconds, where the rules calculate with it."""
        return f"{milliseconds(text) / self.shorten / 1000:g}"

    @property
    def slo_budget(self) -> float:
        """Share of the time that a tree may be stale."""
        return round(1 - self.slo_objective, 9)

    @property
    def burns(self) -> tuple[tuple[float, str, str, str], ...]:
        """How fast the error budget may burn, over which long and short window, and how severe more is."""
        return (
            (self.burn_1, self.burn_1_long, self.burn_1_short, "critical"),
            (self.burn_2, self.burn_2_long, self.burn_2_short, "critical"),
            (self.burn_3, self.burn_3_long, self.burn_3_short, "warning"),
            (self.burn_4, self.burn_4_long, self.burn_4_short, "warning"),
        )

    @property
    def burn_windows(self) -> list[str]:
        """Every window that the burning of the error budget is looked at over, the shortest first."""
        return sorted({window for _, *windows, _ in self.burns for window in windows}, key=milliseconds)

    def with_changes(self, changes: Iterable[str]) -> Parameters:
        """These parameters, changed by texts such as `lag_for=2m`.

        Raises ValueError, saying what is accepted, for a name that is none or a value that does not fit.
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
    """What a duration of one unit, such as `90s`, comes to.

    Raises ValueError, saying what is accepted.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text}: not a duration; accepted: a whole number and ms, s, m, h or d, such as 90s")
    return float(int(match[1]) * _UNITS[match[2]])


def in_words(span: float) -> str:
    """Milliseconds as a duration of the largest unit that divides them; at least one."""
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
