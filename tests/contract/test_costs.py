"""What a cache costs the ensemble: requests and watches. Not for the classic strategy, which does what kazoo's does."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient

from exporter import TreeEvent
from exporter.demo.server import ZooKeeperServer
from tests.conftest import ZooKeeper
from tests.contract.conftest import Run, Soon, shut
from tests.faults.proxy import Proxy

NODES = 300

pytestmark = pytest.mark.parametrize("implementation", ["recursive", "kazoo"])


@pytest.fixture
def tree(client: KazooClient) -> None:
    client.create("/app")
    for creation in [client.create_async(f"/app/{number}") for number in range(NODES - 1)]:
        creation.get(10)


def packets_received(server: ZooKeeperServer) -> int:
    return int(server.mntr()["zk_packets_received"])


def watches(server: ZooKeeperServer) -> int:
    return int(server.mntr()["zk_watch_count"])


@pytest.mark.usefixtures("tree")
def test_a_load_takes_fewer_requests_than_nodes(run: Run, zookeeper: ZooKeeper) -> None:
    before = packets_received(zookeeper.server)
    run()
    assert packets_received(zookeeper.server) - before < NODES / 2


@pytest.mark.usefixtures("tree")
def test_a_reconnection_takes_fewer_requests_than_nodes(
    run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, zookeeper: ZooKeeper, soon: Soon
) -> None:
    program = run("/app", away)
    shut(proxy)
    soon(lambda: TreeEvent.CONNECTION_SUSPENDED in program.kinds())
    before = packets_received(zookeeper.server)
    client.set(f"/app/{NODES - 2}", b"new")
    proxy.heal()
    soon(lambda: TreeEvent.NODE_UPDATED in program.kinds())
    assert packets_received(zookeeper.server) - before < NODES / 2


@pytest.mark.usefixtures("tree")
def test_there_are_fewer_watches_than_nodes(run: Run, zookeeper: ZooKeeper) -> None:
    before = watches(zookeeper.server)
    run()
    assert watches(zookeeper.server) - before < NODES / 2


@pytest.mark.usefixtures("tree")
def test_close_takes_its_watches_off_the_server(run: Run, zookeeper: ZooKeeper, soon: Soon) -> None:
    before = watches(zookeeper.server)
    program = run()
    assert watches(zookeeper.server) > before
    program.cache.close()
    soon(lambda: watches(zookeeper.server) == before)
