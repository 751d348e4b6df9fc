"""Which tests are unit tests follows from what they start, however many helpers are in between."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from exporter.demo import server as server_module
from exporter.demo.server import ZooKeeperServer
from tests import support, uses
from tests.telemetry import known
from tests.web.running import running


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
def forked() -> Any:
    import multiprocessing

    return multiprocessing.Process()


@pytest.mark.parametrize(
    ("things", "started"),
    [
        ([server], {"a process"}),
        ([Ensemble], {"a process"}),
        ([Larger], {"a process"}),
        ([functools.partial(server)], {"a process"}),
        ([lambda: Larger().start()], {"a process"}),
        ([lambda: server_module.ZooKeeperServer()], {"a process"}),
        ([nested], {"a process"}),
        ([imported], {"a process"}),
        ([checked], {"a process"}),
        ([forked], {"a process"}),
        ([lambda: gc.collect()], {"a garbage collection"}),
        ([lambda: sync_playwright().start()], {"a browser"}),
        ([running], {"a web server"}),
        ([lambda: running(), Larger], {"a process", "a web server"}),
        ([support.eventually, known.expositions], set()),
    ],
)
def test_what_is_started_is_found(things: list[Any], started: set[str]) -> None:
    assert uses.started(*things) == started


def test_this_test_is_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert uses.is_unit(request.node)


def test_a_test_with_a_server_is_none(request: pytest.FixtureRequest, own_zookeeper: ZooKeeperServer) -> None:
    assert not uses.is_unit(request.node)


def test_a_unit_test_that_starts_a_process_all_the_same_is_refused() -> None:
    script = "import subprocess; from tests import uses; uses.refuse_processes(); subprocess.run(['true'])"
    refused = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    # This very process says of itself that it runs a test, and the other one has its environment.
    assert "a unit test starts 'true'" in refused.stderr
