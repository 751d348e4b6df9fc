"""QuotasCollector: the quotas of each ensemble, read at intervals, since no event reports their changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from kazoo.exceptions import NoAuthError
from prometheus_client import Metric as Family

from exporter.telemetry.catalogue import (
    QUOTA_BYTES,
    QUOTA_BYTES_LIMIT,
    QUOTA_NODES,
    QUOTA_NODES_LIMIT,
    QUOTAS,
)
from exporter.telemetry.collecting import BackgroundCollector
from exporter.telemetry.sources import EnsembleSource
from exporter.zookeeper.quotas import Quota

#: Seconds between two readings of an ensemble, and after one that it forbade, whose error counts as a failed request.
INTERVAL, FORBIDDEN = 60.0, 3600.0
#: Seconds between two looks whether a reading is due.
TICK = 5.0

logger = logging.getLogger(__name__)


class QuotasCollector(BackgroundCollector):
    """Collects the quotas of every ensemble whose client is connected and may read them.

    Args:
        ensembles: the watched ensembles, current at each iteration.
        clock: gives monotonic seconds.
    """

    def __init__(self, ensembles: Iterable[EnsembleSource], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("quotas", QUOTAS.metrics, TICK)
        self._ensembles = ensembles
        self._clock = clock
        #: What was read last of each ensemble, and when it is to be read again.
        self._known: dict[str, Mapping[str, Quota]] = {}
        self._due: dict[str, float] = {}

    def collect(self) -> Iterator[Family]:
        """The families, after reading from ZooKeeper what is due."""
        families = {metric.name: metric.family() for metric in QUOTAS.metrics}
        for ensemble in self._ensembles:
            self._read(ensemble)
            for path, quota in self._known.get(ensemble.name, {}).items():
                labels = {"ensemble": ensemble.name, "quota": path}
                families[QUOTA_NODES.name].add_sample(QUOTA_NODES.name, labels, float(quota.nodes))
                families[QUOTA_BYTES.name].add_sample(QUOTA_BYTES.name, labels, float(quota.bytes))
                for metric, limits in (
                    (QUOTA_NODES_LIMIT, quota.nodes_limits),
                    (QUOTA_BYTES_LIMIT, quota.bytes_limits),
                ):
                    for kind, limit in limits.items():
                        families[metric.name].add_sample(metric.name, {**labels, "kind": kind}, float(limit))
        yield from families.values()

    def _read(self, ensemble: EnsembleSource) -> None:
        """Reads the quotas of an ensemble if that is due; without a connection, none are known."""
        name = ensemble.name
        if ensemble.quotas is None or not ensemble.client.stats().state.startswith("connected"):
            self._known.pop(name, None)
            self._due.pop(name, None)
        elif self._clock() >= self._due.get(name, 0.0):
            self._due[name] = self._clock() + INTERVAL
            self._known.pop(name, None)
            try:
                self._known[name] = ensemble.quotas()
            except NoAuthError:
                self._due[name] = self._clock() + FORBIDDEN
                logger.info("quotas of %s may not be read", name)
            except Exception as error:
                logger.warning("quotas of %s were not read: %r", name, error)
