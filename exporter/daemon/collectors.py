"""Collectors of the daemon: the list of all collectors whose metrics a scrape gets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from exporter import __version__
from exporter.config.settings import Settings
from exporter.servers.collector import ServersCollector
from exporter.telemetry.collecting import Collector
from exporter.telemetry.collectors import caches_collector, clients_collector, exporter_collector
from exporter.telemetry.quotas import QuotasCollector
from exporter.telemetry.sources import EnsembleSource, ReloadSource
from exporter.views.collector import ZnodesCollector
from exporter.views.limits.collector import limits_collector


def collectors(
    settings: Settings,
    ensembles: Sequence[EnsembleSource],
    reloads: ReloadSource,
    spans_dropped: Callable[[], int],
) -> list[Collector]:
    """Every collector, in the order of a scrape; a new one is one line here.

    Args:
        settings: the daemon's settings.
        ensembles: the watched ensembles, current at each iteration.
        reloads: returns the results of reloads.
        spans_dropped: returns how many spans were not exported.
    """
    return [
        caches_collector(ensembles),
        clients_collector(ensembles),
        ServersCollector(ensembles),
        ZnodesCollector(ensembles),
        limits_collector(ensembles),
        QuotasCollector(ensembles),
        exporter_collector(__version__, reloads, spans_dropped, settings.shard),
    ]


@contextlib.contextmanager
def running(collectors: Sequence[Collector]) -> Iterator[None]:
    """Runs the collectors that work between scrapes, within the block."""
    with contextlib.ExitStack() as started:
        for collector in collectors:
            collector.start()
            started.callback(collector.stop)
        yield
