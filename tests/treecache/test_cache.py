"""The public cache at a real server: its calls, their errors, and its life from start to close."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from exporter import NodeData, TreeCache, TreeEvent
from tests.conftest import ClientFactory, ZooKeeper
from tests.support import eventually


@pytest.fixture
def cache(client: KazooClient) -> Iterator[TreeCache]:
    """A started and loaded cache of /app, which has a child a with a child b."""
    client.ensure_path("/app/a")
    client.create("/app/a/b", b"data")
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        yield cache


def watched_paths(zookeeper: ZooKeeper, path: str = "") -> list[str]:
    """The paths at and below a path that the server holds watches on."""
    lines = zookeeper.server.four_letter_word(b"wchp").splitlines()
    return [line for line in lines if line.startswith(zookeeper.root + path)]


def test_get_data(cache: TreeCache, client: KazooClient) -> None:
    data, stat = client.get("/app/a/b")
    assert cache.get_data("/app/a/b") == NodeData.make("/app/a/b", data, stat)
    assert cache.get_data("/app/a/missing") is None
    assert cache.get_data("/app/a/missing", "nothing") == "nothing"


def test_get_children(cache: TreeCache) -> None:
    assert cache.get_children("/app") == frozenset({"a"})
    assert cache.get_children("/app/a/b") == frozenset()
    assert cache.get_children("/app/missing") is None
    assert cache.get_children("/app/missing", ()) == ()


@pytest.mark.parametrize("path", ["/app/", "/app//", "/app"])
def test_redundant_slashes(cache: TreeCache, path: str) -> None:
    assert cache.get_children(path) == frozenset({"a"})
    assert cache.get_data(path + "//a//").path == "/app/a"


@pytest.mark.parametrize("path", ["/", "/appendix", "/ap", "app", ""])
def test_paths_outside_of_the_tree(cache: TreeCache, path: str) -> None:
    with pytest.raises(ValueError, match="outside of the tree at '/app'"):
        cache.get_data(path)
    with pytest.raises(ValueError, match="outside of the tree at '/app'"):
        cache.get_children(path)


def test_length_and_iteration(cache: TreeCache) -> None:
    assert len(cache) == 3
    assert list(cache) == ["/app", "/app/a", "/app/a/b"]


def test_an_empty_cache_is_still_true(client: KazooClient) -> None:
    assert TreeCache(client, "/app")


def test_root_of_the_chroot(client: KazooClient) -> None:
    client.create("/x", b"1")
    with TreeCache(client, "/") as cache:
        assert cache.wait_initialized(10)
        assert list(cache) == ["/", "/x"]
        assert cache.get_data("/x").path == "/x"
        assert cache.get_children("/") == frozenset({"x"})


def test_names_of_any_kind(client: KazooClient) -> None:
    names = ["ünï", "with space", "...", "100%", "<script>", "日本"]
    client.create("/app")
    for name in names:
        client.create(f"/app/{name}", name.encode())
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        assert cache.get_children("/app") == frozenset(names)
        assert all(cache.get_data(f"/app/{name}").data == name.encode() for name in names)


def test_empty_and_null_data(client: KazooClient) -> None:
    client.create("/app")
    client.create("/app/empty", b"")
    client.set("/app", None)
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        assert cache.get_data("/app/empty").data == client.get("/app/empty")[0]
        assert cache.get_data("/app").data == client.get("/app")[0]


def test_starts_and_closes_once(client: KazooClient) -> None:
    cache = TreeCache(client, "/app")
    cache.close()
    cache.start()
    with pytest.raises(KazooException, match="already started"):
        cache.start()
    cache.close()
    cache.close()
    with pytest.raises(KazooException, match="already closed"):
        cache.start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "mode must be one of auto, recursive, classic, not 'fast'"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"window": -1}, "window must be at least 1, not -1"),
        ({"max_depth": -1}, "max_depth must be at least 0, not -1"),
        ({"max_nodes_per_second": 0}, "max_nodes_per_second must be above 0, not 0"),
        ({"max_reply_bytes": 0}, "max_reply_bytes must be from 1048576 to 2147483647, not 0"),
        ({"max_reply_bytes": 2**31}, "max_reply_bytes must be from 1048576 to 2147483647, not 2147483648"),
    ],
)
def test_bad_arguments(client: KazooClient, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TreeCache(client, "/app", **options)


def test_relative_path_is_refused(client: KazooClient) -> None:
    with pytest.raises(ValueError, match="relative"):
        TreeCache(client, "/app/../b")


def test_start_creates_the_root_before_it_returns(client: KazooClient) -> None:
    with TreeCache(client, "/new/root"):
        assert client.exists("/new/root")


def test_start_raises_when_the_root_cannot_be_created(client: KazooClient) -> None:
    client.create("/locked", acl=[make_digest_acl("other", "secret", all=True)])
    cache = TreeCache(client, "/locked/root")
    with pytest.raises(NoAuthError):
        cache.start()
    cache.close()


def test_root_is_created_later_when_the_client_connects_later(zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts)
    with TreeCache(client, "/new/root") as cache:
        client.start()
        eventually(lambda: cache.get_data("/new/root") is not None)
    client.stop()
    client.close()


def test_refusal_of_a_later_root_goes_to_fault_listeners(client: KazooClient, zookeeper: ZooKeeper) -> None:
    client.create("/locked", acl=[make_digest_acl("other", "secret", all=True)])
    late = KazooClient(zookeeper.hosts)
    faults: list[Exception] = []
    cache = TreeCache(late, "/locked/root")
    cache.listen_fault(faults.append)
    with cache:
        late.start()
        eventually(lambda: [type(fault) for fault in faults] == [NoAuthError])
        assert cache.stats().faults["root"] == 1
    late.stop()
    late.close()


def test_without_create_root_nothing_is_written(client: KazooClient) -> None:
    events: list[TreeEvent] = []
    cache = TreeCache(client, "/app", create_root=False)
    cache.listen(events.append)
    with cache:
        assert cache.wait_initialized(10)
        assert len(cache) == 0
        assert cache.get_data("/app") is None
        assert not client.exists("/app")
        for _ in range(2):
            client.create("/app", b"1")
            client.create("/app/x", b"2")
            eventually(lambda: list(cache) == ["/app", "/app/x"])
            client.delete("/app", recursive=True)
            eventually(lambda: len(cache) == 0)
    kinds = [event.event_type for event in events]
    round_ = [TreeEvent.NODE_ADDED, TreeEvent.NODE_ADDED, TreeEvent.NODE_REMOVED, TreeEvent.NODE_REMOVED]
    assert kinds == [TreeEvent.INITIALIZED, *round_, *round_]


def test_listeners_hear_everything_in_order(client: KazooClient) -> None:
    client.create("/app", b"root")
    cache = TreeCache(client, "/app")
    events: list[TreeEvent] = []

    @cache.listen
    def listener(event: TreeEvent) -> None:
        events.append(event)

    with cache:
        assert cache.wait_initialized(10)
        client.create("/app/x", b"1")
        eventually(lambda: len(events) == 3)
        client.set("/app/x", b"2")
        eventually(lambda: len(events) == 4)
        client.delete("/app/x")
        eventually(lambda: len(events) == 5)
    told = [(event.event_type, event.event_data and event.event_data[:2]) for event in events]
    assert told == [
        (TreeEvent.NODE_ADDED, ("/app", b"root")),
        (TreeEvent.INITIALIZED, None),
        (TreeEvent.NODE_ADDED, ("/app/x", b"1")),
        (TreeEvent.NODE_UPDATED, ("/app/x", b"2")),
        (TreeEvent.NODE_REMOVED, ("/app/x", b"2")),
    ]


def test_failing_listener_is_a_fault_and_stops_nothing(client: KazooClient) -> None:
    cache = TreeCache(client, "/app")
    faults: list[Exception] = []
    events: list[TreeEvent] = []

    def broken(event: TreeEvent) -> None:
        raise RuntimeError("broken")

    cache.listen(broken)
    cache.listen(events.append)
    assert cache.listen_fault(faults.append) == faults.append
    with cache:
        eventually(lambda: len(events) == len(faults) == 2)
        assert cache.stats().faults["listener"] == 2
    assert {str(fault) for fault in faults} == {"broken"}


def test_slow_listener_delays_events_but_not_the_cache(cache: TreeCache, client: KazooClient) -> None:
    go_on = threading.Event()
    cache.listen(lambda event: go_on.wait(10))
    for number in range(5):
        client.create(f"/app/{number}")
    eventually(lambda: len(cache) == 8)
    assert cache.stats().undelivered_events > 0
    go_on.set()
    eventually(lambda: cache.stats().undelivered_events == 0)


def test_listener_may_close_the_cache(client: KazooClient) -> None:
    cache = TreeCache(client, "/app")
    closed = threading.Event()

    def close(event: TreeEvent) -> None:
        cache.close()
        closed.set()

    cache.listen(close)
    cache.start()
    assert closed.wait(10)


def test_unreadable_nodes(client: KazooClient) -> None:
    client.create("/app")
    client.create("/app/open", b"1")
    client.create("/app/secret", b"2", acl=[make_digest_acl("other", "secret", all=True)])
    faults: list[Exception] = []
    cache = TreeCache(client, "/app")
    cache.listen_fault(faults.append)
    with cache:
        assert cache.wait_initialized(10)
        assert list(cache) == ["/app", "/app/open"]
        assert cache.get_children("/app") == frozenset({"open", "secret"})
        assert cache.get_data("/app/secret", "hidden") == "hidden"
        assert cache.stats().unreadable_nodes == cache.stats().faults["no_auth"] == 1
        eventually(lambda: [type(fault) for fault in faults] == [NoAuthError])


def test_readable_by_credentials_added_before_a_change(client: KazooClient) -> None:
    acl = [make_digest_acl("user", "secret", all=True)]
    client.create("/app")
    client.create("/app/secret", b"2", acl=acl)
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        client.add_auth("digest", "user:secret")
        client.set_acls("/app/secret", OPEN_ACL_UNSAFE)
        client.set("/app/secret", b"3")
        eventually(lambda: cache.get_data("/app/secret") is not None)
        assert cache.stats().unreadable_nodes == 0


def test_close_leaves_nothing_behind(client: KazooClient, zookeeper: ZooKeeper) -> None:
    client.ensure_path("/app/a")
    threads = set(threading.enumerate())
    with TreeCache(client, "/warm") as warm:
        assert warm.wait_initialized(10)
    eventually(lambda: set(threading.enumerate()) <= threads)
    cache = TreeCache(client, "/app")
    cache.start()
    assert cache.wait_initialized(10)
    assert watched_paths(zookeeper) == [zookeeper.root + "/app"]
    cache.close()
    eventually(lambda: watched_paths(zookeeper) == [])
    eventually(lambda: set(threading.enumerate()) <= threads)
    assert len(cache) == 0
    assert cache.get_data("/app") is None
    assert not cache.initialized


def test_close_leaves_others_untouched(client: KazooClient, zookeeper: ZooKeeper) -> None:
    client.create("/app")
    fired: list[str] = []
    first, second = TreeCache(client, "/app"), TreeCache(client, "/app")
    first.start()
    second.start()
    assert first.wait_initialized(10)
    assert second.wait_initialized(10)
    client.get_children("/app", watch=lambda event: fired.append(event.path))
    first.close()
    client.create("/app/x")
    eventually(lambda: "/app/x" in second and fired == ["/app"])
    second.close()
    eventually(lambda: watched_paths(zookeeper, "/app") == [])


def test_close_keeps_the_one_shot_watches_on_its_root(client: KazooClient) -> None:
    client.create("/app")
    fired: list[str] = []
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        client.get_children("/app", watch=lambda event: fired.append(event.path))
    client.create("/app/x")
    eventually(lambda: fired == ["/app"])


def test_stats(cache: TreeCache, client: KazooClient) -> None:
    client.create("/app/e", b"12345", ephemeral=True)
    eventually(lambda: len(cache) == 4)
    stats = cache.stats()
    assert (stats.path, stats.mode, stats.initialized) == ("/app", "recursive", True)
    assert stats.nodes == {"persistent": 3, "ephemeral": 1}
    assert stats.data_bytes == len(b"data") + len(b"12345")
    eventually(lambda: cache.stats().outstanding_operations == cache.stats().pending_paths == 0)
    assert stats.events == {
        "node_added": 4,
        "node_updated": 0,
        "node_removed": 0,
        "connection_suspended": 0,
        "connection_reconnected": 0,
        "connection_lost": 0,
        "initialized": 1,
    }
    assert stats.syncs == {"start": 1, "reconnect": 0, "session_lost": 0, "audit": 0}
    assert set(stats.faults.values()) == {0}


def test_without_data(client: KazooClient) -> None:
    client.create("/app", b"secret")
    with TreeCache(client, "/app", keep_data=False) as cache:
        assert cache.wait_initialized(10)
        assert cache.get_data("/app").data is None
        assert cache.get_data("/app").stat == client.exists("/app")
        assert cache.stats().data_bytes == 6


def test_defect_of_the_engine_is_a_fault_and_the_cache_recovers(
    cache: TreeCache, client: KazooClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[Exception] = []
    cache.listen_fault(faults.append)
    receive = cache._replica.receive
    failures = iter([RuntimeError("a defect")])

    def receive_or_fail(*message: Any) -> None:
        for failure in failures:
            raise failure
        receive(*message)

    monkeypatch.setattr(cache._replica, "receive", receive_or_fail)
    client.create("/app/n")
    eventually(lambda: cache.get_data("/app/n") is not None)
    assert [str(fault) for fault in faults] == ["a defect"]
    assert "tree cache /app failed: RuntimeError: a defect; restarting in 0.1 s" in caplog.text


def test_client_may_start_after_the_cache_and_stop_before_it(zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts)
    cache = TreeCache(client, "/", create_root=False)
    events: list[int] = []
    cache.listen(lambda event: events.append(event.event_type))
    cache.start()
    assert not cache.wait_initialized(0.01)
    for _ in range(2):
        client.start()
        assert cache.wait_initialized(10)
        client.stop()
        eventually(lambda: not cache.initialized)
    client.close()
    cache.close()
    assert events == [
        TreeEvent.NODE_ADDED,
        TreeEvent.INITIALIZED,
        TreeEvent.CONNECTION_LOST,
        TreeEvent.CONNECTION_RECONNECTED,
        TreeEvent.INITIALIZED,
        TreeEvent.CONNECTION_LOST,
    ]


def test_many_caches_on_one_client(client_factory: ClientFactory) -> None:
    client = client_factory()
    client.ensure_path("/app/a/b")
    caches = [TreeCache(client, path) for path in ("/", "/app", "/app", "/app/a")]
    for cache in caches:
        cache.start()
    assert all(cache.wait_initialized(10) for cache in caches)
    client.create("/app/a/b/c")
    eventually(lambda: all("/app/a/b/c" in cache for cache in caches))
    for cache in caches:
        cache.close()
