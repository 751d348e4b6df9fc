"""docs/metrics.md says what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from exporter.telemetry.catalogue import GROUPS
from exporter.telemetry.reference import reference

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def test_the_document_is_current() -> None:
    remedy = "run `python -m exporter.telemetry.reference > docs/metrics.md`"
    assert DOCUMENT.read_text("utf-8") == reference(), remedy


def test_the_document_has_every_metric() -> None:
    assert all(f"| `{metric.name}` | {metric.kind} |" in reference() for group in GROUPS for metric in group.metrics)
