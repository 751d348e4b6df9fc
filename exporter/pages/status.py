"""Status: the content of the page at `/`, ensembles and trees, the worst first, in cells that are updated alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from exporter.pages import documents
from exporter.pages.conditions import CONNECTIONS, LEVELS, STUCK_AFTER, situation_of
from exporter.pages.format import (
    counted,
    human_bytes,
    human_count,
    human_duration,
    human_latency,
    human_moment,
    human_rate,
    visible,
)
from exporter.pages.headline import Connected, headline
from exporter.pages.history import INTERVAL, POINTS, Change, History, Look
from exporter.pages.standing import Places, Standing
from exporter.telemetry.sources import Fault
from exporter.treecache.stats import NODE_KINDS, CacheStats
from exporter.zookeeper.stats import ClientStats

#: How many faults are shown, of all trees together.
_FAULTS_SHOWN = 20

CHART_WIDTH, CHART_HEIGHT = 2 * (POINTS - 1), 28


@dataclass(frozen=True)
class Cell:
    """A part of the page that is updated alone: its text and attributes; "" and None if it lacks one."""

    id: str
    text: str = ""
    level: str = ""
    value: int | None = None
    maximum: int | None = None
    points: str = ""
    href: str = ""

    def as_json(self) -> dict[str, Any]:
        """The cell as it is sent to a page."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "id"}
        return {name: value for name, value in values.items() if value not in ("", None)} or {"text": ""}


@dataclass(frozen=True)
class TreeStatus:
    """One tree on the page."""

    ensemble: str
    name: str
    path: str
    level: str
    state: Cell
    runbook: Cell
    progress: Cell
    nodes: Cell
    kinds: Cell
    data: Cell
    staleness: Cell
    check: Cell
    staleness_chart: Cell
    rate: Cell
    rate_chart: Cell
    work: Cell


@dataclass(frozen=True)
class EnsembleStatus:
    """One ensemble on the page: the standings of all its trees, and the details of the trees that have a place."""

    name: str
    level: str
    state: Cell
    facts: Mapping[str, Cell]
    standings: Sequence[Standing]
    trees: Sequence[TreeStatus]


@dataclass(frozen=True)
class Status:
    """The page at one moment."""

    verdict: Cell
    runbook: Cell
    ensembles: Sequence[EnsembleStatus]
    changes: Sequence[Change]
    faults: Sequence[Change]

    def cells(self) -> dict[str, dict[str, Any]]:
        """All cells, by the ids of their elements."""
        cells = [self.verdict, self.runbook]
        for ensemble in self.ensembles:
            cells += [ensemble.state, *ensemble.facts.values()]
            for tree in ensemble.trees:
                cells += [value for field in fields(tree) if isinstance(value := getattr(tree, field.name), Cell)]
        return {cell.id: cell.as_json() for cell in cells}

    def outline(self) -> str:
        """Identifies the page's elements; if it changes, the page has to be reloaded."""
        return _key(*sorted(tree.state.id for ensemble in self.ensembles for tree in ensemble.trees))


def status(history: History, places: Places) -> Status:
    """Looks once and returns the page's content; `places` decides which trees are shown."""
    looks = history.look()
    ensembles = sorted(
        (_ensemble(look, history, places) for look in looks), key=lambda one: (-LEVELS.index(one.level), one.name)
    )
    text, level, alert = headline([Connected(situation_of(look.client), look.standings, look.name) for look in looks])
    runbook = Cell("verdict-runbook", f"Runbook: {alert}" if alert else "", href=documents.runbook(alert))
    return Status(Cell("verdict", text, level), runbook, ensembles, history.changes(), _faults(looks))


def _faults(looks: Sequence[Look]) -> list[Change]:
    faults = [
        Change(fault.last_at, f"{look.name} {name}", _fault_in_words(fault), "bad")
        for look in looks
        for name, of_tree in look.faults.items()
        for fault in of_tree
    ]
    return sorted(faults, key=lambda fault: -fault.at)[:_FAULTS_SHOWN]


def _fault_in_words(fault: Fault) -> str:
    return visible(fault.text) + (f", and {human_count(fault.count - 1)} more like it" if fault.count > 1 else "")


def _ensemble(look: Look, history: History, places: Places) -> EnsembleStatus:
    key = _key(look.name)
    level, words, *_ = CONNECTIONS[situation_of(look.client)]
    trees = look.standings
    return EnsembleStatus(
        name=look.name,
        level=_worst([level, *(tree.level for tree in trees)]),
        state=Cell(f"{key}-state", words, level),
        facts=_facts(key, look.client),
        standings=trees,
        trees=[_tree(look, tree, history) for tree in places.allot(look.name, trees)],
    )


#: Why attempts to connect failed, by `FAILURE_REASONS`.
_FAILED = {
    "dns": "name not resolved",
    "refused": "refused",
    "timeout": "timed out",
    "tls": "TLS failed",
    "auth": "authentication failed",
    "hung_up": "closed by the server, as without a quorum",
    "other": "failed",
}


def _facts(key: str, client: ClientStats) -> dict[str, Cell]:
    now = time.time()
    stuck = "bad" if client.oldest_request_age > STUCK_AFTER else "plain"
    asked = counted(client.requests_outstanding, "request")
    oldest = f", the oldest for {human_duration(client.oldest_request_age)}" if client.requests_outstanding else ""
    return {
        "Server": Cell(f"{key}-server", client.server or _no_server(client.failed_attempts)),
        "Session": Cell(f"{key}-session-id", client.session_id or "none"),
        "Session age": Cell(f"{key}-session", _since(client.session_started_at, now) or "none yet"),
        "Session timeout": Cell(
            f"{key}-timeout", f"{client.session_timeout:g} s" if client.session_timeout else "none granted"
        ),
        "Last heard": Cell(f"{key}-heard", f"{since} ago" if (since := _since(client.last_heard_at, now)) else "never"),
        "Outstanding": Cell(f"{key}-outstanding", asked + oldest, stuck),
        "Sessions lost": Cell(f"{key}-lost", human_count(sum(client.sessions_lost.values()))),
    }


def _no_server(failed_attempts: Mapping[str, int]) -> str:
    """How often and why connecting failed since the last connection: the evidence of what is wrong."""
    attempts = [f"{_FAILED[reason]} ({human_count(number)})" for reason, number in failed_attempts.items()]
    return f"none; attempts: {', '.join(attempts)}" if attempts else "none"


def _since(at: float, now: float) -> str:
    return human_duration(now - at) if at else ""


def _tree(look: Look, standing: Standing, history: History) -> TreeStatus:
    name, tree = standing.name, look.trees[standing.name]
    key = _key(look.name, name)
    total = sum(tree.nodes.values())
    rates, staleness = history.charts(look.name, name)
    left = tree.pending_paths + tree.outstanding_operations
    return TreeStatus(
        ensemble=look.name,
        name=name,
        path=tree.path,
        level=standing.level,
        state=Cell(f"{key}-state", standing.words, standing.level),
        runbook=Cell(f"{key}-runbook", "Runbook" if standing.runbook else "", href=documents.runbook(standing.runbook)),
        progress=Cell(
            f"{key}-progress",
            # The style hides it if the level is good.
            level="good" if tree.initialized and standing.state != "catching_up" else "waiting",
            value=total,
            maximum=max(1, total + left),
        ),
        nodes=Cell(f"{key}-nodes", human_count(total)),
        kinds=Cell(f"{key}-kinds", _kinds(tree)),
        data=Cell(f"{key}-data", human_bytes(tree.data_bytes)),
        staleness=Cell(
            f"{key}-stale",
            "never verified" if standing.staleness is None else f"≤ {human_duration(standing.staleness)}",
            "bad" if standing.is_stale else "plain",
        ),
        check=Cell(f"{key}-check", f"verified in {human_latency(tree.verified_in)}" if tree.verified_at else ""),
        staleness_chart=_chart(f"{key}-stale-chart", "Staleness", staleness, human_duration, 15.0),
        rate=Cell(f"{key}-rate", human_rate(rates[-1]) if rates else ""),
        rate_chart=_chart(f"{key}-rate-chart", "Events per second", rates, human_rate, 1.0),
        work=Cell(f"{key}-work", _work(tree), "bad" if tree.oldest_operation_age > STUCK_AFTER else "plain"),
    )


def _kinds(tree: CacheStats) -> str:
    parts = [f"{human_count(tree.nodes[kind])} {kind}" for kind in NODE_KINDS if tree.nodes[kind]]
    if tree.unreadable_nodes:
        parts.append(f"{human_count(tree.unreadable_nodes)} unreadable")
    return ", ".join(parts)


def _work(tree: CacheStats) -> str:
    parts = [
        counted(number, *words)
        for number, words in (
            (tree.outstanding_operations, ("outstanding operation", "outstanding operations")),
            (tree.pending_paths, ("path to read", "paths to read")),
            (tree.undelivered_events, ("undelivered event", "undelivered events")),
            (sum(tree.faults.values()), ("fault so far", "faults so far")),
        )
        if number
    ]
    return ", ".join(parts) or "idle"


def _points(values: Sequence[float], least: float) -> str:
    """A chart's line, with the latest point at the right edge; its scale reaches at least up to `least`."""
    top = max([least, *values])
    start = CHART_WIDTH - 2 * (len(values) - 1)
    return " ".join(
        f"{start + 2 * index},{CHART_HEIGHT - 1 - round((CHART_HEIGHT - 2) * value / top)}"
        for index, value in enumerate(values)
    )


def _chart(key: str, what: str, values: Sequence[float], in_words: Callable[[float], str], least: float) -> Cell:
    if not values:
        return Cell(key, f"{what}: not measured yet")
    span = human_duration(INTERVAL * len(values))
    text = f"{what} over the last {span}: {in_words(values[-1])} now, {in_words(max(values))} at most"
    return Cell(key, text, points=_points(values, least))


def _worst(levels: Iterable[str]) -> str:
    return max(levels, key=LEVELS.index, default="good")


def _key(*names: str) -> str:
    """An element's id, derived from these names."""
    return "x" + hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def as_json(changes: Sequence[Change]) -> list[dict[str, str]]:
    """Changes or faults as they are sent to a page."""
    return [
        {"at": human_moment(one.at), "where": visible(one.where), "what": one.what, "level": one.level}
        for one in changes
    ]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The items of `after` that are not in `before`, or differ there."""
    for key, value in after.items():
        if before.get(key) != value:
            yield key, value
