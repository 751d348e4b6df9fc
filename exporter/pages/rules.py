"""Rules: the metrics that rules make from znodes, and what they leave out, as rows of the status page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.pages.cells import Cell, element_id
from exporter.pages.format import brief, counted, human_count, visible
from exporter.treecache.view import View
from exporter.views.rules.rule import Family, Rule
from exporter.views.rules.state import Snapshot
from exporter.views.rules.view import RulesView

#: How many rules of an ensemble are shown.
RULES_SHOWN = 50
#: How many of the znodes that a rule cannot use are named for each reason.
_NAMED = 3
#: What is wrong with such znodes, by `UNUSABLE_REASONS`.
_REASONS = {
    "not_a_number": "not a number",
    "not_json": "not JSON",
    "no_key": "without a value at the key",
    "duplicate": "in the same series",
    "too_large": "too large",
    "unreadable": "unreadable",
}


@dataclass(frozen=True)
class RuleStatus:
    """One rule on the page: its tree, its metric, the value or the number of series, and what is left out."""

    tree: str
    metric: str
    value: Cell
    left_out: Cell


def rules_of(ensemble: str, trees: Mapping[str, str], views: Mapping[str, View]) -> list[RuleStatus]:
    """The rules of an ensemble's trees, in their order; `trees` are the paths of the roots by name."""
    return [
        _rule(ensemble, tree, trees[tree].rstrip("/"), view, rule, snapshots.get(rule.name))
        for tree, view in views.items()
        if isinstance(view, RulesView) and tree in trees
        for snapshots in [{snapshot.rule.name: snapshot for snapshot in view.snapshots()}]
        for rule in view.rules
    ]


def metrics_from(view: View | None, path: str) -> list[str]:
    """The metrics that the rules of a tree make from the znode at this absolute path."""
    return [rule.families[0].name for rule in view.using(path)] if isinstance(view, RulesView) else []


def _rule(ensemble: str, tree: str, root: str, view: RulesView, rule: Rule, snapshot: Snapshot | None) -> RuleStatus:
    row = element_id(ensemble, tree, "rule", rule.name)
    value, omitted = Cell(f"{row}-value", "waiting for the tree", "waiting"), Cell(f"{row}-left-out", "", "plain")
    if view.failure is not None:
        value = Cell(value.id, f"failed: {visible(repr(view.failure))}", "bad")
    elif snapshot is not None:
        value = Cell(value.id, _value(*snapshot.series[0]), "plain")
        parts = list(left_out(rule, snapshot, root))
        omitted = Cell(omitted.id, "; ".join(parts) or "nothing", "waiting" if parts else "plain")
    return RuleStatus(tree, rule.families[0].name, value, omitted)


def _value(family: Family, series: Mapping[tuple[str, ...], float]) -> str:
    """The only value with its labels, or the number of series."""
    if len(series) != 1:
        return counted(len(series), "series", "series") if series else "no series"
    ((labels, value),) = series.items()
    shown = ", ".join(brief(label) for label in labels)
    return shown if family.kind == "info" else f"{shown}: {value:g}" if shown else f"{value:g}"


def left_out(rule: Rule, snapshot: Snapshot, root: str) -> Iterator[str]:
    """What a rule leaves out, in words; `root` is the path of the tree's root, "" for the root of all."""
    if snapshot.dropped:
        yield f"{counted(snapshot.dropped, 'series', 'series')} above the limit of {human_count(rule.max_series)}"
    for reason, number in snapshot.unusable.items():
        if number:
            yield f"{counted(number, 'znode')} {_REASONS[reason]}{_names(snapshot.named.get(reason, ()), number, root)}"


def _names(paths: Sequence[str], number: int, root: str) -> str:
    """Some of the paths, below the tree's root."""
    if not paths:
        return ""
    named = ", ".join(brief(f"{root}{path}" or "/") for path in paths[:_NAMED])
    return f": {named}" + (f" and {human_count(number - _NAMED)} more" if number > _NAMED else "")
