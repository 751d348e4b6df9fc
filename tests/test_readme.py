"""The README names every flag, and shows the pictures that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.starts
def test_every_flag_is_in_the_readme() -> None:
    for command in ([], ["demo"]):
        called = subprocess.run(
            [sys.executable, "-m", "exporter", *command, "--help"], capture_output=True, text=True, check=True
        )
        flags = set(re.findall(r"^  (?:-h, )?(--[a-z.-]+)", called.stdout, re.MULTILINE)) - {"--help"}
        assert flags
        assert not {flag for flag in flags if not re.search(rf"`{re.escape(flag)}[=`]", README)}


def test_every_picture_of_the_page_is_shown() -> None:
    taken = {path.name for path in (ROOT / "docs").glob("*page*.png")}
    assert taken == set(re.findall(r'"docs/([a-z-]*page[a-z-]*\.png)"', README))
