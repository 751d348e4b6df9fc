"""A pytest plugin for kazoo's own tests: instruments every client, and can make all tests use one quick server.

The environment configures it: ``KAZOO_SUITE_CLIENTS`` is one of `CLIENTS`, ``KAZOO_SUITE_OUTCOMES`` the file for the
outcomes, and ``KAZOO_SUITE_SERVER`` the address of a running server. Without the last one, kazoo's own harness starts
an ensemble of three for each class. ``KAZOO_SUITE_STACKS`` is the file for what the threads do, if pytest still runs
after ``KAZOO_SUITE_STACKS_AFTER`` seconds.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import pytest
from kazoo.client import KazooClient
from prometheus_client import CollectorRegistry

from exporter import instrument
from exporter.zookeeper.session import Session

#: What every client of the tests gets.
CLIENTS: dict[str, Callable[[KazooClient], object]] = {
    "plain": lambda client: None,
    "session": Session.attach,
    "instrumented": lambda client: instrument(client, registry=CollectorRegistry()),
}


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before it collects."""
    put_on_every_client(CLIENTS[os.environ["KAZOO_SUITE_CLIENTS"]])
    if address := os.environ.get("KAZOO_SUITE_SERVER"):
        use_server(address)
    if stacks := os.environ.get("KAZOO_SUITE_STACKS"):
        # Also while the interpreter ends, when no test runs that has a time limit.
        _stacks.append(Path(stacks).open("w"))  # noqa: SIM115
        faulthandler.dump_traceback_later(float(os.environ["KAZOO_SUITE_STACKS_AFTER"]), file=_stacks[0])


#: The open file for the stacks.
_stacks: list[TextIO] = []

_outcomes: dict[str, str] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Called by pytest for each set-up, call and tear-down of a test."""
    report = yield
    if report.when == "call" or not report.passed:
        # Of a file outside of pytest's root, its name for the test may leave out which it is. And where a test is
        # written is another file if its class inherits it.
        name = f"{item.path.name}::{report.nodeid.partition('::')[2]}"
        _outcomes[name] = "failed" if "failed" in (report.outcome, _outcomes.get(name)) else report.outcome
    return report


def pytest_sessionfinish() -> None:
    """Called by pytest at the end."""
    Path(os.environ["KAZOO_SUITE_OUTCOMES"]).write_text(json.dumps(_outcomes))


def put_on_every_client(attach: Callable[[KazooClient], object]) -> None:
    """Calls `attach` with each client as soon as it is made."""
    original = KazooClient.__init__

    @functools.wraps(original)
    def made(self: KazooClient, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        attach(self)

    KazooClient.__init__ = made


def use_server(address: str) -> None:
    """Makes the tests use a running server, which they do not stop, instead of starting ensembles."""
    # kazoo's harness writes key stores of Java with them, which one server without TLS does not need.
    for name in ("OpenSSL", "jks"):
        sys.modules.setdefault(name, ModuleType(name))
    from kazoo.testing import harness

    cluster = _Cluster(address)
    harness.get_global_cluster = lambda: cluster


class _Cluster:
    """What kazoo's harness takes for its cluster: a server that was not started by it and is not to be stopped."""

    running = True

    def __init__(self, address: str) -> None:
        self.address = address

    def __iter__(self) -> Iterator[_Cluster]:
        return iter([self])

    def __getitem__(self, number: int) -> _Cluster:
        return [self][number]

    def start(self) -> None:
        pass

    def terminate(self) -> None:
        pass

    def get_logs(self) -> list[str]:
        return []
