"""The content of a scrape, except the numbers of known stats, which tests/golden/ has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.utils import floatToGoString

from exporter.telemetry.catalogue import (
    CACHE,
    CLIENT,
    COLLECTOR_DURATION,
    COLLECTOR_SUCCESS,
    ENSEMBLES,
    EXPORTER,
    GROUPS,
    LIMITS,
    QUOTAS,
    RULES,
    SERVERS,
    Group,
    Metric,
)
from exporter.telemetry.collectors import CACHE_READERS, CLIENT_READERS, EnsemblesCollector, build_registry
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CACHE_STATES
from exporter.zookeeper.stats import CLIENT_STATES
from tests.telemetry.known import (
    BUSY_CLIENT,
    NEW_CACHE,
    NEW_CLIENT,
    Source,
    busy_ensemble,
    ensemble,
    new_ensemble,
    openmetrics,
    plain,
)

#: The collectors of every exporter, and the groups that they collect.
COLLECTORS = ("caches", "clients", "exporter")
#: Views have no series before their tree is complete; an ensemble may have no quota, and its servers may not be polled.
COLLECTED = [group for group in GROUPS if group not in (RULES, LIMITS, QUOTAS, SERVERS, ENSEMBLES)]


def test_each_metric_of_the_catalogue_is_read_or_counted() -> None:
    new = new_ensemble()
    assert {*CLIENT_READERS, *new.client_counted} == {metric.name for metric in CLIENT.metrics}
    assert {*CACHE_READERS, *new.caches_counted["/services"]} == {metric.name for metric in CACHE.metrics}


@pytest.mark.parametrize(
    ("group", "metric"),
    [
        pytest.param(group, metric, id=metric.name)
        for group in COLLECTED
        for metric in group.metrics
        if metric.is_complete_from_the_start and metric is not COLLECTOR_DURATION
    ],
)
def test_the_first_scrape_has_every_known_label_value_at_zero(group: Group, metric: Metric) -> None:
    registry = build_registry([new_ensemble()], "1.2.3", memory_limit=lambda: 0)
    for name, labels in known_samples(group, metric):
        value = registry.get_sample_value(name, labels)
        is_the_state = metric.name == "zookeeper_client_state" and labels["state"] == "connecting"
        is_the_state |= metric.name == "zookeeper_cache_state" and labels["state"] == "disconnected"
        is_the_state |= metric.name == "zookeeper_cache_root_state" and labels["state"] == "unknown"
        is_the_only_shard = metric.name == "treecache_exporter_shards"
        is_a_success = metric is COLLECTOR_SUCCESS
        assert value == (is_the_state or is_the_only_shard or is_a_success)


def known_samples(group: Group, metric: Metric) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and labels of every sample known beforehand; none if a label has unknown values."""
    known = {"ensemble": ("main",), "tree": ("/services",), "collector": COLLECTORS, **metric.labels}
    names = [*group.labels, *metric.labels]
    for values in itertools.product(*(known[name] for name in names)):
        labels = dict(zip(names, values, strict=True))
        if metric.buckets is None:
            yield metric.name, labels
        else:
            yield f"{metric.name}_count", labels
            yield f"{metric.name}_sum", labels
            for bound in (*metric.buckets.bounds, math.inf):
                yield f"{metric.name}_bucket", {**labels, "le": floatToGoString(bound)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("group", COLLECTED, ids=lambda group: group.title)
def test_a_scrape_has_as_many_series_as_the_document_says(group: Group) -> None:
    registry = build_registry([busy_ensemble()], "1.2.3")
    complete = [metric.family().name for metric in group.metrics if metric.is_complete_from_the_start]
    things = len(COLLECTORS) if "collector" in group.labels else 1
    assert group.series * things == sum(len(family.samples) for family in registry.collect() if family.name in complete)


def test_combinations_of_labels_come_as_they_occur() -> None:
    assert errors_of(new_ensemble()) == {}
    assert errors_of(busy_ensemble()) == {("getData", "NONODE"): 1, ("create", "CONNECTIONLOSS"): 2}


def errors_of(ensemble: EnsembleSource) -> dict[tuple[str, str], float]:
    """The samples of `zookeeper_client_request_errors_total`."""
    families = {family.name: family for family in EnsemblesCollector([ensemble]).collect()}
    samples = families["zookeeper_client_request_errors"].samples
    return {(sample.labels["operation"], sample.labels["error"]): sample.value for sample in samples}


def test_build_info() -> None:
    build = EXPORTER.metrics[0]
    registry = build_registry([], "1.2.3")
    (sample,) = next(family for family in registry.collect() if family.name == build.name.removesuffix("_info")).samples
    assert (sample.labels["version"], sample.value) == ("1.2.3", 1)


def test_process_platform_and_gc_are_exposed() -> None:
    text = plain(build_registry([], "1.2.3")).decode()
    assert all(f"\n{name}" in text for name in ("process_cpu_seconds_total", "python_info{", "python_gc_collections"))


def test_openmetrics_can_be_parsed() -> None:
    text = openmetrics(build_registry([busy_ensemble()], "1.2.3")).decode()
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert families["zookeeper_cache_events"].type == "counter"
    assert families["zookeeper_cache"].type == "info"


def test_no_created_series() -> None:
    assert b"_created" not in openmetrics(build_registry([busy_ensemble()], "1.2.3"))


def test_registering_asks_nobody_and_a_scrape_asks_once() -> None:
    client, cache = Source(NEW_CLIENT), Source(NEW_CACHE)
    registry = build_registry([EnsembleSource("main", client, {"/services": cache})], "1.2.3")
    assert (client.asked, cache.asked) == (0, 0)
    plain(registry)
    assert (client.asked, cache.asked) == (1, 1)


@pytest.mark.parametrize("state", CLIENT_STATES)
def test_the_client_is_up_when_connected_in_whatever_way(state: str) -> None:
    registry = build_registry([ensemble(client=replace(BUSY_CLIENT, state=state))], "1.2.3")
    up = registry.get_sample_value("zookeeper_client_up", {"ensemble": "main"})
    assert up == (state in ("connected", "connected_ro"))
    states = {
        s: registry.get_sample_value("zookeeper_client_state", {"ensemble": "main", "state": s}) for s in CLIENT_STATES
    }
    assert states == {s: s == state for s in CLIENT_STATES}


@pytest.mark.parametrize("state", CACHE_STATES)
def test_a_cache_is_in_one_state(state: str) -> None:
    registry = build_registry([ensemble(cache=replace(NEW_CACHE, state=state))], "1.2.3")
    labels = {"ensemble": "main", "tree": "/services"}
    states = {s: registry.get_sample_value("zookeeper_cache_state", {**labels, "state": s}) for s in CACHE_STATES}
    assert states == {s: s == state for s in CACHE_STATES}


def test_several_ensembles_share_a_registry() -> None:
    registry = build_registry([ensemble("a"), ensemble("b", NEW_CLIENT, NEW_CACHE)], "1.2.3")
    assert [registry.get_sample_value("zookeeper_client_up", {"ensemble": name}) for name in ("a", "b")] == [1, 0]
