"""Reference: docs/metrics.md, written from the catalogue. `make generate` writes it."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.telemetry.catalogue import GROUPS, Group, Metric

INTRODUCTION = """\
# Metrics

Written from `exporter/telemetry/catalogue.py` by `make generate`; do not edit it by hand.

Every gauge is read when Prometheus scrapes, and a scrape costs the same for any number of znodes. All samples with
known label values are there from the first scrape, at 0; of a metric with two labels of its own a combination appears
when it first occurs. Points in time are Unix time, by the clock of the machine that runs the exporter.

`ensemble` is what the ensemble is called: `--zookeeper.name`, `name` in the configuration file, or
`instrument(client, ensemble=...)`. `tree` is what the tree is called: its path, `name` in the configuration file, or
`TreeCache(..., name=...)`. An application that calls `instrument` has the metrics of the tree caches and of the client,
the daemon those of the exporter and its collectors besides, and prometheus_client's own `process_*`, `python_gc_*` and
`python_info`.

The daemon's collectors are `caches`, `clients` and `exporter`. One that fails does not fail the scrape: the metrics
that it had finished are there, whole, the others are absent, `treecache_exporter_collector_success` is 0, and the log
has the error, once a minute. One that collects in the background has none of its metrics then. A scrape of chosen
metrics (`name[]`) has the outcomes of the collectors' latest collections.

Histograms carry exemplars (`trace_id`, `span_id`) of spans that are sampled, where the scrape is in the OpenMetrics
format: durations of requests that of the call, durations of syncs that of the sync, durations of refreshes and
propagation delays that of the call that brought the change, durations of freshness checks that of the barrier's
call. Those of listeners have none.
"""
#: Label values that have room in a table.
SHORT = 10

METRICS = [metric for group in GROUPS for metric in group.metrics]


def reference() -> str:
    """The text of docs/metrics.md."""
    sections = (line for group in GROUPS for line in _section(group))
    return "\n".join([INTRODUCTION, *sections, *_long_labels(), *_buckets(), *_cardinality(), ""])


def _section(group: Group) -> Iterator[str]:
    yield f"## {group.title}"
    yield ""
    if group.labels:
        yield f"Labels of each: {_code(group.labels)}."
        yield ""
    yield "| Metric | Type | Labels | Meaning |"
    yield "|---|---|---|---|"
    for metric in group.metrics:
        yield f"| `{metric.name}` | {metric.kind} | {_labels(metric)} | {metric.help} |"
    yield ""


def _labels(metric: Metric) -> str:
    return "; ".join(
        f"`{label}`: {_code(values)}" if 0 < len(values) <= SHORT else f"`{label}`"
        for label, values in metric.labels.items()
    )


def _long_labels() -> Iterator[str]:
    yield "## Long lists of label values"
    yield ""
    every = {label: values for metric in METRICS for label, values in metric.labels.items()}
    for label, values in every.items():
        if len(values) > SHORT:
            yield f"- `{label}`: {_code(values)}."
    yield ""


def _buckets() -> Iterator[str]:
    yield "## Buckets"
    yield ""
    yield "| Histogram | Upper bounds in seconds | Chosen because |"
    yield "|---|---|---|"
    for metric in METRICS:
        if metric.buckets is not None:
            bounds = ", ".join(f"{bound:g}" for bound in metric.buckets.bounds)
            yield f"| `{metric.name}` | {bounds} | {metric.buckets.chosen_for} |"
    yield ""


def _cardinality() -> Iterator[str]:
    """How many series there are; the tests count them on a scrape."""
    yield "## How many series"
    yield ""
    yield "No label takes its values from znodes, so the number of series does not depend on what a tree holds."
    yield ""
    yield "| For each | Series | Besides, as they occur |"
    yield "|---|---|---|"
    for group in GROUPS:
        one = " and ".join(f"`{label}`" for label in group.labels) or "process"
        yield f"| {one} | {group.series} | {'; '.join(_later(group))} |"


def _later(group: Group) -> Iterator[str]:
    for metric in group.metrics:
        if not metric.is_complete_from_the_start:
            yield f"`{metric.name}`, at most {metric.most_series}"


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
