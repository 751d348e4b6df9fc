"""The scenes: the series of two replicas for a cause, and which alerts fire when."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules import cases

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("path", "number"), cases.cases("scenes"))
def test_a_cause_fires_its_own_alerts_and_no_others(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)
