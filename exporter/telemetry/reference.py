"""Reference: generates docs/metrics.md from the catalogue, for `make generate`."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.telemetry.catalogue import GROUPS, Group, Metric

INTRODUCTION = """\
# Metrics

`make generate` writes this page from `exporter/telemetry/catalogue.py`; do not edit it by hand.

Every gauge is read when Prometheus scrapes, and a scrape costs the same for any number of znodes. The first scrape has
a sample, at 0, for every known label value; of a metric that adds two labels, a combination appears when it first
occurs, and the sizes of a tree appear when the tree is complete. Points in time are Unix time, by the clock of the
machine that runs the exporter.

The label `ensemble` is the name of the ensemble: `--zookeeper.name`, `name` in the configuration file, or
`instrument(client, ensemble=...)`. The label `tree` is the name of the tree: its path, `name` in the configuration
file, or `TreeCache(..., name=...)`. An application that calls `instrument` gets the metrics of its tree caches and of
the client. The daemon also has the [servers' own numbers](servers.md) (`zk_*`), those of the exporter and of its
collectors, and prometheus_client's own `process_*`, `python_gc_*` and `python_info`.

The daemon's collectors are `caches`, `clients`, `servers`, `znodes`, `limits`, `quotas` and `exporter`. A collector
that fails does not fail the scrape: the scrape has the metrics that the collector finished and lacks the others,
`treecache_exporter_collector_success` is 0, and the error is logged, at most once a minute. A collector that runs in
the background, as `quotas` does, then has no metrics at all.

In the OpenMetrics format, histograms carry exemplars (`trace_id`, `span_id`) of sampled spans:

- durations of requests: the span of the call,
- durations of syncs: the span of the sync,
- durations of refreshes, and propagation delays: the span of the call that read the change,
- durations of freshness checks: the span of the barrier's call.

Durations of listeners have no exemplars.
"""
#: The maximum number of label values that fit into a table.
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
    """The numbers of series; the tests count them in a scrape."""
    yield "## How many series"
    yield ""
    yield "No label takes its values from znodes, so the number of series does not depend on the content of a tree."
    yield "A label whose values are not known before counts as one: an ensemble may have 10 `client_address` at once."
    yield ""
    yield "| For each | Series | More, as they occur |"
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
