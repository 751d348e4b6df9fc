"""The structure holds: imports point one way, and one file alone names kazoo's private attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter

PACKAGE = Path(exporter.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SEAM = PACKAGE / "zookeeper" / "session.py"

#: What each folder of the package may import of the others.
LAYERS = {
    "process": {"process"},
    "zookeeper": {"process", "zookeeper"},
    "treecache": {"process", "zookeeper", "treecache"},
    "telemetry": {"process", "zookeeper", "treecache", "telemetry"},
}
#: What the engine knows nothing of.
INSTRUMENTS = ("prometheus_client", "opentelemetry", "starlette", "uvicorn")
#: Names with an underscore that are documented all the same, of named tuples and of `os`.
DOCUMENTED = ("_make", "_replace", "_exit")


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0]
    for name in imported(path):
        parts = name.split(".")
        if layer in LAYERS and parts[0] == "exporter":
            assert len(parts) == 1 or parts[1] in LAYERS[layer], f"{layer} imports {name}"
        if layer in ("process", "zookeeper", "treecache"):
            assert parts[0] not in INSTRUMENTS, f"{layer} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if path != SEAM], ids=relative)
def test_only_the_seam_names_private_attributes_of_others(path: Path) -> None:
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
