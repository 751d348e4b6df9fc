"""Collectors of the daemon: the list of what gives the metrics of a scrape, by the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from exporter import __version__
from exporter.config.settings import Settings
from exporter.telemetry.collecting import Collector
from exporter.telemetry.collectors import caches_collector, clients_collector, exporter_collector
from exporter.telemetry.sources import EnsembleSource, ReloadSource


def collectors(
    settings: Settings,
    ensembles: Sequence[EnsembleSource],
    reloads: ReloadSource,
    spans_dropped: Callable[[], int],
) -> list[Collector]:
    """Every collector, in the order of a scrape; a new one is one line here.

    Args:
        settings: what the daemon was started with.
        ensembles: what is watched, as it is at the moment of each iteration.
        reloads: how reading the configuration went.
        spans_dropped: how many spans were not exported.
    """
    return [
        caches_collector(ensembles),
        clients_collector(ensembles),
        exporter_collector(__version__, reloads, spans_dropped, settings.shard),
    ]


@contextlib.contextmanager
def running(collectors: Sequence[Collector]) -> Iterator[None]:
    """Within the block those that work between scrapes do so."""
    with contextlib.ExitStack() as started:
        for collector in collectors:
            collector.start()
            started.callback(collector.stop)
        yield
