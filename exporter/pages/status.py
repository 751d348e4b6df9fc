"""Status: the content of the page at `/`, ensembles and trees, the worst first, in cells that are updated alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.pages import documents
from exporter.pages.cells import Cell, cells_of, element_id
from exporter.pages.conditions import CONNECTIONS, LEVELS, STUCK_AFTER, attempts_in_words, situation_of
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
from exporter.pages.rules import RULES_SHOWN, RuleStatus, rules_of
from exporter.pages.servers import SERVERS_SHOWN, ServerStatus, servers_of
from exporter.pages.standing import Places, Standing
from exporter.telemetry.sources import Fault
from exporter.treecache.stats import NODE_KINDS, CacheStats
from exporter.zookeeper.stats import ClientStats

#: How many faults are shown, of all trees together.
_FAULTS_SHOWN = 20

CHART_WIDTH, CHART_HEIGHT = 2 * (POINTS - 1), 28


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
    """One ensemble on the page: the standings of its trees, details of those that have a place, its rules and servers.

    Of rules and servers, the first ones are shown; `more_rules` and `more_servers` are the numbers of others.
    """

    name: str
    level: str
    state: Cell
    facts: Mapping[str, Cell]
    standings: Sequence[Standing]
    trees: Sequence[TreeStatus]
    rules: Sequence[RuleStatus]
    more_rules: int
    servers: Sequence[ServerStatus]
    more_servers: int


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
            for row in (*ensemble.trees, *ensemble.rules, *ensemble.servers):
                cells += cells_of(row)
        return {cell.id: cell.as_json() for cell in cells}

    def outline(self) -> str:
        """Identifies the page's elements; if it changes, the page has to be reloaded."""
        rows = [tree.state.id for ensemble in self.ensembles for tree in ensemble.trees]
        rows += [rule.value.id for ensemble in self.ensembles for rule in ensemble.rules]
        rows += [server.role.id for ensemble in self.ensembles for server in ensemble.servers]
        return element_id(*sorted(rows))


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
    row = element_id(look.name)
    level, words, *_ = CONNECTIONS[situation_of(look.client)]
    trees = look.standings
    rules = rules_of(look.name, {name: tree.path for name, tree in look.trees.items()}, look.views)
    return EnsembleStatus(
        name=look.name,
        level=_worst([level, *(tree.level for tree in trees)]),
        state=Cell(f"{row}-state", words, level),
        facts=_facts(row, look.client),
        standings=trees,
        trees=[_tree(look, tree, history) for tree in places.allot(look.name, trees)],
        rules=rules[:RULES_SHOWN],
        more_rules=max(0, len(rules) - RULES_SHOWN),
        servers=servers_of(look.name, look.servers[:SERVERS_SHOWN]),
        more_servers=max(0, len(look.servers) - SERVERS_SHOWN),
    )


def _facts(row: str, client: ClientStats) -> dict[str, Cell]:
    now = time.time()
    stuck = "bad" if client.oldest_request_age > STUCK_AFTER else "plain"
    asked = counted(client.requests_outstanding, "request")
    oldest = f", the oldest for {human_duration(client.oldest_request_age)}" if client.requests_outstanding else ""
    return {
        "Server": Cell(f"{row}-server", client.server or _no_server(client.failed_attempts)),
        "Session": Cell(f"{row}-session-id", client.session_id or "none"),
        "Session age": Cell(f"{row}-session", _since(client.session_started_at, now) or "none yet"),
        "Session timeout": Cell(
            f"{row}-timeout", f"{client.session_timeout:g} s" if client.session_timeout else "none granted"
        ),
        "Last heard": Cell(f"{row}-heard", f"{since} ago" if (since := _since(client.last_heard_at, now)) else "never"),
        "Outstanding": Cell(f"{row}-outstanding", asked + oldest, stuck),
        "Sessions lost": Cell(f"{row}-lost", human_count(sum(client.sessions_lost.values()))),
    }


def _no_server(failed_attempts: Mapping[str, int]) -> str:
    """How often and why connecting failed since the last connection: the evidence of what is wrong."""
    return f"none; attempts: {attempts_in_words(failed_attempts)}" if failed_attempts else "none"


def _since(at: float, now: float) -> str:
    return human_duration(now - at) if at else ""


def _tree(look: Look, standing: Standing, history: History) -> TreeStatus:
    name, tree = standing.name, look.trees[standing.name]
    row = element_id(look.name, name)
    total = sum(tree.nodes.values())
    rates, staleness = history.charts(look.name, name)
    left = tree.pending_paths + tree.outstanding_operations
    return TreeStatus(
        ensemble=look.name,
        name=name,
        path=tree.path,
        level=standing.level,
        state=Cell(f"{row}-state", standing.words, standing.level),
        runbook=Cell(f"{row}-runbook", "Runbook" if standing.runbook else "", href=documents.runbook(standing.runbook)),
        progress=Cell(
            f"{row}-progress",
            # The style hides it if the level is good.
            level="good" if tree.initialized and standing.state != "catching_up" else "waiting",
            value=total,
            maximum=max(1, total + left),
        ),
        nodes=Cell(f"{row}-nodes", human_count(total)),
        kinds=Cell(f"{row}-kinds", _kinds(tree)),
        data=Cell(f"{row}-data", human_bytes(tree.data_bytes)),
        staleness=Cell(
            f"{row}-stale",
            "never verified" if standing.staleness is None else f"≤ {human_duration(standing.staleness)}",
            "bad" if standing.is_stale else "plain",
        ),
        check=Cell(f"{row}-check", f"verified in {human_latency(tree.verified_in)}" if tree.verified_at else ""),
        staleness_chart=_chart(f"{row}-stale-chart", "Staleness", staleness, human_duration, 15.0),
        rate=Cell(f"{row}-rate", human_rate(rates[-1]) if rates else ""),
        rate_chart=_chart(f"{row}-rate-chart", "Events per second", rates, human_rate, 1.0),
        work=Cell(f"{row}-work", _work(tree), "bad" if tree.oldest_operation_age > STUCK_AFTER else "plain"),
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
