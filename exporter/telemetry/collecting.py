"""Collecting: runs and times each collector of a list separately, so that one that fails does not fail the scrape.

The scrape has the families that a collector finished before it failed, and lacks the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Registered

from exporter.process.repetitions import FAULT_INTERVAL, Repetitions
from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Metric

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Whether a collection succeeded, and the seconds that the collector itself took."""

    succeeded: bool = False
    seconds: float = 0.0


#: Yields families one by one, since all together may take a lot of memory; returns the outcome.
Collection = Generator[Family, None, Outcome]


class Collector:
    """Collects some of the catalogue's metrics at each scrape: `collect` reads state and waits for nothing.

    Args:
        name: its value of the label ``collector``, unique in the list.
        metrics: the metrics that it collects; no other collector of the list may collect any of them. A collector whose
            metrics depend on the configuration overrides `gives`.
    """

    def __init__(self, name: str, metrics: Iterable[Metric]) -> None:
        self.name = name
        self.metrics = tuple(metrics)
        self._names = {metric.family().name for metric in self.metrics}
        self._failures = Repetitions(FAULT_INTERVAL)

    def collect(self) -> Iterable[Family]:
        """Yields families of `metrics`, made by `Metric.family`, with their samples. May raise any error."""
        raise NotImplementedError

    def gives(self, family: Family) -> bool:
        """Whether a family is one of those that it may give."""
        return family.name in self._names

    def scraped(self) -> Collection:
        """The collection for a scrape; runs on the scrape's thread."""
        return self._collection()

    def start(self) -> None:
        """Starts work between scrapes; by default there is none."""

    def stop(self) -> None:
        """Stops that work."""

    def _collection(self) -> Collection:
        seconds, began = 0.0, time.perf_counter()
        try:
            for family in self.collect():
                if not self.gives(family):
                    raise ValueError(f"gave {family.name}, which is not among the metrics that it names")
                seconds += time.perf_counter() - began
                yield family
                began = time.perf_counter()
        except Exception as error:
            self._log(error)
            return Outcome(False, seconds + time.perf_counter() - began)
        return Outcome(True, seconds + time.perf_counter() - began)

    def _log(self, error: Exception) -> None:
        held_back = self._failures.admit(type(error).__name__)
        if held_back is not None:
            extra = {"held_back": held_back} if held_back else {}
            logger.warning("collector %s failed", self.name, exc_info=error, extra=extra)


class BackgroundCollector(Collector):
    """Collects at intervals in its own thread, for sources that make it wait (a network); a scrape gets the latest.

    It has no families before the first collection has ended, nor after one that failed.

    Args:
        name: its value of the label ``collector``.
        metrics: the metrics that it collects.
        interval: seconds from the end of one collection to the beginning of the next.
    """

    def __init__(self, name: str, metrics: Iterable[Metric], interval: float) -> None:
        super().__init__(name, metrics)
        self._interval = interval
        self._latest: tuple[Sequence[Family], Outcome] = ((), Outcome())
        self._stopped = threading.Event()

    def scraped(self) -> Collection:
        """The latest collection."""
        families, outcome = self._latest
        yield from families
        return outcome

    def start(self) -> None:
        """Starts collecting. Raises RuntimeError if no thread can be started."""
        threading.Thread(target=self._run, name=f"collector-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Stops collecting, without waiting for a collection under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            families, outcome = _whole(self._collection())
            self._latest = (families if outcome.succeeded else (), outcome)
            self._stopped.wait(self._interval)


def _whole(collection: Collection) -> tuple[Sequence[Family], Outcome]:
    """All families of a collection, and its outcome."""
    families: list[Family] = []
    while True:
        try:
            families.append(next(collection))
        except StopIteration as end:
            return families, end.value


def registry_of(collectors: Sequence[Collector]) -> CollectorRegistry:
    """A registry of these collectors, of their outcomes, and of prometheus_client's own metrics of the process.

    Raises:
        ValueError: two collectors have the same name, or the same metric.
    """
    names = [collector.name for collector in collectors]
    if len(set(names)) < len(names):
        raise ValueError(f"two collectors have the same name: {', '.join(sorted(names))}")
    registry = CollectorRegistry(auto_describe=True)
    latest: dict[str, Outcome] = {}
    for collector in collectors:
        registry.register(_Measured(collector, latest.__setitem__))
    # Last, since a registry collects in the order of registration.
    registry.register(_Outcomes(latest))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Measured(Registered):
    """One collector in the form that a registry takes; passes on the outcome of each collection."""

    def __init__(self, collector: Collector, note: Callable[[str, Outcome], None]) -> None:
        self._collector = collector
        self._note = note

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering reads no state."""
        return (metric.family() for metric in self._collector.metrics)

    def collect(self) -> Iterator[Family]:
        """The families as they are now."""
        outcome = yield from self._collector.scraped()
        self._note(self._collector.name, outcome)


class _Outcomes(Registered):
    """The outcomes of the collectors' latest collections."""

    def __init__(self, latest: dict[str, Outcome]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Family]:
        return (metric.family() for metric in catalogue.COLLECTORS.metrics)

    def collect(self) -> Iterator[Family]:
        success, duration = (metric.family() for metric in catalogue.COLLECTORS.metrics)
        for name, outcome in list(self._latest.items()):
            labels = {"collector": name}
            success.add_sample(catalogue.COLLECTOR_SUCCESS.name, labels, float(outcome.succeeded))
            duration.add_sample(catalogue.COLLECTOR_DURATION.name, labels, outcome.seconds)
        return iter((success, duration))
