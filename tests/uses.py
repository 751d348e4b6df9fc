"""Uses: what a test starts, found in its code, so that nobody has to mark it.

The code of a test, of its fixtures and of each helper that these name is followed through this repository. A `unit`
test is one that comes to no other process, browser, web server or garbage collection, and is in no file that is marked
as long. `make unit` runs these, and refuses a process that one of them starts all the same.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import inspect
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import pytest

#: Who names one of these starts something: modules, ...
_MODULES: Mapping[ModuleType, str] = {
    subprocess: "a process",
    multiprocessing: "a process",
    # It takes a second where everything is imported that the tests need.
    gc: "a garbage collection",
}
_NAMES = frozenset(module.__name__ for module in _MODULES)
#: ... or what is of modules that begin so.
_FAMILIES: Mapping[str, str] = {"playwright.": "a browser", "exporter.web.server.": "a web server"}
#: Code that is followed. The rest of exporter/ starts nothing of these.
_FOLLOWED = ("tests", "bench", "dashboards", "scripts", "exporter.demo")


def mark_units(items: Iterable[pytest.Item]) -> None:
    """Marks those as `unit` that are."""
    for item in items:
        if isinstance(item, pytest.Function) and is_unit(item):
            item.add_marker(pytest.mark.unit)


def is_unit(test: pytest.Function) -> bool:
    """Whether a test starts nothing and is not long."""
    if test.get_closest_marker("long") is not None:
        return False
    fixtures = (definitions[-1].func for definitions in test._fixtureinfo.name2fixturedefs.values())
    parameters = test.callspec.params.values() if hasattr(test, "callspec") else ()
    return not started(test.function, *fixtures, *parameters)


def started(*things: Any) -> frozenset[str]:
    """What these functions, classes or containers of them start, as far as their code says."""
    return frozenset[str]().union(*(_reached(_Object(thing)) for thing in things))


def refuse_processes() -> None:
    """Raises RuntimeError, from now on, where a test starts a process."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        # pytest says so while a test runs: https://docs.pytest.org/en/stable/example/simple.html#pytest-current-test-env
        if event == "subprocess.Popen" and "PYTEST_CURRENT_TEST" in os.environ:
            raise RuntimeError(f"a unit test starts {arguments[0]!r}: tests/uses.py should have seen it")

    sys.addaudithook(refuse)


class _Object:
    """Something of a module, compared by what it is: not everything has a hash."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and self.thing is other.thing


@functools.cache
def _reached(begin: _Object) -> frozenset[str]:
    """What it starts, or what it names starts, and so on."""
    seen, todo, found = {begin}, [begin], set[str]()
    while todo:
        starts, named = _looked_at(todo.pop())
        found |= starts
        todo += named - seen
        seen |= named
    return frozenset(found)


@functools.cache
def _looked_at(one: _Object) -> tuple[frozenset[str], frozenset[_Object]]:
    """What something starts by itself, and what else of the repository it names."""
    thing = one.thing
    if isinstance(thing, ModuleType):
        return frozenset([_MODULES[thing]] if thing in _MODULES else ()), frozenset()
    module = f"{getattr(thing, '__module__', '')}."
    starts = frozenset(what for family, what in _FAMILIES.items() if module.startswith(family))
    return starts, frozenset(_Object(other) for other in _others(thing))


def _others(thing: Any) -> Iterator[Any]:
    """What there is to follow of something: parts of containers and classes, what a function's code names."""
    if isinstance(thing, (tuple, list, set, frozenset)):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, (staticmethod, classmethod)):
        yield thing.__func__
    elif isinstance(thing, functools.cached_property):
        yield thing.func
    elif isinstance(thing, type):
        yield from (*vars(thing).values(), *thing.__bases__) if _is_followed(thing) else ()
    elif callable(thing) and isinstance(function := inspect.unwrap(thing), FunctionType):
        yield from _named_by(function) if _is_followed(function) else ()
    if _is_followed(type(thing)):
        yield type(thing)


def _is_followed(thing: Any) -> bool:
    return _is_ours(str(getattr(thing, "__module__", "")))


def _is_ours(module: str) -> bool:
    # This file names what starts something, and starts nothing.
    return module != __name__ and f"{module}.".startswith(tuple(f"{name}." for name in _FOLLOWED))


def _named_by(function: FunctionType) -> Iterator[Any]:
    """What a function's code names: globals, attributes of modules, imports, variables around it."""
    for code in _nested(function.__code__):
        named = [function.__globals__.get(name, _imported(name)) for name in code.co_names]
        for thing in named:
            yield thing
            if isinstance(thing, ModuleType):
                # Modules that it holds are looked at in their turn.
                held = (_attribute(thing, name) for name in code.co_names)
                named += [other for other in held if other is not None and not any(other is known for known in named)]
    yield from map(_content, function.__closure__ or ())


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _imported(name: str) -> ModuleType | None:
    """The module that a function imports when it is called, if that is what the name says and the module counts."""
    return importlib.import_module(name) if _is_ours(name) or name in _NAMES else None


def _attribute(module: ModuleType, name: str) -> Any:
    """What a module holds under this name, also a module that is not imported yet, or None."""
    if not _is_ours(module.__name__):
        return vars(module).get(name) if f"{module.__name__}.".startswith(tuple(_FAMILIES)) else None
    if name not in vars(module) and hasattr(module, "__path__") and "." not in name:
        inner = f"{module.__name__}.{name}"
        return importlib.import_module(inner) if importlib.util.find_spec(inner) else None
    return vars(module).get(name)


def _content(cell: CellType) -> Any:
    """The variable, or None before it has a value."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
