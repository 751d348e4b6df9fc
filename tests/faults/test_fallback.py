"""Servers that know no recursive watches or bulk reads: the classic strategy takes over, once and without a loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter import TreeCache, UnsupportedServerError
from exporter.zookeeper.wire import MARSHALLING_ERROR, UNIMPLEMENTED
from tests.conftest import ZooKeeper
from tests.faults.conftest import expire, observed, quick_client, started
from tests.faults.proxy import Proxy
from tests.support import eventually

ADD_WATCH, MULTI_READ, REMOVE_WATCHES = 106, 22, 18


@pytest.fixture
def old(proxy: Proxy) -> Proxy:
    """A proxy that makes a server of ZooKeeper 3.4: refuses what came later, and hangs up."""
    proxy.refuse_requests({ADD_WATCH, MULTI_READ, REMOVE_WATCHES}, UNIMPLEMENTED, close=True)
    return proxy


def change(writer: KazooClient, root: str) -> None:
    """One change of each kind."""
    writer.create(root + "/a/new", b"1")
    writer.set(root + "/c", b"2")
    writer.delete(root + "/a/b")
    writer.create(root + "/a/new/below", b"3")
    writer.delete(root + "/a/new", recursive=True)
    writer.create(root + "/a/new", b"4", ephemeral=True)


@pytest.mark.parametrize("close", [True, False], ids=["hangs-up", "stays"])
@pytest.mark.parametrize("error", [UNIMPLEMENTED, MARSHALLING_ERROR])
@pytest.mark.parametrize("opcodes", [{ADD_WATCH, MULTI_READ}, {ADD_WATCH}, {MULTI_READ}])
def test_classic_is_chosen_automatically(
    proxy: Proxy, zookeeper: ZooKeeper, opcodes: set[int], error: int, close: bool
) -> None:
    proxy.refuse_requests(opcodes, error, close=close)
    with observed(proxy, zookeeper.server.hosts, zookeeper.root) as seen:
        assert seen.cache.stats().mode == "classic"
        change(seen.writer, seen.root)
        assert seen.settles()
    assert len(set(proxy.refused_requests)) == 1
    assert proxy.accepted == (2 if close else 1)


def test_the_answer_is_remembered_for_other_caches_and_after_a_reconnect(old: Proxy, zookeeper: ZooKeeper) -> None:
    with observed(old, zookeeper.server.hosts, zookeeper.root) as seen:
        assert (old.refused_requests, old.accepted) == ([ADD_WATCH], 2)
        with TreeCache(seen.client, seen.root + "/a") as second:
            assert second.wait_initialized(10)
            assert second.stats().mode == "classic"
        old.cut()
        eventually(lambda: seen.cache.stats().syncs["reconnect"] == 2)
        expire(seen.client.client_id, zookeeper.server.hosts)
        eventually(lambda: seen.cache.stats().syncs["session_lost"] == 1 and seen.cache.initialized)
        assert seen.settles()
    assert old.refused_requests == [ADD_WATCH]


@pytest.mark.parametrize("opcode", [ADD_WATCH, MULTI_READ])
def test_a_proxy_that_hangs_up_without_a_word_is_asked_three_times(
    proxy: Proxy, zookeeper: ZooKeeper, opcode: int
) -> None:
    proxy.refuse_requests({opcode}, None, close=True)
    with observed(proxy, zookeeper.server.hosts, zookeeper.root) as seen:
        assert seen.cache.stats().mode == "classic"
        change(seen.writer, seen.root)
        assert seen.settles()
    assert set(proxy.refused_requests) == {opcode}
    assert proxy.accepted == 4


def test_closing_a_cache_costs_an_old_server_no_connection(old: Proxy, zookeeper: ZooKeeper) -> None:
    with started(quick_client(old.hosts)) as client:
        for _ in range(5):
            with TreeCache(client, zookeeper.root, create_root=False) as cache:
                assert cache.wait_initialized(10)
        assert client.exists(zookeeper.root)
    assert old.accepted == 2


def test_each_server_is_asked_by_itself(old: Proxy, zookeeper: ZooKeeper) -> None:
    """An ensemble in the middle of an upgrade."""
    with (
        Proxy(zookeeper.server.port) as new,
        started(quick_client(f"{old.hosts},{new.hosts}")) as client,
        TreeCache(client, zookeeper.root) as cache,
    ):
        assert cache.wait_initialized(10)
        new.refuse()
        new.cut()
        eventually(lambda: cache.stats().mode == "classic" and cache.initialized)
        new.heal()
        old.refuse()
        old.cut()
        eventually(lambda: cache.stats().mode == "recursive" and client.connected)
        client.create(zookeeper.root + "/x")
        eventually(lambda: zookeeper.root + "/x" in cache)


@pytest.fixture
def busy(old: Proxy) -> Iterator[KazooClient]:
    """A client whose reads are always in flight, so that an old server's refusal overtakes their answers."""
    client = quick_client(old.hosts)
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            reads = [client.get_async("/zookeeper") for _ in range(50)]
            for read in reads:
                try:
                    read.get(timeout=5)
                except (KazooException, client.handler.timeout_exception):
                    stop.wait(0.01)

    with started(client):
        threads = [threading.Thread(target=keep_busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        yield client
        stop.set()
        for thread in threads:
            thread.join()


def test_a_refusal_that_overtakes_other_answers_makes_no_loop(
    busy: KazooClient, old: Proxy, zookeeper: ZooKeeper
) -> None:
    for _ in range(3):
        with TreeCache(busy, zookeeper.root, create_root=False) as cache:
            assert cache.wait_initialized(20)
            assert cache.stats().mode == "classic"
    assert old.refused_requests == [ADD_WATCH]


def test_classic_by_choice_never_probes(old: Proxy, zookeeper: ZooKeeper) -> None:
    with observed(old, zookeeper.server.hosts, zookeeper.root, mode="classic") as seen:
        change(seen.writer, seen.root)
        assert seen.settles()
        old.cut()
        eventually(lambda: seen.cache.stats().syncs["reconnect"] == 1)
        assert seen.settles()
    assert old.refused_requests == []
    assert old.accepted == 2


def test_recursive_by_choice_is_one_fault_and_no_loop(old: Proxy, zookeeper: ZooKeeper) -> None:
    faults: list[Exception] = []
    with started(quick_client(old.hosts)) as client:
        cache = TreeCache(client, zookeeper.root, mode="recursive")
        cache.listen_fault(faults.append)
        with cache:
            eventually(lambda: faults and old.accepted == 2 and client.connected)
            for connections in (3, 4):
                old.cut()
                eventually(lambda n=connections: old.accepted == n and client.connected)  # type: ignore[misc]
            assert client.exists(zookeeper.root)
            assert not cache.wait_initialized(0.2)
            assert cache.stats().faults["unsupported"] == 1
    assert [type(fault) for fault in faults] == [UnsupportedServerError]
    assert old.hosts in str(faults[0])
    assert old.refused_requests == [ADD_WATCH]
