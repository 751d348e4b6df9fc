"""Nothing names private attributes of others; one folder alone names kazoo's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter

PACKAGE = Path(exporter.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Names of named tuples and of `os` that are public despite their underscore.
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


# No class is a place for everything.

#: The maximum number of lines of a class, and of parameters of its constructor.
LINES, PARAMETERS = 350, 12
#: Classes with more: the public cache, which contains its users' documentation.
LARGE = {"treecache/cache.py: TreeCache"}


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield f"{relative(path)}: {node.name}", node


def made_with(node: ast.ClassDef) -> int:
    """The number of parameters of a class, without `self`."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            taken = method.args
            return len(taken.posonlyargs) + len(taken.args) + len(taken.kwonlyargs) - 1
    return 0


def test_no_class_is_large_but_those_that_are_known() -> None:
    large = {
        name
        for name, node in classes()
        if (node.end_lineno or 0) - node.lineno >= LINES or made_with(node) > PARAMETERS
    }
    assert large == LARGE, "carve what is new; take out of LARGE what is carved"


# State has one owner.


@pytest.mark.parametrize("path", sorted((PACKAGE / "treecache").glob("*.py")), ids=relative)
def test_no_part_of_the_engine_sets_what_is_anothers(path: Path) -> None:
    """A part with its own state has methods that change it."""
    targets = [
        target
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    single = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
    foreign = [one for one in single if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Attribute)]
    assert not [f"{ast.unparse(one)} in line {one.lineno}" for one in foreign]
