"""The demo's changing tree."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError

from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.demo.world import ROOTS, World, Znode, create_all, initial_tree
from tests.conftest import connected
from tests.support import eventually, expire, walk


@pytest.fixture
def own_zookeeper() -> Iterator[ZooKeeperServer]:
    """A server that grants long session timeouts, because the machine may be busy with so many znodes."""
    with ZooKeeperServer(system_properties=NETTY) as server:
        yield server


@pytest.fixture
def world(own_zookeeper: ZooKeeperServer) -> Iterator[World]:
    world = World(own_zookeeper.hosts, writes_per_second=200)
    world.start()
    yield world
    world.stop()


@pytest.fixture
def observer(own_zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    with connected(own_zookeeper.hosts) as client:
        yield client


def instances(client: KazooClient) -> set[str]:
    return {path for path, stat in walk(client, "/services").items() if stat.ephemeralOwner}


def zxids(client: KazooClient, root: str) -> set[tuple[str, int, int]]:
    return {(path, stat.mzxid, stat.pzxid) for path, stat in walk(client, root).items()}


def last_zxid(server: ZooKeeperServer) -> int:
    (line,) = [line for line in server.four_letter_word(b"srvr").splitlines() if line.startswith("Zxid:")]
    return int(line.split()[1], 16)


def test_the_tree_has_a_few_thousand_znodes_of_several_sessions(world: World, observer: KazooClient) -> None:
    owners = [stat.ephemeralOwner for root in ROOTS for stat in walk(observer, root).values()]
    assert 3000 < len(owners) < 5000
    assert 500 < len(owners) - owners.count(0) < 1000
    assert len(set(owners) - {0}) == 4


def test_every_part_of_the_tree_changes(world: World, observer: KazooClient) -> None:
    before = {root: zxids(observer, root) for root in ROOTS}
    eventually(lambda: all(zxids(observer, root) != before[root] for root in ROOTS))


def test_the_load_is_bounded(own_zookeeper: ZooKeeperServer) -> None:
    """The server counts the writes: each takes the next zxid."""
    world = World(own_zookeeper.hosts, writes_per_second=50)
    world.start()
    try:
        first, started = last_zxid(own_zookeeper), time.monotonic()
        eventually(lambda: last_zxid(own_zookeeper) - first >= 60)
        assert time.monotonic() - started > 0.9
    finally:
        world.stop()


def test_stopping_takes_the_ephemeral_znodes_away(world: World, observer: KazooClient) -> None:
    assert instances(observer)
    world.stop()
    assert not instances(observer)
    assert observer.exists("/config/production/billing/setting-00")


def test_the_same_seed_gives_the_same_tree() -> None:
    assert list(initial_tree(random.Random(7))) == list(initial_tree(random.Random(7)))
    assert list(initial_tree(random.Random(7))) != list(initial_tree(random.Random(8)))


def test_it_goes_on_after_the_server_was_away(world: World, own_zookeeper: ZooKeeperServer) -> None:
    own_zookeeper.restart()
    with connected(own_zookeeper.hosts) as client:
        before = client.exists("/tasks/emails").pzxid
        eventually(lambda: client.exists("/tasks/emails").pzxid > before)


def test_it_registers_again_after_its_sessions_were_lost(
    world: World, own_zookeeper: ZooKeeperServer, observer: KazooClient
) -> None:
    before = instances(observer)
    for host in world._hosts:
        expire(host.client.client_id, own_zookeeper.hosts)
    eventually(lambda: len(instances(observer) - before) > 500)


def test_it_stops_while_no_server_answers(world: World, own_zookeeper: ZooKeeperServer) -> None:
    own_zookeeper.kill()
    world.stop()


def test_a_refused_creation_is_raised(client: KazooClient) -> None:
    with pytest.raises(NodeExistsError):
        create_all(client, [Znode("/a", b""), Znode("/b", b""), Znode("/a", b"")])
    assert client.get_children("/") == []
