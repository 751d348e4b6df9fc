"""Each rule by itself: alerts fire, hold still just below their limits, and resolve."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules import cases

pytestmark = pytest.mark.long

#: What has a file of its own, for which another of the processes that run the tests has time.
APART = {"normal-life", "scenes"}


@pytest.mark.parametrize(("path", "number"), cases.cases(*{path.stem for path in cases.UNIT_TESTS} - APART))
def test_alerts_fire_hold_still_and_resolve(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)
