"""Figures: how benchmarks print what they measured in several rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float], form: str) -> str:
    """The median of the values and, in brackets, their range, each in a form such as `.2f`."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}..{max(values):{form}})"
