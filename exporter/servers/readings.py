"""Readings: the samples that a server's answer makes, under the names that dashboards know.

A number keeps the name that `mntr` gives it. A summary, in `mntr` a line for each of `zk_p50_X`, `zk_cnt_X` and so on,
is also `zk_X{quantile}`, `zk_X_count` and `zk_X_sum`: without `zk_`, the names of ZooKeeper's own Prometheus endpoint.
Where ZooKeeper puts a znode's name or a server's number into a name (``AvgMinMaxCounterSet``), it becomes the label
`key`, as at that endpoint.

A server that has that endpoint (``PrometheusMetricsProvider``) gives the names of the endpoint, with labels, to `mntr`
too; those get the names of `mntr` back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.servers.answers import PEER_STATE, STATE, VERSION
from exporter.servers.names import (
    LISTED_IN_MNTR,
    MADE,
    QUANTILES,
    STATISTICS,
    Described,
    described,
    described_statistic,
    described_summary,
    is_listed,
)
from exporter.telemetry.sources import ServerStats

Labels = Mapping[str, str]


class Reading(NamedTuple):
    """A sample: its family, its own name and labels, and its value."""

    family: Described
    name: str
    labels: Labels
    value: float


_STATISTIC = "|".join(STATISTICS)
#: Summaries that ZooKeeper keeps for each znode below the root, and for each server.
_SUMMARY_OF_EACH = re.compile(
    rf"zk_(?P<statistic>{_STATISTIC})_(?:(?P<znode>.+)_(?P<of_znode>(?:read|write)_per_namespace)"
    r"|(?P<server>-?[0-9]+)_(?P<of_server>learner_handler_qp_size|learner_handler_qp_time_ms|ack_latency))",
    re.DOTALL,
)
#: Numbers that it keeps for each znode below the root.
_NUMBER_OF_EACH = re.compile(
    r"zk_(?P<znode>.+)_(?P<name>quota_(?:(?:count|bytes)_(?:limit|usage)|exceeded_error)_per_namespace)", re.DOTALL
)
_OF_A_SUMMARY = re.compile(rf"zk_(?P<statistic>{_STATISTIC})_(?P<base>[A-Za-z0-9_]+)")
_PLAIN = re.compile("zk_(?P<name>[A-Za-z0-9_]+)")
#: What must not be a name: the znode's name cannot be told apart from the rest.
_WITH_ZNODE = "per_namespace"
_WITH_LABELS = re.compile(r'zk_(?P<name>[A-Za-z0-9_]+)\{(?P<labels>(?:[A-Za-z][A-Za-z0-9_]*="[^"]*",?)+)\}', re.DOTALL)
_LABEL = re.compile(r'([A-Za-z][A-Za-z0-9_]*)="([^"]*)"', re.DOTALL)
_STATISTIC_OF_QUANTILE = {quantile: statistic for statistic, quantile in QUANTILES.items()}
#: The same number under the names of 3.4 and of later releases (``Leader.getLearners().size()`` in both).
_SYNONYMS = {"zk_followers": "zk_learners", "zk_learners": "zk_followers"}


def readings(server: ServerStats, wants_all: bool) -> Iterator[Reading]:
    """The samples of one server; with `wants_all`, of everything that it says.

    Each sample comes once, also if the server repeats itself.
    """
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for reading in (*_made(server, wants_all), *_numbers(server.numbers, wants_all)):
        key = reading.name, tuple(sorted(reading.labels.items()))
        if key not in seen:
            seen.add(key)
            yield reading


def version_of(server: ServerStats) -> tuple[str, str]:
    """The version that the server says it has, such as `3.9.5`, and its revision, a commit; empty if it does not say.

    It writes them as `3.9.5-293c895a..., built on ...`, some releases with two hyphens.
    """
    version, _, revision = server.texts.get(VERSION, "").partition(",")[0].partition("-")
    return version, revision.lstrip("-")


def state_of(server: ServerStats) -> str:
    """The state that the server says it is in; empty if it does not say."""
    return server.texts.get(STATE, "")


def _made(server: ServerStats, wants_all: bool) -> Iterator[Reading]:
    """What is not a number in the answer, or follows from the answer itself."""
    if server.is_up is None:
        return
    yield _of("zk_up", server.is_up)
    if server.is_up:
        # A server that answers another word also answers ruok: RuokCommand checks nothing.
        yield _of("zk_ruok", True)
    if state := state_of(server):
        yield _of("zk_server_leader", state in ("leader", "standalone"))
        yield _of("zk_server_state", True, state=state)
    version, revision = version_of(server)
    if version:
        yield _of("zk_version", True, version=version, revision=revision)
    if wants_all and PEER_STATE in server.texts:
        yield _of("zk_peer_state", True, state=server.texts[PEER_STATE])


def _of(name: str, value: bool, **labels: str) -> Reading:
    return Reading(Described(name, "gauge", MADE[name]), name, labels, float(value))


def _numbers(numbers: Mapping[str, float], wants_all: bool) -> Iterator[Reading]:
    found = {synonym: numbers[name] for name, synonym in _SYNONYMS.items() if name in numbers} | dict(numbers)
    if not wants_all and "zk_cnt_readlatency" in found:
        # Leaves out early what is not listed. Names of ZooKeeper's Prometheus endpoint have no `zk_cnt_`: they follow.
        found = {name: value for name, value in found.items() if name in LISTED_IN_MNTR}
    of_endpoint = {match["name"] for name in found if (match := _WITH_LABELS.fullmatch(name))}
    for name, value in found.items():
        if name in MADE:
            continue
        if match := _WITH_LABELS.fullmatch(name):
            yield from _with_labels(match["name"], dict(_LABEL.findall(match["labels"])), value, wants_all)
        elif match := _SUMMARY_OF_EACH.fullmatch(name):
            base, key = match["of_znode"] or match["of_server"], match["znode"] or match["server"]
            yield from _statistic(match["statistic"], base, {"key": key}, value, wants_all)
        elif match := _NUMBER_OF_EACH.fullmatch(name):
            yield from _plain(match["name"], {"key": match["znode"]}, value, wants_all)
        elif _WITH_ZNODE in name:
            continue
        elif (match := _OF_A_SUMMARY.fullmatch(name)) and f"zk_cnt_{match['base']}" in found:
            yield from _statistic(match["statistic"], match["base"], {}, value, wants_all)
        elif match := _PLAIN.fullmatch(name):
            base, _, suffix = match["name"].rpartition("_")
            if suffix in ("count", "sum") and base in of_endpoint:
                yield from _statistic("cnt" if suffix == "count" else "sum", base, {}, value, wants_all)
            else:
                yield from _plain(match["name"], {}, value, wants_all)


def _plain(name: str, labels: Labels, value: float, wants_all: bool) -> Iterator[Reading]:
    if wants_all or is_listed(name):
        yield Reading(described(name), f"zk_{name}", labels, value)


def _statistic(statistic: str, base: str, labels: Labels, value: float, wants_all: bool) -> Iterator[Reading]:
    """One number of a summary, under its name in `mntr` and as a part of the summary."""
    if not wants_all and not is_listed(base):
        return
    yield Reading(described_statistic(statistic, base), f"zk_{statistic}_{base}", labels, value)
    summary = described_summary(base)
    if statistic in QUANTILES:
        yield Reading(summary, summary.name, {**labels, "quantile": QUANTILES[statistic]}, value)
    elif statistic in ("cnt", "sum"):
        suffix = "count" if statistic == "cnt" else "sum"
        yield Reading(summary, f"{summary.name}_{suffix}", labels, value)


def _with_labels(name: str, labels: dict[str, str], value: float, wants_all: bool) -> Iterator[Reading]:
    """A number with labels, as ZooKeeper's endpoint gives it."""
    quantile = labels.pop("quantile", None)
    base, _, suffix = name.rpartition("_")
    if quantile is None and suffix in ("count", "sum") and base.endswith(_WITH_ZNODE):
        yield from _statistic("cnt" if suffix == "count" else "sum", base, labels, value, wants_all)
    elif quantile is None:
        yield from _plain(name, labels, value, wants_all)
    elif quantile in _STATISTIC_OF_QUANTILE:
        yield from _statistic(_STATISTIC_OF_QUANTILE[quantile], name, labels, value, wants_all)
    elif wants_all or is_listed(name):
        yield Reading(described_summary(name), f"zk_{name}", {**labels, "quantile": quantile}, value)
