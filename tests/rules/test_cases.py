"""Each rule separately: alerts fire, do not fire just below their limits, and resolve."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules import cases

pytestmark = pytest.mark.long

#: Cases with their own test file, so that parallel test processes can share the work.
APART = {"normal-life", "scenes"}


@pytest.mark.parametrize(("path", "number"), cases.cases(*{path.stem for path in cases.UNIT_TESTS} - APART))
def test_alerts_fire_hold_still_and_resolve(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)
