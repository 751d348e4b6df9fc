"""ZnodeMetrics: metrics of what is in znodes, by rules, for a Prometheus registry."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client import Metric as Exposed
from prometheus_client.registry import Collector

from exporter.telemetry.catalogue import RULE_DROPPED_SERIES, RULE_UNUSABLE, RULES, Metric
from exporter.treecache import TreeCache
from exporter.views.rules.rule import Family, Rule, check_collisions
from exporter.views.rules.view import RulesView


class Source(NamedTuple):
    """The view of one tree, with the values of the labels that identify the tree."""

    ensemble: str
    tree: str
    view: RulesView


def families(sources: Iterable[Source]) -> Iterator[Exposed]:
    """The metrics of these trees as they are now; those of one name are one family.

    Takes no lock, and costs what the series cost.
    """
    found: dict[str, Exposed] = {}
    dropped, unusable = RULE_DROPPED_SERIES.family(), RULE_UNUSABLE.family()
    for ensemble, tree, view in sources:
        for snapshot in view.snapshots():
            for family, series in snapshot.series:
                exposed = found.get(family.name)
                if exposed is None:
                    exposed = found[family.name] = _empty(family)
                names = ("ensemble", "tree", *family.labels)
                for key, value in series.items():
                    exposed.add_sample(family.name, dict(zip(names, (ensemble, tree, *key), strict=True)), float(value))
            labels = {"ensemble": ensemble, "tree": tree, "rule": snapshot.rule.name}
            dropped.add_sample(RULE_DROPPED_SERIES.name, labels, float(snapshot.dropped))
            for reason, count in snapshot.unusable.items():
                unusable.add_sample(RULE_UNUSABLE.name, {**labels, "reason": reason}, float(count))
    yield from found.values()
    yield dropped
    yield unusable


class ZnodeMetrics:
    """Metrics of what is in the znodes of a cache, by rules, in a registry.

    Make it before the cache starts, or with rules that need no data that the cache does not keep; see
    `TreeCache.add_view`. Each metric has the labels ``ensemble`` and ``tree``, the cache's name, and those of its rule.
    Before the tree is complete there are none; while ZooKeeper is away the last values stay, and
    `TreeCache.verified_at` says how old they are. ``zookeeper_znode_rule_dropped_series`` and
    ``zookeeper_znode_rule_unusable`` say what a rule leaves out.

    With ``keep_data=False`` the cache keeps the data that the rules read, and no other.

    Args:
        cache: the cache.
        rules: of different names and metrics. Caches of one registry may share metrics with the same labels.
        registry: takes the metrics; by default prometheus_client's own.
        ensemble: the value of the label `ensemble`.

    Raises:
        ValueError: rules collide with each other, with those of another cache or with other metrics of the registry;
            or the registry has the rules of a cache of this ensemble and name already.
        KazooException: the cache was closed before.
    """

    def __init__(
        self,
        cache: TreeCache,
        rules: Iterable[Rule],
        *,
        registry: CollectorRegistry = REGISTRY,
        ensemble: str = "default",
    ) -> None:
        self._registry = registry
        #: The view, for other readers than Prometheus.
        self.view = RulesView.of(cache, rules)
        self._tree = _Tree(Source(ensemble, cache.name, self.view), cache)
        with _changing:
            trees = _registries.setdefault(registry, _Trees())
            trees.add(self._tree, registry)
            try:
                cache.add_view(self.view)
            except BaseException:
                trees.remove(self._tree, registry)
                raise

    def close(self) -> None:
        """Removes the metrics from the registry, and the view from the cache; again does nothing."""
        with _changing:
            _registries[self._registry].remove(self._tree, self._registry)
            self._tree.cache.remove_view(self.view)


class _Tree(NamedTuple):
    source: Source
    cache: TreeCache


class _Trees(Collector):
    """All trees of one registry, as one collector, since a registry takes each metric once."""

    def __init__(self) -> None:
        self._trees: tuple[_Tree, ...] = ()
        self._is_registered = False

    def describe(self) -> Iterator[Exposed]:
        """The families without samples."""
        rules = (rule for tree in self._trees for rule in tree.source.view.rules)
        yield from {family.name: _empty(family) for rule in rules for family in rule.families}.values()
        yield from (metric.family() for metric in RULES.metrics)

    def collect(self) -> Iterator[Exposed]:
        """The families as they are now; a closed cache has none, nor has one that a fork has copied."""
        return families(tree.source for tree in self._trees if tree.cache.state != "closed")

    def add(self, added: _Tree, registry: CollectorRegistry) -> None:
        if any(tree.source[:2] == added.source[:2] for tree in self._trees):
            raise ValueError(
                f"the registry has the rules of the tree {added.source.tree!r} of ensemble {added.source.ensemble!r} "
                "already; tell caches apart with TreeCache(..., name=...)"
            )
        check_collisions(rule for tree in (*self._trees, added) for rule in tree.source.view.rules)
        before = self._trees
        try:
            self._become((*before, added), registry)
        except BaseException:
            self._become(before, registry)
            raise

    def remove(self, removed: _Tree, registry: CollectorRegistry) -> None:
        if removed in self._trees:
            self._become(tuple(tree for tree in self._trees if tree is not removed), registry)

    def _become(self, trees: tuple[_Tree, ...], registry: CollectorRegistry) -> None:
        """Registers anew: the registry learns the names of a collector then alone."""
        if self._is_registered:
            registry.unregister(self)
            self._is_registered = False
        self._trees = trees
        if trees:
            registry.register(self)
            self._is_registered = True


def _empty(family: Family) -> Exposed:
    return Metric(family.name, family.kind, family.help).family()


#: Held while trees are added and removed; scrapes do not take it.
_changing = threading.RLock()
_registries: WeakKeyDictionary[CollectorRegistry, _Trees] = WeakKeyDictionary()
