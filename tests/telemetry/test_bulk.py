"""A bulk histogram gives the same samples as prometheus_client's own."""

from __future__ import annotations

import random

import pytest
from prometheus_client import Histogram
from prometheus_client.samples import Sample

from exporter.telemetry import catalogue
from exporter.telemetry.bulk import BulkHistogram

METRIC = catalogue.CACHE_PROPAGATION_DELAY
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}


@pytest.fixture
def peer() -> Histogram:
    """prometheus_client's own."""
    assert METRIC.buckets is not None
    return Histogram(METRIC.name, METRIC.help, registry=None, buckets=METRIC.buckets.bounds)


def samples(histogram: BulkHistogram | Histogram, *, with_exemplars: bool = False) -> list[Sample]:
    """The samples of a histogram, exemplars without their times."""
    (family,) = histogram.collect()
    shown = [sample for sample in family.samples if not sample.name.endswith("_created")]
    return [
        sample._replace(exemplar=sample.exemplar and sample.exemplar._replace(timestamp=None))
        if with_exemplars
        else sample._replace(exemplar=None)
        for sample in shown
    ]


def drawn(seed: int, count: int) -> list[float]:
    """Values around all bounds, and the bounds themselves."""
    assert METRIC.buckets is not None
    draw = random.Random(seed)
    bounds = METRIC.buckets.bounds
    return [draw.choice([0.0, draw.choice(bounds), draw.choice(bounds) * 2 * draw.random(), 1e6]) for _ in range(count)]


def test_nothing_observed(peer: Histogram) -> None:
    histogram = BulkHistogram(METRIC)
    assert samples(histogram) == samples(peer)
    histogram.observe_all([], TRACE)
    assert samples(histogram) == samples(peer)


@pytest.mark.parametrize("seed", range(20))
def test_it_counts_as_one_by_one(peer: Histogram, seed: int) -> None:
    histogram = BulkHistogram(METRIC)
    for batch in range(5):
        values = drawn(seed * 100 + batch, 40)
        exemplar = TRACE if batch % 2 else None
        histogram.observe_all(values, exemplar)
        for value in values:
            peer.observe(value, exemplar)
    ours, theirs = samples(histogram, with_exemplars=True), samples(peer, with_exemplars=True)
    assert [sample.value for sample in ours] == pytest.approx([sample.value for sample in theirs])
    assert [sample._replace(value=0.0) for sample in ours] == [sample._replace(value=0.0) for sample in theirs]
    assert any(sample.exemplar for sample in ours)
