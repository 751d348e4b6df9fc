"""A failing collector affects neither the scrape nor the other collectors, and a waiting one delays no scrape."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family

from exporter.telemetry import collecting
from exporter.telemetry.catalogue import BUILD_INFO, SHARD_ORDINAL, SHARDS, Metric
from exporter.telemetry.collecting import BackgroundCollector, Collector, registry_of
from tests.support import eventually


class Ready(Collector):
    """Collects each of its metrics as 1."""

    def collect(self) -> Iterator[Family]:
        for metric in self.metrics:
            yield one(metric)


class Failing(Ready):
    """Fails before the last of its metrics."""

    def collect(self) -> Iterator[Family]:
        for metric in self.metrics[:-1]:
            yield one(metric)
        raise OSError("out of order")


class Undeclared(Collector):
    """Collects a metric that it does not name."""

    def collect(self) -> Iterable[Family]:
        return [one(SHARDS)]


class Waiting(BackgroundCollector):
    """Collects when the test lets it, and as the test says."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        super().__init__("waiting", [SHARDS], interval=0.01)
        self.act = act

    def collect(self) -> Iterator[Family]:
        self.act()
        yield one(SHARDS)


def one(metric: Metric) -> Family:
    family = metric.family()
    family.add_sample(metric.name, {}, 1.0)
    return family


def success(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value("treecache_exporter_collector_success", {"collector": name})


def seconds(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value("treecache_exporter_collector_duration_seconds", {"collector": name})


def test_each_collector_is_timed() -> None:
    registry = registry_of([Ready("ready", [SHARDS]), Ready("other", [SHARD_ORDINAL])])
    for name in ("ready", "other"):
        assert success(registry, name) == 1
        assert (seconds(registry, name) or 0) > 0


@pytest.mark.parametrize(
    "wrong", [Failing("wrong", [BUILD_INFO, SHARDS]), Undeclared("wrong", [BUILD_INFO])], ids=["raising", "undeclared"]
)
def test_one_that_fails_leaves_the_others_alone(wrong: Collector, caplog: pytest.LogCaptureFixture) -> None:
    registry = registry_of([wrong, Ready("right", [SHARD_ORDINAL])])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found = {family.name: family for family in registry.collect()}
            assert SHARDS.name not in found
            # The metrics that it had finished are there.
            assert (BUILD_INFO.family().name in found) == isinstance(wrong, Failing)
            assert [sample.value for sample in found[SHARD_ORDINAL.name].samples] == [1]
            outcomes = {s.labels["collector"]: s.value for s in found["treecache_exporter_collector_success"].samples}
            assert outcomes == {"wrong": 0, "right": 1}
    (record,) = caplog.records
    assert record.getMessage() == "collector wrong failed"
    assert record.exc_info is not None


def test_the_time_is_the_collector_s_own_and_no_family_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(collecting, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(Ready):
        def collect(self) -> Iterator[Family]:
            for family in super().collect():
                now[0] += 1
                yield family

    collection = Slow("slow", [BUILD_INFO, SHARDS]).scraped()
    outcome = None
    try:
        for begun in (1, 102):
            next(collection)
            assert now[0] == begun
            # Writing the family takes much longer.
            now[0] += 100
        next(collection)
    except StopIteration as end:
        outcome = end.value
    assert outcome == collecting.Outcome(True, 2.0)


def test_names_and_metrics_are_those_of_one_collector() -> None:
    with pytest.raises(ValueError, match="two collectors have the same name: a, a"):
        registry_of([Ready("a", [SHARDS]), Ready("a", [SHARD_ORDINAL])])
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry_of([Ready("a", [SHARDS]), Ready("b", [SHARDS])])


def test_registering_collects_nothing() -> None:
    registry_of([Failing("failing", [SHARDS])])


def test_a_scrape_gets_what_was_collected_in_the_background_last() -> None:
    waiting = Waiting()
    registry = registry_of([waiting])
    assert (success(registry, "waiting"), registry.get_sample_value(SHARDS.name)) == (0, None)
    waiting.start()
    eventually(lambda: success(registry, "waiting") == 1)
    assert registry.get_sample_value(SHARDS.name) == 1

    def fail() -> None:
        raise OSError("out of order")

    waiting.act = fail
    eventually(lambda: success(registry, "waiting") == 0)
    assert registry.get_sample_value(SHARDS.name) is None
    waiting.act = lambda: None
    eventually(lambda: success(registry, "waiting") == 1)
    waiting.stop()
    eventually(lambda: "collector-waiting" not in [thread.name for thread in threading.enumerate()])


def test_no_scrape_waits_for_what_hangs_in_the_background() -> None:
    let_go, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        let_go.wait()

    waiting = Waiting(hang)
    registry = registry_of([waiting])
    waiting.start()
    assert begun.wait(60)
    assert success(registry, "waiting") == 0
    waiting.stop()
    let_go.set()
    eventually(lambda: "collector-waiting" not in [thread.name for thread in threading.enumerate()])
