"""The catalogue follows Prometheus' naming rules and the exporter's own."""

from __future__ import annotations

import re

import pytest

from exporter.telemetry.catalogue import GROUPS, Group, Metric

METRICS = [pytest.param(group, metric, id=metric.name) for group in GROUPS for metric in group.metrics]


def test_each_metric_is_there_once() -> None:
    names = [metric.name for group in GROUPS for metric in group.metrics]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("group", "metric"), METRICS)
def test_the_name_tells_the_type(group: Group, metric: Metric) -> None:
    suffix = {"counter": "_total", "info": "_info"}.get(metric.kind)
    assert (metric.name.endswith("_total"), metric.name.endswith("_info")) == (suffix == "_total", suffix == "_info")
    assert re.fullmatch("[a-z]+(_[a-z]+)+", metric.name)


@pytest.mark.parametrize(("group", "metric"), METRICS)
def test_the_name_tells_the_unit(group: Group, metric: Metric) -> None:
    unit = next((unit for unit in ("seconds", "bytes") if f"_{unit}" in metric.name), "")
    assert metric.unit == unit
    assert metric.family().name.endswith(unit)


@pytest.mark.parametrize(("group", "metric"), METRICS)
def test_histograms_have_bounds_in_order_and_a_reason_for_them(group: Group, metric: Metric) -> None:
    assert (metric.buckets is not None) == (metric.kind == "histogram")
    if metric.buckets is not None:
        assert metric.buckets.bounds == tuple(sorted(set(metric.buckets.bounds)))
        assert "le" not in metric.labels
        assert re.fullmatch(r"[^\n|]+[^.\n|]", metric.buckets.chosen_for)


@pytest.mark.parametrize(("group", "metric"), METRICS)
def test_the_help_is_one_sentence_or_more(group: Group, metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z0-9][^\n|]+\.", metric.help)


@pytest.mark.parametrize(("group", "metric"), METRICS)
def test_no_path_and_no_identifier_is_a_label(group: Group, metric: Metric) -> None:
    labels = {*group.labels, *metric.labels}
    assert not labels & {"zxid", "session_id", "znode"}
    assert "path" not in labels or metric.kind == "info"
    if metric.kind != "info":
        # The configuration says how many children have series, SHOWN how many addresses. A quota is its group's label.
        unknown = {name for name, values in metric.labels.items() if not values}
        assert unknown <= {"child", "client_address"}, "a label whose values are not known beforehand"
