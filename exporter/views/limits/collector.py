"""Collects the sizes of trees, and how near they are to ZooKeeper's limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exporter.telemetry import catalogue
from exporter.telemetry.collecting import Collector
from exporter.telemetry.collectors import GroupCollector, Reader, Snapshot
from exporter.telemetry.sources import EnsembleSource
from exporter.views.limits.view import LimitsView, Weighed

READERS: Mapping[str, Reader[Weighed]] = {
    catalogue.LARGEST_NODE.name: lambda weighed: {(): weighed.largest_node},
    catalogue.LARGEST_CHILDREN_COUNT.name: lambda weighed: {(): weighed.largest_children_count},
    catalogue.LARGEST_CHILDREN_LIST.name: lambda weighed: {(): weighed.largest_children_list},
    catalogue.SIZE_LIMIT.name: lambda weighed: {(): weighed.limit},
    catalogue.NODES_NEAR_LIMIT.name: lambda weighed: {
        ("data",): len(weighed.near_data),
        ("children_list",): len(weighed.near_children_list),
    },
    catalogue.SUBTREE_NODES.name: lambda weighed: {
        (child,): weight.znodes for child, weight in weighed.subtrees.items()
    },
    catalogue.SUBTREE_BYTES.name: lambda weighed: {
        (child,): weight.data_bytes for child, weight in weighed.subtrees.items()
    },
}


def limits_collector(ensembles: Iterable[EnsembleSource]) -> Collector:
    """Collects the sizes of every tree that is known whole; reads `ensembles` anew at each scrape."""
    return GroupCollector("limits", catalogue.LIMITS, READERS, lambda: list(_snapshots(ensembles)))


def _snapshots(ensembles: Iterable[EnsembleSource]) -> Iterator[Snapshot[Weighed]]:
    for ensemble in ensembles:
        for tree, view in ensemble.limits.items():
            weighed = view.weighed() if isinstance(view, LimitsView) else None
            if weighed is not None:
                yield (ensemble.name, tree), weighed, {}
