"""Collecting: collectors in a list, each timed and run by itself, so that one that fails does not fail the scrape.

What a collector gives is all or nothing: of one that raises, no family is in that scrape.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Registered

from exporter.process.repetitions import FAULT_INTERVAL, Repetitions
from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Metric

logger = logging.getLogger(__name__)


class Collected(NamedTuple):
    """What a collector gave, whether it succeeded, and the seconds that it took."""

    families: Sequence[Family] = ()
    succeeded: bool = False
    seconds: float = 0.0


class Collector:
    """Gives some of the catalogue's metrics, at each scrape anew: `collect` reads state, and waits for nothing.

    Args:
        name: its value of the label ``collector``; no other in the list may have it.
        metrics: what it can give; no other in the list may give any of them.
    """

    def __init__(self, name: str, metrics: Iterable[Metric]) -> None:
        self.name = name
        self.metrics = tuple(metrics)
        self._names = {metric.family().name for metric in self.metrics}
        self._failures = Repetitions(FAULT_INTERVAL)

    def collect(self) -> Iterable[Family]:
        """Families of `metrics`, made by `Metric.family`, with their samples. May raise any error."""
        raise NotImplementedError

    def collected(self) -> Collected:
        """What a scrape gets; called on the scrape's thread."""
        return self._try()

    def start(self) -> None:
        """Begins what it does between scrapes; by default nothing."""

    def stop(self) -> None:
        """Ends it."""

    def _try(self) -> Collected:
        began = time.perf_counter()
        try:
            families = tuple(self.collect())
            undeclared = {family.name for family in families} - self._names
            if undeclared:
                raise ValueError(f"gave {', '.join(sorted(undeclared))}, not among the metrics that it names")
        except Exception as error:
            self._log(error)
            return Collected(seconds=time.perf_counter() - began)
        return Collected(families, True, time.perf_counter() - began)

    def _log(self, error: Exception) -> None:
        held_back = self._failures.admit(type(error).__name__)
        if held_back is not None:
            extra = {"held_back": held_back} if held_back else {}
            logger.warning("collector %s failed", self.name, exc_info=error, extra=extra)


class BackgroundCollector(Collector):
    """Collects every so often in a thread of its own, for what waits, say, for a network; a scrape gets the latest.

    Before the first time is over it has no families and counts as failed.

    Args:
        name: its value of the label ``collector``.
        metrics: what it can give.
        interval: seconds from the end of one collection to the beginning of the next.
    """

    def __init__(self, name: str, metrics: Iterable[Metric], interval: float) -> None:
        super().__init__(name, metrics)
        self._interval = interval
        self._latest = Collected()
        self._stopped = threading.Event()

    def collected(self) -> Collected:
        """What it collected last."""
        return self._latest

    def start(self) -> None:
        """Begins collecting. Raises RuntimeError when there is no thread to be had."""
        threading.Thread(target=self._run, name=f"collector-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Collects no more, and does not wait for what is under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._latest = self._try()
            self._stopped.wait(self._interval)


def registry_of(collectors: Sequence[Collector]) -> CollectorRegistry:
    """A registry with these, with how each of them went, and with what prometheus_client says of the process.

    Raises:
        ValueError: two collectors have the same name, or can give the same metric.
    """
    names = [collector.name for collector in collectors]
    if len(set(names)) < len(names):
        raise ValueError(f"two collectors have the same name: {', '.join(sorted(names))}")
    registry = CollectorRegistry(auto_describe=True)
    latest: dict[str, Collected] = {}
    for collector in collectors:
        registry.register(_Measured(collector, latest.__setitem__))
    # Last, since a registry collects in the order of registration.
    registry.register(_Outcomes(latest))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Measured(Registered):
    """One collector as a registry wants it, which hands on how each collection went."""

    def __init__(self, collector: Collector, tell: Callable[[str, Collected], None]) -> None:
        self._collector = collector
        self._tell = tell

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering reads no state."""
        return (metric.family() for metric in self._collector.metrics)

    def collect(self) -> Iterator[Family]:
        """The families as they are now, or none."""
        collected = self._collector.collected()
        self._tell(self._collector.name, collected)
        return iter(collected.families)


class _Outcomes(Registered):
    """How the latest collection of each collector went."""

    def __init__(self, latest: dict[str, Collected]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Family]:
        return (metric.family() for metric in catalogue.COLLECTORS.metrics)

    def collect(self) -> Iterator[Family]:
        success, duration = (metric.family() for metric in catalogue.COLLECTORS.metrics)
        for name, collected in list(self._latest.items()):
            labels = {"collector": name}
            success.add_sample(catalogue.COLLECTOR_SUCCESS.name, labels, float(collected.succeeded))
            duration.add_sample(catalogue.COLLECTOR_DURATION.name, labels, collected.seconds)
        return iter((success, duration))
