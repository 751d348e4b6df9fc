"""Nothing names private attributes of others; one folder alone names kazoo's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import exporter

PACKAGE = Path(exporter.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Names with an underscore that are documented all the same, of named tuples and of `os`.
DOCUMENTED = ("_asdict", "_exit", "_fields", "_make", "_replace")


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_names_private_attributes_of_others(path: Path) -> None:
    foreign = [
        f"{node.value.id if isinstance(node.value, ast.Name) else '...'}.{node.attr} in line {node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in DOCUMENTED
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert not foreign
