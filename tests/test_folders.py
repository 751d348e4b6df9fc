"""The folder of a test says whether it needs a server or a browser: tests in `WITHOUT` need neither."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.units import SERVERS, TESTS

#: Folders whose tests start no server and no browser; a test that needs one belongs in tests/integration.
WITHOUT = ("config", "daemon", "packs", "pages", "process", "servers", "telemetry", "views", "web")
#: Modules that start a server or a browser.
STARTERS = ("exporter.demo.server", "tests.faults.ensemble", "playwright")


def needs(path: Path) -> Iterator[str]:
    """The names in a test file's code that are a server or a browser, or start one."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    shared = SERVERS - {function.name for function in functions}
    for function in functions:
        if function.name.startswith("test_"):
            yield from (argument.arg for argument in function.args.args if argument.arg in shared)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(STARTERS):
            yield node.module


@pytest.mark.parametrize(
    "path", [path for folder in WITHOUT for path in sorted((TESTS / folder).glob("test_*.py"))], ids=lambda p: p.name
)
def test_a_test_that_needs_a_server_says_so_by_its_folder(path: Path) -> None:
    assert not list(needs(path))
