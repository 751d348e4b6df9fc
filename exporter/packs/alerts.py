"""Alerts: the alerts of packs as a rule file for Prometheus.

Each is silent while its copy is old, as docs/znodes.md shows, and one alert for all exporters that hold the same tree.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from exporter.packs.pack import Alert, Pack

#: Seconds: an older copy says nothing about now.
_FRESH = 60
#: How long an alert goes on firing after its condition has ended, which may be due to a missed scrape.
_KEEP_FIRING = "90s"
_TREE = "{{ $labels.ensemble }} {{ $labels.tree }}"
_VALUE = '{{ printf "%.0f" $value }}'


def rule_file(pack: Pack) -> str:
    """The rule file with the alerts of a pack."""
    return "".join(_lines(pack))


def _lines(pack: Pack) -> Iterator[str]:
    yield f"# Alerts about the metrics of the pack {pack.name}, for trees that are not divided among shards.\n"
    yield "# They are silent while the exporter's copy of the tree is old; then TreeCacheLag speaks.\n"
    yield f"# Written by `treecache-exporter packs {pack.name} --alerts`.\n"
    yield f"groups:\n  - name: zookeeper.packs.{pack.name}\n    rules:\n"
    for alert in pack.alerts:
        yield from _alert(alert)


def _alert(alert: Alert) -> Iterator[str]:
    yield f"      - alert: {alert.name}\n"
    yield "        expr: |\n"
    yield textwrap.indent(expression(alert), " " * 10)
    yield f"        for: {alert.wait}\n        keep_firing_for: {_KEEP_FIRING}\n"
    yield f"        labels:\n          severity: {alert.severity}\n"
    yield "        annotations:\n"
    for name, text in (("summary", summary(alert)), ("description", alert.look)):
        yield f"          {name}: >-\n"
        yield textwrap.indent("\n".join(_wrapped(text)), " " * 12) + "\n"


def expression(alert: Alert) -> str:
    """The query of an alert: true of trees whose copy is fresh, and about the worst of several exporters."""
    return (
        "max without (instance, pod) (\n"
        "  (\n"
        f"{textwrap.indent(alert.expr, '    ')}\n"
        "  )\n"
        "  and on (instance, ensemble, tree)\n"
        f"  time() - zookeeper_cache_verified_timestamp_seconds < {_FRESH}\n"
        ")\n"
    )


def summary(alert: Alert) -> str:
    """The summary of an alert, as a template of Prometheus'."""
    return alert.summary.replace("{tree}", _TREE).replace("{value}", _VALUE)


def _wrapped(text: str) -> list[str]:
    """The text in lines, of which none ends inside a template."""
    joined = re.sub(r"\{\{.*?}}", lambda template: template[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(joined, 108, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
