"""Servers without recursive watches or bulk reads, or with a low limit of requests: the cache adapts.

The cache finds out what a server supports on a separate connection; the application's connection is not affected.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter import TreeCache, UnsupportedServerError
from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import MARSHALLING_ERROR, UNIMPLEMENTED
from tests.conftest import ZooKeeper
from tests.faults.conftest import observed, quick_client, started
from tests.faults.proxy import Proxy
from tests.support import eventually, expire

ADD_WATCH, MULTI_READ, REMOVE_WATCHES = 106, 22, 18


@pytest.fixture
def old(proxy: Proxy) -> Proxy:
    """A proxy that imitates ZooKeeper 3.4: it refuses later operations, and closes the connection."""
    proxy.refuse_requests({ADD_WATCH, MULTI_READ, REMOVE_WATCHES}, UNIMPLEMENTED, close=True)
    return proxy


def change(writer: KazooClient, root: str) -> None:
    """Makes one change of each kind."""
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
        assert undisturbed(seen.client)
        assert Session.attach(seen.client).stats().inquiries == {"recursive": 0, "classic": 1, "undecided": 0}
    assert len(proxy.refused_requests) == 1


def undisturbed(client: KazooClient) -> bool:
    """Whether the client still has its first connection."""
    return bool(client.connected) and not transitions(client)["suspended"] and not transitions(client)["lost"]


def transitions(client: KazooClient) -> Mapping[str, int]:
    """How often the client entered each state."""
    return Session.attach(client).stats().transitions


def test_the_application_notices_nothing_of_an_old_server(old: Proxy, zookeeper: ZooKeeper) -> None:
    with started(quick_client(old.hosts)) as client:
        client.ensure_path(zookeeper.root)
        for _ in range(3):
            with TreeCache(client, zookeeper.root) as cache:
                while not cache.initialized:
                    client.exists(zookeeper.root)
                assert cache.stats().mode == "classic"
        assert undisturbed(client)
    assert old.refused_requests == [ADD_WATCH]


def test_the_answer_holds_for_other_caches_and_is_found_out_anew_after_a_reconnect(
    old: Proxy, zookeeper: ZooKeeper
) -> None:
    with observed(old, zookeeper.server.hosts, zookeeper.root) as seen:
        with TreeCache(seen.client, seen.root + "/a") as second:
            assert second.wait_initialized(60)
            assert second.stats().mode == "classic"
        assert old.refused_requests == [ADD_WATCH]
        old.cut()
        eventually(lambda: seen.cache.stats().syncs["reconnect"] == 1)
        eventually(lambda: old.refused_requests == 2 * [ADD_WATCH])
        expire(seen.client.client_id, zookeeper.server.hosts)
        eventually(lambda: seen.cache.stats().syncs["session_lost"] == 1 and seen.cache.initialized)
        assert seen.settles()
        assert seen.cache.stats().mode == "classic"
    assert len(old.refused_requests) <= 3


def upgrade(proxy: Proxy) -> None:
    """Upgrades the server behind a proxy, like a restart with a new release."""
    proxy.refuse_requests(set(), 0, close=False)
    proxy.cut()


def test_an_upgraded_server_is_followed_recursively(old: Proxy, zookeeper: ZooKeeper) -> None:
    with observed(old, zookeeper.server.hosts, zookeeper.root) as seen:
        assert seen.cache.stats().mode == "classic"
        upgrade(old)
        change(seen.writer, seen.root)
        eventually(lambda: seen.cache.stats().mode == "recursive")
        seen.writer.set(seen.root + "/c", b"after the upgrade")
        assert seen.settles()
        with TreeCache(seen.client, seen.root + "/a") as second:
            assert second.wait_initialized(60)
            assert second.stats().mode == "recursive"


def test_the_recursive_mode_comes_alive_after_an_upgrade(old: Proxy, zookeeper: ZooKeeper) -> None:
    with (
        started(quick_client(old.hosts)) as client,
        TreeCache(client, zookeeper.root, mode="recursive") as cache,
    ):
        eventually(lambda: cache.stats().faults["unsupported"] == 1)
        upgrade(old)
        assert cache.wait_initialized(60)


def test_a_server_that_allows_no_second_connection_is_followed_classically_until_it_does() -> None:
    with (
        ZooKeeperServer(config={"maxClientCnxns": "1"}) as server,
        Proxy(server.port) as proxy,
        started(quick_client(proxy.hosts, timeout=10)) as client,
    ):
        with TreeCache(client, "/app") as cache:
            assert cache.wait_initialized(60)
            assert cache.stats().mode == "classic"
            client.create("/app/x")
            eventually(lambda: "/app/x" in cache)
        with TreeCache(client, "/app", mode="recursive") as chosen:
            assert chosen.wait_initialized(60), "who says that the server can is believed"
        assert undisturbed(client)


def test_a_server_of_short_requests_gets_short_ones(caplog: pytest.LogCaptureFixture) -> None:
    with (
        ZooKeeperServer(system_properties={"jute.maxbuffer": "16384"}) as server,
        started(quick_client(server.hosts)) as client,
    ):
        long = "/app/" + "n" * 300
        client.ensure_path(long)
        for i in range(400):
            client.create(f"{long}/{i}")
        with TreeCache(client, "/app", mode="recursive") as cache:
            assert cache.wait_initialized(30)
            assert len(cache) == 402
            assert cache.stats().faults["unsupported"] == 0
    assert "jute.maxbuffer" in caplog.text


def test_a_path_that_is_too_long_for_the_server_is_left_out_alone() -> None:
    """A request for the children of a znode contains its path twice, so some znodes can be created but not listed."""
    with (
        ZooKeeperServer(system_properties={"jute.maxbuffer": "16384"}) as server,
        started(quick_client(server.hosts)) as client,
    ):
        long = "/app/" + "n" * 9000
        client.ensure_path(f"{long}/a")
        for i in range(100):
            client.create(f"/app/{i}")
        faults: list[Exception] = []
        cache = TreeCache(client, "/app", mode="recursive", audit_interval=0.2)
        cache.listen_fault(faults.append)
        with cache:
            assert cache.wait_initialized(60)
            stats = cache.stats()
            assert (len(cache), stats.unreadable_nodes) == (101, 1)
            suspended = transitions(client)["suspended"]
            client.create("/app/later")
            eventually(lambda: "/app/later" in cache)
            audited = cache.stats().audits
            eventually(lambda: cache.stats().audits >= audited + 3)
            assert cache.verify(20)
            assert cache.stats().unreadable_nodes == 1
            assert sum(cache.stats().audit_mismatches.values()) == 0
            eventually(lambda: any("is longer than the server's jute.maxbuffer" in str(fault) for fault in faults))
            # No request ends the connection any longer.
            assert transitions(client)["suspended"] == suspended <= 12


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_server_that_was_made_stricter_gets_what_it_takes_and_keeps_the_connection(mode: str) -> None:
    """The sizes that a server accepted before its restart do not apply afterwards."""
    with (
        ZooKeeperServer() as server,
        started(quick_client(server.hosts, timeout=30)) as client,
    ):
        long = ["/app/" + "n" * length for length in (20_000, 18_000, 17_000)]
        for path in long:
            client.ensure_path(path)
        for i in range(300):
            client.create(f"/app/{i}-{'x' * 100}")
        faults: list[Exception] = []
        cache = TreeCache(client, "/app", mode=mode)
        cache.listen_fault(faults.append)
        with cache:
            assert cache.wait_initialized(60)
            assert len(cache) == 304
            server.system_properties["jute.maxbuffer"] = "16384"
            server.restart()
            eventually(lambda: cache.state == "in_sync" and cache.stats().unreadable_nodes == 3, 90)
            suspended = transitions(client)["suspended"]
            client.create("/app/later")
            eventually(lambda: "/app/later" in cache)
            assert cache.verify(20)
            assert cache.get_children("/app", frozenset()) >= {"later"}
            assert len([fault for fault in faults if "is longer than the server's jute.maxbuffer" in str(fault)]) == 3
            assert transitions(client)["suspended"] == suspended <= 20
            assert transitions(client)["lost"] == 0


@pytest.mark.parametrize("opcode", [ADD_WATCH, MULTI_READ])
def test_a_proxy_that_hangs_up_without_a_word_is_asked_three_times(
    proxy: Proxy, zookeeper: ZooKeeper, opcode: int
) -> None:
    proxy.refuse_requests({opcode}, None, close=True)
    with observed(proxy, zookeeper.server.hosts, zookeeper.root) as seen:
        assert seen.cache.stats().mode == "classic"
        change(seen.writer, seen.root)
        assert seen.settles()
        assert undisturbed(seen.client)
    assert proxy.refused_requests == 3 * [opcode]


def test_closing_a_cache_costs_an_old_server_no_connection(old: Proxy, zookeeper: ZooKeeper) -> None:
    with started(quick_client(old.hosts)) as client:
        for _ in range(5):
            with TreeCache(client, zookeeper.root, create_root=False) as cache:
                assert cache.wait_initialized(60)
        assert client.exists(zookeeper.root)
        assert undisturbed(client)


def test_each_server_is_asked_by_itself(old: Proxy, zookeeper: ZooKeeper) -> None:
    """An ensemble in the middle of an upgrade."""
    with (
        Proxy(zookeeper.server.port) as new,
        started(quick_client(f"{old.hosts},{new.hosts}")) as client,
        TreeCache(client, zookeeper.root) as cache,
    ):
        assert cache.wait_initialized(60)
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
    """A client that always has outstanding reads, so that an old server's refusal overtakes their answers."""
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
            assert cache.wait_initialized(60)
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
            eventually(lambda: faults and client.connected)
            assert undisturbed(client)
            for connections in (1, 2):
                old.cut()
                eventually(lambda n=connections: transitions(client)["connected"] == n)  # type: ignore[misc]
            eventually(lambda: len(old.refused_requests) == 2)
            assert client.exists(zookeeper.root)
            assert not cache.wait_initialized(0.2)
            assert cache.stats().faults["unsupported"] == 1
    assert [type(fault) for fault in faults] == [UnsupportedServerError]
    assert old.hosts in str(faults[0])
    assert len(old.refused_requests) <= 3
