"""Reference: docs/metrics.md, written from the catalogue.

`python -m exporter.telemetry.reference > docs/metrics.md` brings it up to date.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.telemetry.catalogue import GROUPS, Group, Metric

INTRODUCTION = """\
# Metrics

Written from `exporter/telemetry/catalogue.py` by `python -m exporter.telemetry.reference > docs/metrics.md`; do not
edit it by hand.

Every gauge is read when Prometheus scrapes, and a scrape costs the same for any number of znodes. All samples with
known label values are there from the first scrape, at 0. `ensemble` is the name given with `--zookeeper.name`, `tree`
the path given with `--treecache.path`. Points in time are Unix time, by the clock of the exporter's machine.

Besides these, `/metrics` has prometheus_client's own `process_*`, `python_gc_*` and `python_info`.
"""


def reference() -> str:
    """The text of docs/metrics.md."""
    return "\n".join([INTRODUCTION, *(line for group in GROUPS for line in _section(group))])


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
        f"`{label}`: {_code(values)}" if values else f"`{label}`" for label, values in metric.labels.items()
    )


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    print(reference(), end="")
