"""Freshness checks and audits at a real server, as users of a cache see them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl

from exporter import TreeCache
from exporter.treecache.tree import Tree
from exporter.zookeeper.session import Session, Sink
from exporter.zookeeper.wire import Check, Request, Sync
from tests.conftest import ClientFactory, ZooKeeper
from tests.support import eventually


@pytest.fixture(params=["recursive", "classic"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each of the two strategies."""
    return str(request.param)


@pytest.fixture(params=["quorum", "sync"])
def barrier(request: pytest.FixtureRequest) -> str:
    """Each of the two barriers."""
    return str(request.param)


def test_a_check_on_demand_covers_what_was_written_before(
    client: KazooClient, client_factory: ClientFactory, mode: str, barrier: str
) -> None:
    writer = client_factory()
    with TreeCache(client, "/app", mode=mode, freshness_barrier=barrier) as cache:
        for number in range(50):
            writer.ensure_path(f"/app/{number}/below")
            written_at = time.time()
            assert cache.verify(10)
            assert cache.get_children(f"/app/{number}") == frozenset({"below"})
            assert written_at <= cache.verified_at <= time.time()
        assert set(cache.stats().verification_failures.values()) == {0}


def test_nothing_is_verified_unless_asked_for(client: KazooClient, zookeeper: ZooKeeper) -> None:
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        newest: list[int] = []

        def stands_still() -> bool:
            client.get("/app")
            newest.append(client.last_zxid)
            return newest[-1] == newest[-2:][0] and len(newest) > 1

        # An inquiry opens and closes a session, each of which takes a zxid.
        eventually(stands_still, interval=0.5)
        assert cache.verified_at == cache.stats().verified_at == 0.0


def test_checks_come_unasked_and_the_first_with_the_load(client: KazooClient) -> None:
    with TreeCache(client, "/app", freshness_interval=0.05) as cache:
        first = eventually(lambda: cache.verified_at, timeout=1)
        eventually(lambda: cache.verified_at > first + 0.1)


def test_caches_of_one_client_share_their_barriers(
    client: KazooClient, barrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Request] = []
    first = TreeCache(client, "/a", freshness_interval=0.2, freshness_barrier=barrier)
    others = [TreeCache(client, f"/{name}", freshness_interval=0.2, freshness_barrier=barrier) for name in "bcd"]
    with first:
        session = Session.attach(client)
        submit = session.submit

        def submit_and_count(request: Request, sink: Sink) -> None:
            if isinstance(request, Check | Sync):
                sent.append(request)
            submit(request, sink)

        monkeypatch.setattr(session, "submit", submit_and_count)
        for cache in others:
            cache.start()
        began, caches = time.monotonic(), [first, *others]
        eventually(lambda: all(cache.verified_at for cache in caches))
        times = [cache.verified_at for cache in caches]
        eventually(lambda: all(c.verified_at > at + 1 for c, at in zip(caches, times, strict=True)), timeout=5)
        for cache in others:
            cache.close()
    # One for each cache after its load, then one per interval for all of them.
    assert len(sent) <= 4 + (time.monotonic() - began) / 0.2 + 1


@pytest.mark.parametrize("path", ["/missing", "/locked", "/"])
def test_any_root_can_be_verified(zookeeper: ZooKeeper, client: KazooClient, path: str) -> None:
    client.create("/locked", acl=[make_digest_acl("other", "secret", all=True)])
    with TreeCache(client, path, create_root=False) as cache:
        assert cache.verify(10)


def test_a_check_changes_nothing(client: KazooClient, client_factory: ClientFactory) -> None:
    client.create("/app", b"data")
    stat = client.get("/app")[1]
    with TreeCache(client_factory(), "/app", create_root=False) as cache:
        assert cache.verify(10)
        assert client.get("/app")[1] == stat


def test_what_cannot_be_verified_in_time_is_not(client: KazooClient, zookeeper: ZooKeeper) -> None:
    latent = TreeCache(client, "/app")
    assert not latent.verify(10)
    with TreeCache(KazooClient(zookeeper.hosts), "/app", create_root=False) as cache:
        assert not cache.verify(0.1)
        assert cache.verified_at == 0.0
    assert not cache.verify(10)


def test_a_caller_that_waits_for_a_check_is_told_when_the_cache_closes(zookeeper: ZooKeeper) -> None:
    cache = TreeCache(KazooClient(zookeeper.hosts), "/app", create_root=False)
    cache.start()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(cache.verify()))
    waiting.start()
    eventually(lambda: cache._verifications)
    cache.close()
    waiting.join(10)
    assert answers == [False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freshness_interval": 0}, "freshness_interval must be above 0, not 0"),
        ({"freshness_timeout": -1}, "freshness_timeout must be above 0, not -1"),
        ({"freshness_barrier": "hope"}, "freshness_barrier must be one of quorum, sync, not 'hope'"),
        ({"audit_interval": 0}, "audit_interval must be above 0, not 0"),
        ({"audit_sample": -1}, "audit_sample must be at least 0, not -1"),
    ],
)
def test_bad_arguments(client: KazooClient, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TreeCache(client, "/app", **options)


# Audits


def lose(cache: TreeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the cache wrong as a bug or a lost watch would, on its own thread and between two audits."""
    replica, take, lost = cache._replica, cache._replica.take, threading.Event()

    def lose_and_take(now: float) -> Any:
        if not replica.audit.is_running and not lost.is_set():
            make_wrong(replica.tree)
            lost.set()
        return take(now)

    monkeypatch.setattr(replica, "take", lose_and_take)
    assert lost.wait(10)


def make_wrong(tree: Tree) -> None:
    """Removes /app/a, adds an /app/x, and makes /app/b old."""
    tree.remove("/a")
    tree.add("/x", tree.find("/b"))  # type: ignore[arg-type]
    old = bytearray(tree.find("/b"))  # type: ignore[arg-type]
    old[-60:-52] = bytes(8)
    tree.replace("/b", bytes(old))


@pytest.mark.parametrize(
    "options",
    [{}, {"audit_sample": 2}, {"keep_data": False}, {"max_depth": 1}, {"max_nodes_per_second": 200}],
    ids=lambda options: next(iter(options), "all"),
)
def test_an_audit_finds_what_is_missing_too_much_and_stale_and_heals_it(
    client: KazooClient, monkeypatch: pytest.MonkeyPatch, mode: str, options: dict[str, Any]
) -> None:
    for path in ("/app/a/below", "/app/b", "/app/c"):
        client.ensure_path(path)
    client.set("/app/b", b"data")
    with TreeCache(client, "/app", mode=mode, audit_interval=0.2, **options) as cache:
        assert cache.wait_initialized(10)
        eventually(lambda: cache.stats().audits >= 3)
        assert set(cache.stats().audit_mismatches.values()) == {0}
        held = list(cache)
        lose(cache, monkeypatch)
        eventually(lambda: cache.stats().syncs["audit"] == 1)
        eventually(lambda: sorted(cache) == sorted(held))
        eventually(lambda: cache.get_data("/app/b").stat == client.exists("/app/b"))
        mismatches, audits = found(cache), cache.stats().audits
        # A sample may not cover all three before everything is read again.
        assert mismatches == {"missing": 1, "extra": 1, "stale": 1} or "audit_sample" in options
        eventually(lambda: cache.stats().audits >= audits + 3)
        assert found(cache) == mismatches
        assert cache.stats().syncs["audit"] == 1


def found(cache: TreeCache) -> dict[str, int]:
    return dict(cache.stats().audit_mismatches)


def test_an_audit_counts_nothing_while_all_changes(
    client: KazooClient, client_factory: ClientFactory, mode: str
) -> None:
    writer, stop = client_factory(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer.ensure_path(f"/app/{number % 7}/below")
            writer.set(f"/app/{number % 7}/below", b"%d" % number)
            writer.delete(f"/app/{(number + 3) % 7}", recursive=True) if number % 3 == 0 and number > 7 else None

    with TreeCache(client, "/app", mode=mode, audit_interval=0.01) as cache:
        writing = threading.Thread(target=write)
        writing.start()
        eventually(lambda: cache.stats().audits >= 50, timeout=20)
        stop.set()
        writing.join(10)
        assert set(found(cache).values()) == {0}
        assert cache.stats().audited_nodes > 50


def test_an_audit_reads_again_what_nothing_reports(client: KazooClient, mode: str) -> None:
    client.ensure_path("/app/a")
    with TreeCache(client, "/app", mode=mode, audit_interval=0.1) as cache:
        assert cache.wait_initialized(10)
        client.set_acls("/app/a", [make_digest_acl("other", "secret", all=True), *client.get_acls("/app")[0]])
        eventually(lambda: cache.get_data("/app/a").stat == client.exists("/app/a"))
        assert set(found(cache).values()) == {0}
