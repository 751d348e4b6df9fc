"""Three days of normal operation, in which nothing fires."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules import cases

pytestmark = pytest.mark.starts


@pytest.mark.parametrize(("path", "number"), cases.cases("normal-life"))
def test_normal_life_is_silent(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)
