"""kazoo's own tests that break connections and end sessions pass with our instrumentation on every client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import kazoo
import pytest

from exporter.demo.server import ZooKeeperServer
from tests.kazoo_suite.suite import KNOWN, failed, harmed, run

FOLDER = Path(kazoo.__file__).parent / "tests"
MODULES = ("test_client", "test_connection", "test_lock", "test_partitioner", "test_watchers")
#: These tests need an ensemble, or a server that they may stop, or take seconds each.
LEFT_OUT = (
    "Reconfig or SSL or TestReadOnlyMode or update_host_list or request_queuing_session or race_condition or sasl"
    " or remove_session_watcher or stop_on_session_loss or lock_timeout or test_timeout or real_state_change"
    " or many_threads or watcher_exception"
)
#: kazoo's harness passes this to its servers; its password is "test".
SUPERUSER = {"zookeeper.DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU="}

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A server for kazoo's tests, whose clients ask for long sessions."""
    with ZooKeeperServer(system_properties=SUPERUSER) as server:
        yield {"KAZOO_SUITE_SERVER": server.hosts, "ZOOKEEPER_VERSION": "3.8.0"}


def test_kazoos_tests_pass_with_ours_on_every_client(environment: dict[str, str]) -> None:
    modules = [f"kazoo.tests.{module}" for module in MODULES]
    outcomes = run(sys.executable, "instrumented", modules, ["-k", f"not ({LEFT_OUT})"], environment, within=300)
    assert len(outcomes) > 150
    found = harmed(sys.executable, FOLDER, failed(outcomes), environment)
    assert found.keys() == KNOWN.keys()
