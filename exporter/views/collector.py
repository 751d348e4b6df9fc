"""ZnodesCollector: the metrics of the rules of all trees that a daemon watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Metric as Exposed

from exporter.telemetry.catalogue import RULES
from exporter.telemetry.collecting import Collector
from exporter.telemetry.sources import EnsembleSource
from exporter.views.metrics import Source, families
from exporter.views.rules.view import RulesView


class ZnodesCollector(Collector):
    """Collects the metrics of rules, which change with the configuration.

    Args:
        ensembles: the watched ensembles, current at each iteration.
    """

    def __init__(self, ensembles: Iterable[EnsembleSource]) -> None:
        super().__init__("znodes", RULES.metrics)
        self._ensembles = ensembles

    def gives(self, family: Exposed) -> bool:
        """All: the names of rules' metrics are checked with the configuration."""
        return True

    def collect(self) -> Iterable[Exposed]:
        """The metrics as they are now."""
        return families(self._sources())

    def _sources(self) -> Iterator[Source]:
        for ensemble in self._ensembles:
            for tree, view in ensemble.views.items():
                if isinstance(view, RulesView):
                    yield Source(ensemble.name, tree, view)
