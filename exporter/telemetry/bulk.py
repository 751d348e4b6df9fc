"""BulkHistogram: a histogram that takes many observations at once, for events that come thousands of times a second."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from exporter.telemetry.catalogue import Metric


class BulkHistogram(Collector):
    """A histogram without labels. Any thread may observe and collect.

    prometheus_client's own histogram takes its locks and searches the bucket linearly for every observation.
    """

    def __init__(self, metric: Metric) -> None:
        assert metric.buckets is not None
        self._metric = metric
        self._bounds = (*metric.buckets.bounds, float("inf"))
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Counts one value, in the metric's unit."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def observe_all(self, values: Sequence[float], exemplar: Mapping[str, str] | None) -> None:
        """Counts each value, in the metric's unit; gives the exemplar, if any, to the last value of each bucket."""
        places = [bisect_left(self._bounds, value) for value in values]
        with self._lock:
            for place in places:
                self._counts[place] += 1
            self._sum += sum(values)
            if exemplar is not None:
                now = time.time()
                for place, value in zip(places, values, strict=True):
                    self._exemplars[place] = Exemplar(dict(exemplar), value, now)

    def collect(self) -> Iterator[Family]:
        """Yields the one family, as it is now."""
        with self._lock:
            counts, total, exemplars = list(self._counts), self._sum, dict(self._exemplars)
        family = self._metric.family()
        for place, (bound, count) in enumerate(zip(self._bounds, itertools.accumulate(counts), strict=True)):
            labels = {"le": floatToGoString(bound)}  # type: ignore[no-untyped-call]
            family.add_sample(f"{self._metric.name}_bucket", labels, count, exemplar=exemplars.get(place))
        family.add_sample(f"{self._metric.name}_count", {}, sum(counts))
        family.add_sample(f"{self._metric.name}_sum", {}, total)
        yield family
