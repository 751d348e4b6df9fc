"""QuotasCollector: the quotas of each ensemble, read at intervals, since no event tells of their changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from prometheus_client import Metric as Family

from exporter.process.repetitions import FAULT_INTERVAL, Repetitions
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

#: Seconds between two readings, and after one that some ensemble did not answer.
INTERVAL, RETRY = 60.0, 5.0

logger = logging.getLogger(__name__)


class QuotasCollector(BackgroundCollector):
    """Collects the quotas of every ensemble whose client is connected and may read them.

    Args:
        ensembles: the watched ensembles, current at each iteration.
        interval: seconds between two readings.
    """

    def __init__(self, ensembles: Iterable[EnsembleSource], interval: float = INTERVAL) -> None:
        super().__init__("quotas", QUOTAS.metrics, interval)
        self._ensembles = ensembles
        self._failures_to_read = Repetitions(FAULT_INTERVAL)
        self._has_read_all = False

    def collect(self) -> Iterator[Family]:
        """The families, after reading from ZooKeeper."""
        self._has_read_all = True
        families = {metric.name: metric.family() for metric in QUOTAS.metrics}
        for ensemble in self._ensembles:
            for path, quota in self._read(ensemble):
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

    def pause(self) -> float:
        """Seconds until the next reading."""
        return self._interval if self._has_read_all else min(RETRY, self._interval)

    def _read(self, ensemble: EnsembleSource) -> Iterator[tuple[str, Quota]]:
        """The quotas of an ensemble; none if it cannot be asked, which concerns no other ensemble."""
        if ensemble.quotas is None:
            return
        if not ensemble.client.stats().state.startswith("connected"):
            self._has_read_all = False
            return
        try:
            quotas = ensemble.quotas()
        except Exception as error:
            self._has_read_all = False
            self._log_failure(ensemble.name, error)
            return
        yield from quotas.items()

    def _log_failure(self, ensemble: str, error: Exception) -> None:
        held_back = self._failures_to_read.admit(ensemble)
        if held_back is not None:
            extra = {"held_back": held_back} if held_back else {}
            logger.warning("quotas of %s were not read: %r", ensemble, error, extra=extra)
