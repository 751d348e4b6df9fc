"""Preview: what the rules of a configuration make of the znodes that exist now, as text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.config.settings import Ensemble, Tree, one_line
from exporter.daemon.fleet import Fleet
from exporter.pages.conditions import attempts_in_words
from exporter.pages.format import counted
from exporter.pages.rules import left_out
from exporter.process import stdout
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from exporter.views.rules.rule import Family
from exporter.views.rules.state import Snapshot
from exporter.views.rules.view import RulesView

#: Seconds between two looks at a view.
_PAUSE = 0.01


def run(ensembles: Sequence[Ensemble], timeout: float, say: Callable[[str], None] = stdout.say) -> int:
    """Loads the trees that have rules, says what each rule makes of them, and returns the exit status.

    That is 0 if all of these trees are complete within `timeout` seconds, else 1. Nothing is served, and nothing in
    ZooKeeper is changed. Raises OutputError if `say` does.
    """
    wanted = [with_rules for one in ensembles if (with_rules := _with_rules(one)).trees]
    if not wanted:
        say("No tree has rules.")
        return 0
    fleet = Fleet(wanted)
    fleet.start()
    try:
        deadline = time.monotonic() + timeout
        are_complete = [
            _say_tree(source, tree, deadline, say)
            for source, ensemble in zip(fleet, wanted, strict=True)
            for tree in ensemble.trees
        ]
    finally:
        fleet.stop()
    return 0 if all(are_complete) else 1


def _with_rules(ensemble: Ensemble) -> Ensemble:
    """The ensemble with its trees that have rules alone, which are neither checked nor audited; no server is polled."""
    trees = (
        replace(tree, options=replace(tree.options, freshness_interval=None, audit_interval=None))
        for tree in ensemble.trees
        if tree.rules
    )
    return replace(ensemble, trees=tuple(trees), servers=None)


def _say_tree(source: EnsembleSource, tree: Tree, deadline: float, say: Callable[[str], None]) -> bool:
    """Says what the rules of a tree make; returns whether the tree is complete."""
    cache, view = source.caches[tree.name], source.views[tree.name]
    assert isinstance(cache, TreeCache)
    assert isinstance(view, RulesView)
    name = one_line(f"{source.name} {tree.name}")
    cache.wait_initialized(max(0.0, deadline - time.monotonic()))
    # The view gets the whole tree a moment later.
    while not view.is_known and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    if not view.is_known:
        why = attempts_in_words(source.client.stats().failed_attempts)
        say(f"{name}: not complete ({cache.state}{f'; connecting failed: {why}' if why else ''})")
        return False
    say(f"{name}: {counted(len(cache), 'znode')}")
    for snapshot in view.snapshots():
        for line in _lines(snapshot, tree.path.rstrip("/")):
            say(one_line(line))
    return True


def _lines(snapshot: Snapshot, root: str) -> Iterator[str]:
    yield f"  {snapshot.rule.name}: {counted(len(snapshot.series[0][1]), 'series', 'series')}"
    for family, series in snapshot.series:
        for key, value in sorted(series.items()):
            yield f"    {family.name}{_labels(family, key)} {value:.15g}"
    for omitted in left_out(snapshot.rule, snapshot, root):
        yield f"    left out: {omitted}"


def _labels(family: Family, key: Sequence[str]) -> str:
    labels: Mapping[str, str] = dict(zip(family.labels, key, strict=True))
    return "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}" if labels else ""
