"""Which tests are unit tests follows from what they start, however many helpers are in between."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from exporter.demo import server as server_module
from exporter.demo.server import ZooKeeperServer
from tests import support, uses
from tests.telemetry import known


def server() -> ZooKeeperServer:
    return ZooKeeperServer()


class Ensemble:
    def start(self) -> None:
        server()


class Larger(Ensemble):
    pass


CASES: dict[str, Any] = {"one": lambda: 1, "two": [Ensemble]}


def nested() -> Callable[[], object]:
    def inner() -> object:
        return CASES["two"]

    return inner


def imported() -> Any:
    from tests.telemetry import real

    return real.texts()


def checked() -> Any:
    return subprocess.run(["promtool", "check", "rules"], check=True)


@functools.cache
def script() -> Any:
    return subprocess.run([sys.executable, "-c", "from exporter.demo.server import ZooKeeperServer"], check=True)


@pytest.mark.parametrize(
    ("things", "started"),
    [
        ([server], {"java"}),
        ([Ensemble], {"java"}),
        ([Larger], {"java"}),
        ([functools.partial(server)], {"java"}),
        ([lambda: Larger().start()], {"java"}),
        ([nested], {"java"}),
        ([imported], {"java"}),
        ([script], {"java"}),
        ([lambda: subprocess.run([sys.executable, "-m", "exporter", "demo"], check=True)], {"java"}),
        ([checked, script], {"java", "promtool"}),
        ([lambda: sync_playwright().start()], {"playwright"}),
        ([lambda: server_module.ZooKeeperServer()], {"java"}),
        ([support.eventually, known.expositions], set()),
    ],
)
def test_what_is_started_is_found(things: list[Any], started: set[str]) -> None:
    assert uses.programs(*things) == started


def test_this_test_is_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert uses.is_unit(request.node)


def test_a_test_with_a_server_is_none(request: pytest.FixtureRequest, own_zookeeper: ZooKeeperServer) -> None:
    assert not uses.is_unit(request.node)


def test_a_unit_test_that_starts_a_program_all_the_same_is_refused() -> None:
    script = (
        "import subprocess; from tests import uses; uses.refuse_programs(); subprocess.run(['promtool', '--version'])"
    )
    refused = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "a unit test starts promtool" in refused.stderr


#: Folders whose tests start no program. That one is needed, the name of another folder says.
WITHOUT = ("config", "daemon", "pages", "process", "telemetry", "web")


def test_a_test_that_starts_a_program_says_so_by_its_folder(request: pytest.FixtureRequest) -> None:
    """Of the tests that are collected with this one; `make test` collects all."""
    folders = [Path(__file__).parent / name for name in WITHOUT]
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path.parent in folders:
            assert not uses.started_by(item), f"{item.nodeid} belongs into tests/integration"
