"""Units: which tests are unit tests, by their folder, their fixtures and their marks. `make unit` runs these alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
#: The folders with unit tests; the files directly in tests/ have some as well.
FOLDERS = (
    "config",
    "daemon",
    "packs",
    "pages",
    "process",
    "rules",
    "servers",
    "simulation",
    "telemetry",
    "treecache",
    "views",
    "web",
    "zookeeper",
)
#: Fixtures of tests/conftest.py that are a server, or are connected to one.
SERVERS = frozenset({"zookeeper_server", "zookeeper", "own_zookeeper", "client_factory", "client"})
#: Marks of tests that start something, or take long.
MARKS = ("starts", "long")


def may_have_units(path: Path) -> bool:
    """Whether a file or folder is tests/, one of the folders, below one, or a file directly in tests/."""
    if not path.is_relative_to(TESTS):
        return True
    parts = path.relative_to(TESTS).parts
    return not parts or parts[0] in FOLDERS or (len(parts) == 1 and path.is_file())


def is_unit(test: pytest.Item) -> bool:
    """Whether a test is in one of the folders, has none of the marks, and takes no server."""
    takes_server = not SERVERS.isdisjoint(getattr(test, "fixturenames", ()))
    is_marked = any(test.get_closest_marker(mark) for mark in MARKS)
    return may_have_units(test.path) and not takes_server and not is_marked


def refuse_processes() -> None:
    """Raises RuntimeError, from now on, where a test starts a process."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        # pytest says so while a test runs: https://docs.pytest.org/en/stable/example/simple.html#pytest-current-test-env
        if event == "subprocess.Popen" and "PYTEST_CURRENT_TEST" in os.environ:
            raise RuntimeError(f"a unit test starts {arguments[0]!r}: mark it with `starts`")

    sys.addaudithook(refuse)
