"""The size of the tests of faults: small in `make test`, large in `make soak`."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

SOAK = os.environ.get("SOAK") == "1"


def size(short: T, long: T) -> T:
    """The size for this run."""
    return long if SOAK else short


def seeds() -> range:
    """The seeds of this run's schedules; `FAULT_SEED` selects a single one."""
    alone = os.environ.get("FAULT_SEED")
    return range(size(12, 200)) if alone is None else range(int(alone), int(alone) + 1)
