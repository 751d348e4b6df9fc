"""Imports point one way between folders and never in a circle, and a folder brings in nothing that it does not need."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import exporter

PACKAGE = Path(exporter.__file__).parent

#: The folders, and the files beside them, in their order: each may import all of the lines before it.
ORDER = (
    ("process",),
    ("zookeeper",),
    ("treecache",),
    ("telemetry", "config"),
    ("pages",),
    ("web",),
    ("daemon",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
#: What each of them may import of the others.
LAYERS: Mapping[str, set[str]] = {
    **{layer: set(itertools.chain(*ORDER[:place])) for place, group in enumerate(ORDER) for layer in group},
    # The public names, each imported on first use.
    "__init__": {"treecache", "telemetry"},
}
#: The libraries that each folder may import. What is missing here, it may not; `daemon` and `demo` may import all.
LIBRARIES: Mapping[str, set[str]] = {
    "process": {"structlog"},
    "zookeeper": {"kazoo"},
    "treecache": {"kazoo"},
    "telemetry": {"kazoo", "opentelemetry", "prometheus_client", "wrapt"},
    "config": {"pydantic", "pydantic_core", "ruamel"},
    # markupsafe comes with jinja2.
    "pages": {"anyio", "jinja2", "markdown_it", "markupsafe", "starlette", "structlog"},
    "web": {"anyio", "bcrypt", "h11", "prometheus_client", "starlette", "structlog", "uvicorn"},
    "cli": set(),
    "__main__": set(),
    "__init__": set(),
}
#: Libraries that only the daemon may bring into a process, also where a shorter name is allowed.
OF_THE_DAEMON = ("opentelemetry.sdk", "opentelemetry.exporter")


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("exporter", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imported(module: str) -> frozenset[str]:
    """What a module imports anywhere in it, also for types alone: modules of the package, and names of others."""
    return frozenset(_imported(ast.parse(MODULES[module].read_text())))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "a relative import"
            for alias in node.names:
                within = f"{node.module}.{alias.name}"
                yield within if within in MODULES else node.module


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    layer = layer_of(module)
    for name in imported(module):
        # The version is the package's own.
        if name.startswith("exporter."):
            assert layer_of(name) in {layer, *LAYERS[layer]}, f"{layer} imports {name}"
        elif layer in LIBRARIES and name != "exporter":
            library = name.partition(".")[0]
            assert library in LIBRARIES[layer] | sys.stdlib_module_names, f"{layer} imports {name}"


def test_the_order_knows_every_folder() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert folders | files == set(LAYERS)


def test_only_the_public_names_and_the_command_stand_beside_the_folders() -> None:
    beside = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert beside == {"__init__.py", "__main__.py", "cli.py", "py.typed"}


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module] & graph.keys()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1 or module in graph[module]:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


#: Circles that are still to be broken; this list only shrinks.
KNOWN_CIRCLES = [["exporter.zookeeper.messages", "exporter.zookeeper.wire"]]


def test_no_modules_import_each_other() -> None:
    # The names of `exporter` itself are imported on first use, when every module is whole.
    graph = {module: imported(module) for module in MODULES if module != "exporter"}
    assert circles(graph) == KNOWN_CIRCLES


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a", "other"}, "d": {"d"}, "e": {"a"}}
    assert circles({module: frozenset(names) for module, names in graph.items()}) == [["d"], ["a", "b", "c"]]


PROBE = """
import importlib, json, sys
modules, before = sys.argv[1:], set(sys.modules)
for module in modules:
    importlib.import_module(module)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def brought_in_by(*names: str) -> set[str]:
    """The modules that a fresh process has after importing these."""
    command = [sys.executable, "-c", PROBE, *names]
    return set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if (PACKAGE / layer).is_dir()])
def test_a_folder_brings_in_nothing_of_those_after_it(layer: str) -> None:
    """Neither by itself nor with all of its modules: no web server comes with a cache, and no YAML with metrics."""
    mine = [module for module in MODULES if layer_of(module) == layer and not module.endswith("__main__")]
    allowed = closure(layer)
    loaded = brought_in_by(*mine)
    folders = {layer_of(module) for module in loaded if module.startswith("exporter.")}
    assert folders <= allowed, f"{layer} brings in {folders - allowed}"
    if allowed <= LIBRARIES.keys():
        libraries = set[str]().union(*LIBRARIES.values()) - set[str]().union(*(LIBRARIES[one] for one in allowed))
        assert not libraries & loaded
        assert not loaded & set(OF_THE_DAEMON)


def closure(layer: str) -> set[str]:
    """A layer with all that it may import."""
    return {layer, *LAYERS[layer]}


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if (PACKAGE / layer).is_dir()])
def test_the_package_of_a_folder_brings_in_the_names_that_it_offers_alone(layer: str) -> None:
    """The packages hold a docstring; the engine's offers its public names, which need kazoo and no more."""
    name = f"exporter.{layer}"
    offered = {"treecache": {"process", "zookeeper", "treecache"}}.get(layer, {layer})
    loaded = brought_in_by(name)
    assert {layer_of(module) for module in loaded if module.startswith("exporter.")} <= offered
    if layer != "treecache":
        assert {module for module in loaded if module.startswith("exporter.")} == {name}


@pytest.mark.parametrize("name", exporter.__all__)
def test_a_public_name_brings_in_nothing_of_the_daemon(name: str) -> None:
    loaded = brought_in_by_name(name)
    folders = {layer_of(module) for module in loaded if module.startswith("exporter.")}
    assert folders <= closure("telemetry")
    assert not loaded & {"pydantic", "ruamel", "starlette", "uvicorn", "bcrypt", "structlog", *OF_THE_DAEMON}


def brought_in_by_name(name: str) -> set[str]:
    script = f"import json, sys; from exporter import {name}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))
