"""Trees that are deep or wide, have large data or change rapidly."""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NoNodeError, RolledBackError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from exporter import TreeCache, TreeEvent
from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import Message, Reply
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import Request, encode_string
from tests.faults.conftest import quick_client, started
from tests.faults.proxy import Proxy
from tests.faults.size import size
from tests.replay import Replay, settles
from tests.support import LONG_SESSIONS, eventually

pytestmark = pytest.mark.long

DEPTH = size(1_200, 2_000)
WIDTH = size(10_000, 100_000)
HEAVY = size(30, 1_000)
DELETED = size(5_000, 50_000)
AGAIN = size(300, 20_000)

#: The server's limit of 1 MiB for a request, minus everything but the data.
ALMOST_1_MIB = 1024 * 1024 - 1024

OTHERS_ONLY = [make_digest_acl("other", "secret", all=True)]
_roots = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[ZooKeeperServer]:
    """A server that soon removes empty containers and expired TTL znodes; nothing on it needs cleanup."""
    properties = {"znode.container.checkIntervalMs": "100"}
    # Collecting a gigabyte of garbage takes a server seconds.
    with ZooKeeperServer(
        tick_time=size(200, 2000), heap=size("512m", "4g"), config=LONG_SESSIONS, system_properties=properties
    ) as server:
        yield server


@pytest.fixture
def writer(server: ZooKeeperServer) -> Iterator[KazooClient]:
    """A client that changes the tree."""
    with started(KazooClient(server.hosts, timeout=30.0)) as writer:
        yield writer


@pytest.fixture
def reader(server: ZooKeeperServer) -> Iterator[KazooClient]:
    """The cache's client."""
    with started(quick_client(server.hosts, timeout=size(4.0, 30.0))) as reader:
        yield reader


@pytest.fixture
def root(writer: KazooClient) -> str:
    """A root of the test's own."""
    root = f"/{next(_roots)}"
    writer.create(root)
    return root


def loading(reader: KazooClient, root: str, strategy: str, **options: Any) -> tuple[TreeCache, Replay]:
    """A cache before its start, and its events."""
    cache, replay = TreeCache(reader, root, mode=strategy, create_root=False, **options), Replay()
    cache.listen(replay)
    return cache, replay


def commit(client: KazooClient, operations: Iterable[tuple[Any, ...]]) -> None:
    """Runs many operations in concurrent transactions; some may fail with NoNode."""
    remaining = iter(operations)
    commits = []
    while batch := list(itertools.islice(remaining, 200)):
        transaction = client.transaction()
        for name, *arguments in batch:
            getattr(transaction, name)(*arguments)
        commits.append(transaction.commit_async())
    for result in itertools.chain.from_iterable(commit.get(timeout=60) for commit in commits):
        assert not isinstance(result, Exception) or isinstance(result, RolledBackError | NoNodeError)


def test_deep(reader: KazooClient, writer: KazooClient, root: str, strategy: str) -> None:
    paths = [root + "/d" * depth for depth in range(DEPTH + 1)]
    for creation in [writer.create_async(path, b"%d" % len(path)) for path in paths[1:]]:
        creation.get(timeout=30)
    cache, replay = loading(reader, root, strategy)
    with cache:
        assert cache.wait_initialized(60)
        assert list(cache) == paths
        assert cache.get_data(paths[-1]).data == b"%d" % len(paths[-1])
        for path in reversed(paths[-20:]):
            writer.delete(path)
        writer.create(paths[-20], b"again")
        eventually(lambda: list(cache) == paths[:-19] and cache.get_data(paths[-20]).data == b"again", timeout=30)
        eventually(lambda: set(replay.data()) == set(cache))
        # A resync knows all paths from the start; together they exceed a server's limit for one request.
        adapt(reader).hang_up()
        eventually(lambda: cache.stats().syncs["reconnect"] == 1 and cache.verify(30), timeout=60)
        assert cache.stats().mode == strategy
        assert list(cache) == paths[:-19]
    assert not replay.wrong


def test_wide(reader: KazooClient, writer: KazooClient, root: str, strategy: str) -> None:
    paths = [f"{root}/child-{number:06}" for number in range(WIDTH)]
    commit(writer, (("create", path, b"x") for path in paths))
    cache, replay = loading(reader, root, strategy)
    with cache:
        assert cache.wait_initialized(120)
        assert set(cache) == {root, *paths}
        commit(writer, (("delete", path) for path in paths[::2]))
        eventually(lambda: set(cache) == {root, *paths[1::2]}, timeout=60)
        eventually(lambda: cache.get_data(root).stat == writer.exists(root), timeout=60)
        eventually(lambda: set(replay.data()) == {root, *paths[1::2]}, timeout=60)
    assert not replay.wrong


def heavy(path: str) -> bytes:
    """The largest data that a request can carry, different for each path."""
    return (path.encode() * ALMOST_1_MIB)[:ALMOST_1_MIB]


def test_heavy(reader: KazooClient, writer: KazooClient, root: str, strategy: str) -> None:
    paths = [f"{root}/{number}" for number in range(HEAVY)]
    for path in paths:
        writer.create(path, heavy(path))
    cache, replay = loading(reader, root, strategy)
    with cache:
        assert cache.wait_initialized(120)
        assert cache.stats().data_bytes == HEAVY * ALMOST_1_MIB
        writer.set(paths[0], heavy("/changed"))
        eventually(lambda: cache.get_data(paths[0]).data == heavy("/changed"))
        assert all(cache.get_data(path).data == heavy(path) for path in paths[1:])
        assert replay.kinds[TreeEvent.CONNECTION_SUSPENDED] == 0
    assert not replay.wrong


def test_empty_and_null_data(reader: KazooClient, writer: KazooClient, root: str, strategy: str) -> None:
    writer.create(root + "/empty", b"")
    writer.create(root + "/null", b"something")
    cache, replay = loading(reader, root, strategy)
    with cache:
        assert cache.wait_initialized(60)
        for data in (None, b"", None, b"something", b""):
            writer.set(root + "/null", data)
            writer.set(root + "/empty", data)
            assert settles(cache, replay, writer, root)


class Create(Request):
    """Creates a container or a TTL znode, which kazoo does not support."""

    def __init__(self, path: str, ttl: int | None) -> None:
        self.path = path
        self._ttl = ttl

    def serialize(self) -> bytes:
        acl = struct.pack("!ii", 1, 31) + encode_string("world") + encode_string("anyone")
        flags = struct.pack("!i", 4) if self._ttl is None else struct.pack("!iq", 5, self._ttl)
        return encode_string(self.path) + struct.pack("!i", 0) + acl + flags


class CreateContainer(Create):
    type = 19


class CreateTTL(Create):
    type = 21


def submit(client: KazooClient, request: Request) -> None:
    """Sends a request and waits for its success."""
    answers: list[Message] = []
    Session.attach(client).submit(request, answers.append)
    assert isinstance(eventually(lambda: answers)[0], Reply)
    assert [answer.error for answer in answers if isinstance(answer, Reply)] == [0]


def test_containers_and_ttl_znodes_come_and_vanish(
    reader: KazooClient, writer: KazooClient, root: str, strategy: str
) -> None:
    """Clients see them as persistent: a server sets ephemeralOwner only for sessions (its DataNode.copyStat)."""
    submit(writer, CreateContainer(root + "/container", None))
    writer.create(root + "/container/child")
    cache, replay = loading(reader, root, strategy)
    with cache:
        assert cache.wait_initialized(60)
        submit(writer, CreateTTL(root + "/lasting", 1_000_000))
        submit(writer, CreateTTL(root + "/ttl", 1))
        submit(writer, CreateContainer(root + "/unused", None))
        assert settles(cache, replay, writer, root)
        eventually(lambda: cache.get_children(root) == {"container", "lasting", "unused"})
        writer.delete(root + "/container/child")
        eventually(lambda: cache.get_children(root) == {"lasting", "unused"})
        assert settles(cache, replay, writer, root)
        assert cache.stats().nodes == {"persistent": 3, "ephemeral": 0}


def test_created_again_between_every_two_reads(
    reader: KazooClient, writer: KazooClient, root: str, strategy: str
) -> None:
    restless = root + "/restless"
    writer.create(restless)
    cache, replay = loading(reader, root, strategy)
    with cache:
        for number in range(AGAIN):
            transaction = writer.transaction()
            transaction.delete(restless)
            transaction.create(restless, b"%d" % number)
            transaction.create(restless + "/below", b"%d" % number)
            transaction.delete(restless + "/below")
            assert len(transaction.commit()) == 4
        assert cache.wait_initialized(60)
        assert settles(cache, replay, writer, root)
    assert replay.kinds[TreeEvent.NODE_UPDATED] == 0


@pytest.mark.parametrize("batch_size", [16, 1024])
def test_subtree_deleted_while_it_loads(
    reader: KazooClient, writer: KazooClient, root: str, strategy: str, batch_size: int
) -> None:
    parents = [f"{root}/{number}" for number in range(50)]
    paths = [f"{parent}/{number}" for parent in parents for number in range(DELETED // 50)]
    commit(writer, (("create", path, b"x") for path in [*parents, *paths]))
    cache, replay = loading(reader, root, strategy, batch_size=batch_size)
    with cache:
        eventually(lambda: len(cache) > DELETED // 10, interval=0.001)
        commit(writer, (("delete", path) for path in [*paths, *parents]))
        assert cache.wait_initialized(60)
        eventually(lambda: list(cache) == [root], timeout=60)
        assert settles(cache, replay, writer, root)


def test_root_deleted_and_created_again_under_load(
    reader: KazooClient, writer: KazooClient, root: str, strategy: str
) -> None:
    cache, replay = loading(reader, root, strategy, batch_size=8)
    with cache:
        for number in range(size(30, 500)):
            commit(writer, ((("create", f"{root}/{child}", b"%d" % number)) for child in range(10)))
            commit(writer, [*(("delete", f"{root}/{child}") for child in range(10)), ("delete", root)])
            commit(writer, [("create", root, b"%d" % number)])
        assert cache.wait_initialized(60)
        assert settles(cache, replay, writer, root)


def test_unreadable_znode_is_deleted(server: ZooKeeperServer, writer: KazooClient, root: str, strategy: str) -> None:
    """Servers send no events for unreadable znodes: the cache notices on the next connection at the latest."""
    writer.create(root + "/secret", b"x", acl=OTHERS_ONLY)
    with Proxy(server.port) as proxy, started(quick_client(proxy.hosts)) as reader:
        cache, replay = loading(reader, root, strategy)
        with cache:
            assert cache.wait_initialized(60)
            assert cache.stats().unreadable_nodes == 1
            assert cache.get_children(root) == {"secret"}
            writer.delete(root + "/secret")
            proxy.cut()
            eventually(lambda: cache.get_children(root) == frozenset())
            assert cache.stats().unreadable_nodes == 0
            writer.create(root + "/secret", b"open now")
            assert settles(cache, replay, writer, root)


def test_znode_becomes_unreadable_and_readable_again(
    server: ZooKeeperServer, writer: KazooClient, root: str, strategy: str
) -> None:
    """No watch covers ACLs: the cache notices the change at the next read, on the next connection at the latest."""
    owner = make_digest_acl("other", "secret", all=True)
    writer.add_auth("digest", "other:secret")
    writer.create(root + "/a", b"x")
    writer.create(root + "/a/below", b"y")
    faults: list[Exception] = []
    with Proxy(server.port) as proxy, started(quick_client(proxy.hosts)) as reader:
        cache, replay = loading(reader, root, strategy)
        cache.listen_fault(faults.append)
        with cache:
            assert cache.wait_initialized(60)
            writer.set_acls(root + "/a", [owner])
            proxy.cut()
            eventually(lambda: cache.get_data(root + "/a") is None)
            assert cache.get_data(root + "/a/below").data == b"y"
            assert cache.stats().unreadable_nodes == 1
            eventually(lambda: [type(fault) for fault in faults] == [NoAuthError])
            writer.set_acls(root + "/a", OPEN_ACL_UNSAFE)
            proxy.cut()
            eventually(lambda: cache.get_data(root + "/a") is not None)
            assert cache.stats().unreadable_nodes == 0
            eventually(lambda: set(replay.data()) == set(cache) == {root, root + "/a", root + "/a/below"})


@pytest.mark.parametrize("threads", [4])
def test_many_sessions_change_one_znode(
    server: ZooKeeperServer, reader: KazooClient, writer: KazooClient, root: str, strategy: str, threads: int
) -> None:
    cache, replay = loading(reader, root, strategy)

    def work(number: int) -> None:
        with started(KazooClient(server.hosts)) as client:
            for turn in range(size(100, 5_000)):
                client.set(root, b"%d %d" % (number, turn))

    with cache:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert settles(cache, replay, writer, root)
