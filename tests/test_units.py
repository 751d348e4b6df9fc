"""Unit tests start nothing: their folder, fixtures and marks say so, and a process that one starts is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter.demo.server import ZooKeeperServer
from tests import units


def test_this_test_is_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert units.is_unit(request.node)


def test_a_test_with_a_server_is_none(request: pytest.FixtureRequest, zookeeper_server: ZooKeeperServer) -> None:
    assert not units.is_unit(request.node)


@pytest.mark.starts
def test_a_marked_test_is_none(request: pytest.FixtureRequest) -> None:
    assert not units.is_unit(request.node)


@pytest.mark.parametrize("name", units.FOLDERS)
def test_each_folder_has_tests(name: str) -> None:
    assert list((units.TESTS / name).glob("test_*.py"))


@pytest.mark.starts
def test_a_unit_test_that_starts_a_process_all_the_same_is_refused() -> None:
    script = "import subprocess; from tests import units; units.refuse_processes(); subprocess.run(['true'])"
    refused = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    # This very process says of itself that it runs a test, and the other one has its environment.
    assert "a unit test starts 'true'" in refused.stderr
