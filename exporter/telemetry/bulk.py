"""BulkHistogram: a histogram that takes many observations at once, for events that come thousands of times a second."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from exporter.telemetry.catalogue import Metric

#: How many values may wait to be counted.
_MANY = 256


class BulkHistogram(Collector):
    """A histogram without labels. Any thread may observe and collect.

    prometheus_client's own histogram takes its locks and searches the bucket linearly for every observation. This one
    only notes the value, since a change waits for that, and counts many at once.
    """

    def __init__(self, metric: Metric) -> None:
        assert metric.buckets is not None
        self._metric = metric
        self._bounds = (*metric.buckets.bounds, float("inf"))
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = threading.Lock()
        #: Values that are not counted yet: they are once there are many, and by `collect`.
        self._waiting: deque[float] = deque()

    def observe(self, value: float) -> None:
        """Counts one value, in the metric's unit."""
        self.observe_all((value,), None)

    def observe_all(self, values: Sequence[float], exemplar: Mapping[str, str] | None) -> None:
        """Counts each value, in the metric's unit; gives the exemplar, if any, to the last value of each bucket."""
        self._waiting.extend(values)
        if exemplar is not None:
            now = time.time()
            for value in values:
                self._exemplars[bisect_left(self._bounds, value)] = Exemplar(dict(exemplar), value, now)
        if len(self._waiting) >= _MANY:
            with self._lock:
                self._count()

    def _count(self) -> None:
        """Counts the values that wait, with the lock held. Others may add some meanwhile, but only this takes them."""
        for _ in range(len(self._waiting)):
            value = self._waiting.popleft()
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def collect(self) -> Iterator[Family]:
        """Yields the one family, as it is now."""
        with self._lock:
            exemplars = dict(self._exemplars)
            self._count()
            counts, total = list(self._counts), self._sum
        family = self._metric.family()
        for place, (bound, count) in enumerate(zip(self._bounds, itertools.accumulate(counts), strict=True)):
            labels = {"le": floatToGoString(bound)}  # type: ignore[no-untyped-call]
            family.add_sample(f"{self._metric.name}_bucket", labels, count, exemplar=exemplars.get(place))
        family.add_sample(f"{self._metric.name}_count", {}, sum(counts))
        family.add_sample(f"{self._metric.name}_sum", {}, total)
        yield family
