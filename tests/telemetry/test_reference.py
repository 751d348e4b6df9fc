"""The reference of the metrics has everything in the catalogue."""

from __future__ import annotations

from exporter.telemetry.catalogue import GROUPS
from exporter.telemetry.reference import reference


def test_the_document_has_every_metric() -> None:
    assert all(f"| `{metric.name}` | {metric.kind} |" in reference() for group in GROUPS for metric in group.metrics)
