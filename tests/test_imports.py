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
    ("telemetry",),
    ("views",),
    ("packs",),
    ("config",),
    ("servers",),
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
    # They check the rules of views, and know nothing of metrics.
    "config": {"process", "zookeeper", "treecache", "views", "packs"},
    "packs": {"process", "zookeeper", "treecache", "views"},
    # The public names, each imported on first use.
    "__init__": {"zookeeper", "treecache", "telemetry", "views"},
}
#: The libraries that each folder may import. What is missing here, it may not; `daemon` and `demo` may import all.
LIBRARIES: Mapping[str, set[str]] = {
    "process": {"structlog"},
    "zookeeper": {"kazoo"},
    "treecache": {"kazoo"},
    "telemetry": {"kazoo", "opentelemetry", "prometheus_client", "wrapt"},
    "views": {"prometheus_client"},
    "packs": {"ruamel"},
    "config": {"pydantic", "pydantic_core", "ruamel"},
    "servers": {"h11", "prometheus_client", "structlog"},
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


def test_no_modules_import_each_other() -> None:
    # The names of `exporter` itself are imported on first use, when every module is whole.
    graph = {module: imported(module) for module in MODULES if module != "exporter"}
    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a", "other"}, "d": {"d"}, "e": {"a"}}
    assert circles({module: frozenset(names) for module, names in graph.items()}) == [["d"], ["a", "b", "c"]]


PROBE = """
import importlib, json, sys
found, before = [], set(sys.modules)
for names in json.loads(sys.argv[1]):
    for name in names:
        importlib.import_module(name)
    found.append(sorted(set(sys.modules) - before))
print(json.dumps(found))
"""


def brought_in_by(*steps: list[str]) -> list[set[str]]:
    """The modules that a fresh process has after importing those of each step."""
    command = [sys.executable, "-c", PROBE, json.dumps(steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [set(modules) for modules in json.loads(done.stdout)]


def folders_in(modules: set[str]) -> set[str]:
    return {layer_of(module) for module in modules if module.startswith("exporter.")}


@pytest.mark.starts
@pytest.mark.parametrize("layer", [layer for layer in LAYERS if (PACKAGE / layer).is_dir()])
def test_a_folder_brings_in_nothing_of_those_after_it(layer: str) -> None:
    """A folder, alone or with all its modules, loads no other library: a cache no web server, metrics no YAML."""
    package = f"exporter.{layer}"
    mine = [module for module in MODULES if layer_of(module) == layer and not module.endswith("__main__")]
    alone, whole = brought_in_by([package], mine)
    if layer == "treecache":
        # It offers the engine's public names.
        assert folders_in(alone) <= allowed(layer)
    else:
        assert {module for module in alone if module.startswith("exporter.")} == {package}
    assert folders_in(whole) <= allowed(layer)
    if allowed(layer) <= LIBRARIES.keys():
        assert not whole & (libraries(*LIBRARIES) - libraries(*allowed(layer)) | set(OF_THE_DAEMON))


@pytest.mark.starts
def test_the_public_names_bring_in_nothing_of_the_daemon() -> None:
    script = f"import json, sys; from exporter import {', '.join(exporter.__all__)}; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout))
    assert folders_in(loaded) <= allowed("views")
    assert not loaded & (libraries(*LIBRARIES) - libraries("treecache", "telemetry", "views") | set(OF_THE_DAEMON))


def allowed(layer: str) -> set[str]:
    """A layer with all that it may import."""
    return {layer, *LAYERS[layer]}


def libraries(*layers: str) -> set[str]:
    return set[str]().union(*(LIBRARIES[layer] for layer in layers))
