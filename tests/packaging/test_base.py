"""The library without extras works, and the command says which extra it needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import exporter

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Packages that an application with a cache must not get.
OF_THE_DAEMON = ("bcrypt", "jinja2", "pydantic", "ruamel.yaml", "starlette", "uvicorn", "opentelemetry-sdk")

LIBRARY = """
from kazoo.client import KazooClient
from prometheus_client import CollectorRegistry, generate_latest

import exporter
from exporter import *

client, registry = KazooClient("127.0.0.1:1"), CollectorRegistry()
cache = TreeCache(client, "/app")
with instrument(client, registry=registry):
    assert cache.stats().state == "disconnected"
    assert b'zookeeper_client_up{ensemble="default"} 0.0' in generate_latest(registry)
print(*exporter.__all__)
"""


def needed(requirements: Iterator[Requirement]) -> Iterator[Distribution]:
    """The installed distributions of these requirements, with their dependencies."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = list(requirements)
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in seen:
            continue
        seen.add(key)
        found = distribution(wanted.name)
        yield found
        for line in found.requires or ():
            inner = Requirement(line)
            extras = ("", *wanted.extras)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(inner)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with only the library and its dependencies, as they are installed here."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "exporter").symlink_to(ROOT / "exporter")
    for found in needed(Requirement(line) for line in PROJECT["dependencies"]):
        for file in found.files or ():
            if file.parts[0] == ".." or "__pycache__" in file.parts:
                continue
            # Several distributions share the folder of opentelemetry.
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(str(found.locate_file(file)))
    return folder


def run(base: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with only that folder and the standard library."""
    script = f"import runpy, sys; sys.path.insert(0, {str(base)!r}); sys.argv = sys.argv[1:]; "
    script += "exec(sys.argv[1]) if sys.argv[0] == 'code' else runpy.run_module(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=base)


def test_there_are_few_dependencies() -> None:
    assert len(PROJECT["dependencies"]) <= 7


def test_the_library_works_with_the_base_alone(base: Path) -> None:
    done = run(base, "code", LIBRARY)
    assert done.stderr == ""
    assert done.stdout.split() == exporter.__all__


@pytest.mark.parametrize("name", OF_THE_DAEMON)
def test_nothing_of_the_daemon_comes_with_it(base: Path, name: str) -> None:
    module = name.replace("-", ".")
    done = run(base, "code", f"import {module}")
    assert f"No module named '{module.partition('.')[0]}" in done.stderr or f"No module named '{module}'" in done.stderr


def test_the_command_names_the_extra_that_is_missing(base: Path) -> None:
    done = run(base, "exporter", "--help")
    assert done.returncode == 1
    words = r"treecache-exporter: the command needs the extra daemon, and [\w.]+ is not installed: "
    assert re.fullmatch(words + r"pip install 'treecache-exporter\[daemon\]'\n", done.stderr)


def test_each_dependency_belongs_to_the_library_or_to_an_extra() -> None:
    base = {Requirement(line).name for line in PROJECT["dependencies"]}
    daemon = {Requirement(line).name for line in PROJECT["optional-dependencies"]["daemon"]}
    # With the extra, kazoo installs the package for SASL.
    assert base & daemon == {"kazoo"}
    assert daemon >= set(OF_THE_DAEMON)
