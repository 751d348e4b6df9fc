"""ZnodesCollector: the metrics of the rules of all trees that a daemon watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from prometheus_client import Metric as Exposed

from exporter.telemetry.catalogue import RULES, Kind, Metric
from exporter.telemetry.collecting import Collector
from exporter.telemetry.sources import EnsembleSource
from exporter.views.metrics import Source, families
from exporter.views.rules.rule import Family
from exporter.views.rules.view import RulesView


class ZnodesCollector(Collector):
    """Collects the metrics of rules, which change with the configuration.

    Args:
        ensembles: the watched ensembles, current at each iteration.
    """

    def __init__(self, ensembles: Iterable[EnsembleSource]) -> None:
        super().__init__("znodes", RULES.metrics)
        self._ensembles = ensembles

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the rules that are in use, and those about the rules."""
        rules = (rule for source in self._sources() for rule in source.view.rules)
        found = {family.name: family for rule in rules for family in rule.families}
        return (*map(_metric, found.values()), *RULES.metrics)

    def collect(self) -> Iterable[Exposed]:
        """The metrics as they are now."""
        return families(self._sources())

    def _sources(self) -> Iterator[Source]:
        for ensemble in self._ensembles:
            for tree, view in ensemble.views.items():
                if isinstance(view, RulesView):
                    yield Source(ensemble.name, tree, view)


def _metric(family: Family) -> Metric:
    return Metric(family.name, cast(Kind, family.kind), family.help, dict.fromkeys(family.labels, ()))
