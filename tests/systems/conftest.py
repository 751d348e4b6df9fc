"""Leaves out the tests of this folder but in `make soak`, and gives them a ZooKeeper."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.demo.server import ZooKeeperServer
from tests.conftest import TICK_TIME
from tests.faults.size import SOAK

collect_ignore_glob = [] if SOAK else ["test_*.py"]

#: Sessions that end soon after a crash: these systems ask for 20 s and more. Containers are deleted as soon as they are
#: empty, instead of within a minute.
SESSIONS = {"maxSessionTimeout": "10000"}
CONTAINERS = {"znode.container.checkIntervalMs": "1000"}


@pytest.fixture
def server() -> Iterator[ZooKeeperServer]:
    """A ZooKeeper for one system."""
    with ZooKeeperServer(tick_time=TICK_TIME, config=SESSIONS, system_properties=CONTAINERS) as running:
        yield running
