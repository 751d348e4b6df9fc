"""docs/compatibility.md lists the failures of kazoo's cache that the tests find, with the same reasons."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.failures import KAZOO_FAILS

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent.parent / "docs" / "compatibility.md"


def test_document_lists_the_known_failures() -> None:
    rows = re.findall(r"^\| `(test_\w+)` \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == list(KAZOO_FAILS.items())


def test_every_known_failure_is_of_a_test() -> None:
    tests = re.findall(r"^def (test_\w+)\(", "".join(path.read_text() for path in FOLDER.glob("*.py")), re.MULTILINE)
    assert set(KAZOO_FAILS) <= set(tests)
