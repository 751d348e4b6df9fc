"""Real ZooKeeper servers and clients for every test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from kazoo.client import KazooClient

from exporter.demo.server import NETTY, ZooKeeperServer
from tests import classarchive, units
from tests.support import LONG_SESSIONS, wipe

# The duration of an example depends more on the machine than on the tested code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Sessions last 2 to 20 ticks, so the shortest is 0.4 s.
TICK_TIME = 200

# ZooKeeper's superuser, whom no ACL stops: it can wipe the znodes that a test made inaccessible.
SUPERUSER = ("digest", "super:secret")
SUPERUSER_DIGEST = "super:" + base64.b64encode(hashlib.sha1(b"super:secret").digest()).decode()

# `make unit` asks for these alone.
UNIT = "unit"

ClientFactory = Callable[..., KazooClient]


@dataclass(frozen=True)
class ZooKeeper:
    """A path for one test on the shared server: `hosts` ends in it (a chroot), `root` is its absolute path."""

    server: ZooKeeperServer
    root: str

    @property
    def hosts(self) -> str:
        """Connection string with the chroot: for the clients of this test alone."""
        return self.server.hosts + self.root


def pytest_configure(config: pytest.Config) -> None:
    """Runs of several processes start enough servers to be worth an archive of their classes; unit tests start none."""
    if config.option.markexpr == UNIT:
        units.refuse_processes()
    elif getattr(config.option, "numprocesses", None):
        folder = Path(tempfile.mkdtemp(prefix="treecache-classes-"))
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        classarchive.write(folder / "classes.jsa")
        classarchive.use(folder / "classes.jsa")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Does not import what has no unit tests when only these are wanted."""
    return True if config.option.markexpr == UNIT and not units.may_have_units(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Finds the unit tests, and begins with the long files: none is still under way when all others have ended."""
    for item in filter(units.is_unit, items):
        item.add_marker(UNIT)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def zookeeper_server() -> Iterator[ZooKeeperServer]:
    """One server for the whole test run. Do not stop it: tests that kill a server use `own_zookeeper`."""
    superuser = {"zookeeper.DigestAuthenticationProvider.superDigest": SUPERUSER_DIGEST}
    with ZooKeeperServer(tick_time=TICK_TIME, config=LONG_SESSIONS, system_properties=superuser) as server:
        yield server


@pytest.fixture
def zookeeper(zookeeper_server: ZooKeeperServer) -> Iterator[ZooKeeper]:
    """The shared server with a fresh root, which is wiped after the test."""
    place = ZooKeeper(zookeeper_server, f"/test-{uuid.uuid4().hex[:12]}")
    with connected(zookeeper_server.hosts, auth_data=[SUPERUSER]) as admin:
        admin.create(place.root)
        yield place
        wipe(admin, place.root)


@pytest.fixture
def own_zookeeper() -> Iterator[ZooKeeperServer]:
    """A server that the test may kill, suspend and restart."""
    with ZooKeeperServer(tick_time=TICK_TIME, config=LONG_SESSIONS, system_properties=NETTY) as server:
        yield server


@pytest.fixture
def client_factory(zookeeper: ZooKeeper) -> Iterator[ClientFactory]:
    """Makes started clients: `client_factory()` in the test's chroot, or `client_factory(hosts, **options)`."""
    with contextlib.ExitStack() as clients:
        yield lambda hosts=zookeeper.hosts, **options: clients.enter_context(connected(hosts, **options))


@pytest.fixture
def client(client_factory: ClientFactory) -> KazooClient:
    """A started client in the test's chroot."""
    return client_factory()


@contextlib.contextmanager
def connected(hosts: str, **options: Any) -> Iterator[KazooClient]:
    """A started client, stopped and closed afterwards."""
    client = KazooClient(hosts, **options)
    try:
        client.start()
        yield client
    finally:
        client.stop()
        client.close()
