"""Uses: the programs that a test starts, found in its code, so that nobody has to mark it.

The code of a test, of its fixtures and of each helper that these name is followed through this repository. A `unit`
test is one that starts none of the `PROGRAMS` and is in no file that is marked as long. `make unit` runs these, and
refuses a program that one of them starts all the same.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from exporter.demo.java import find_java
from exporter.demo.server import ZooKeeperServer

#: What a machine may lack that has Python and its packages alone.
PROGRAMS = frozenset(
    ("amtool", "chromium", "helm", "java", "playwright", "prometheus", "prometheus-alertmanager", "promtool")
)
#: What stands for a program: these start it, or look for it, ...
_STARTERS: tuple[tuple[Any, str], ...] = ((ZooKeeperServer, "java"), (find_java, "java"))
#: ... and this starts it in a process of its own.
_DEMO = ("-m", "exporter", "demo")
#: Code that is followed. The rest of exporter/ starts no program.
_FOLLOWED = ("tests", "bench", "dashboards", "scripts", "exporter.demo")


def mark_units(items: Iterable[pytest.Item]) -> None:
    """Marks those as `unit` that are."""
    for item in items:
        if isinstance(item, pytest.Function) and is_unit(item):
            item.add_marker(pytest.mark.unit)


def is_unit(test: pytest.Function) -> bool:
    """Whether a test starts no program and is not long."""
    return test.get_closest_marker("long") is None and not started_by(test)


def started_by(test: pytest.Function) -> frozenset[str]:
    """The programs that a test starts, by itself or by its fixtures."""
    fixtures = (definitions[-1].func for definitions in test._fixtureinfo.name2fixturedefs.values())
    parameters = test.callspec.params.values() if hasattr(test, "callspec") else ()
    return programs(test.function, *fixtures, *parameters)


def programs(*things: Any) -> frozenset[str]:
    """The programs that these functions, classes or containers of them start, as far as their code says."""
    return frozenset[str]().union(*(_reached(_Object(thing)) for thing in things))


def refuse_programs() -> None:
    """Raises RuntimeError, from now on, where this process or one that it starts begins one of the programs."""
    os.environ["JAVA_HOME"] = "/no java in make unit"

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and (name := Path(os.fsdecode(arguments[0])).name) in PROGRAMS:
            raise RuntimeError(f"a unit test starts {name}: tests/uses.py should have seen it")

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
    """The programs that what it names starts, or what that names, and so on."""
    seen, todo, found = {begin}, [begin], set[str]()
    while todo:
        started, named = _looked_at(todo.pop())
        found |= started
        todo += named - seen
        seen |= named
    return frozenset(found)


@functools.cache
def _looked_at(one: _Object) -> tuple[frozenset[str], frozenset[_Object]]:
    """The programs that something starts by itself, and what else of the repository it names."""
    thing = one.thing
    for starter, program in _STARTERS:
        if thing is starter:
            return frozenset([program]), frozenset()
    if str(getattr(thing, "__module__", "")).partition(".")[0] == "playwright":
        return frozenset(["playwright"]), frozenset()
    if isinstance(thing, str):
        return _named_in_text(thing), frozenset()
    if isinstance(thing, (tuple, list)) and _DEMO in zip(thing, thing[1:], thing[2:], strict=False):
        return frozenset(["java"]), frozenset()
    return frozenset(), frozenset(_Object(other) for other in _others(thing))


def _named_in_text(text: str) -> frozenset[str]:
    """A program's name, or java for a script that starts a server."""
    return frozenset(["java"]) if ZooKeeperServer.__name__ in text else PROGRAMS & {text}


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
    # This file names every program and starts none.
    return module != __name__ and f"{module}.".startswith(tuple(f"{name}." for name in _FOLLOWED))


def _named_by(function: FunctionType) -> Iterator[Any]:
    """What a function's code names: constants, globals, attributes of modules, imports, variables around it."""
    for code in _nested(function.__code__):
        yield code.co_consts
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
    """The module of this repository that a function imports when it is called, if that is what the name says."""
    return importlib.import_module(name) if _is_ours(name) else None


def _attribute(module: ModuleType, name: str) -> Any:
    """What a module holds under this name, also a module that is not imported yet, or None."""
    if not _is_ours(module.__name__) and not module.__name__.startswith("playwright"):
        return None
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
