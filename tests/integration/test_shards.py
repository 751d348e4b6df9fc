"""Shards with a real server: disjoint shares that make up the tree, and watches only on a shard's own znodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from exporter.treecache import Shard
from exporter.zookeeper.kazoo.seam import adapt
from tests.conftest import ClientFactory, ZooKeeper
from tests.integration.processes import running_exporter
from tests.support import eventually, walk, wipe

ROOT = "/app"


def shares(cache: TreeCache) -> set[str]:
    """The znodes that a cache holds below the root."""
    return set(cache) - {ROOT}


def watched(server: ZooKeeperServer, client: KazooClient) -> set[str]:
    """The paths, with the chroot, on which a client's session has watches, from the server."""
    session, path = f"0x{client.client_id[0]:x}", ""
    found: set[str] = set()
    for line in server.four_letter_word(b"wchp").splitlines():
        if line.startswith("/"):
            path = line
        elif line.strip() == session:
            found.add(path)
    return found


@contextlib.contextmanager
def sharded(client_factory: ClientFactory, total: int) -> Iterator[Mapping[TreeCache, KazooClient]]:
    """A cache for each shard, on its own client, loaded."""
    with contextlib.ExitStack() as caches:
        clients = [client_factory() for _ in range(total)]
        found = {
            caches.enter_context(TreeCache(client, ROOT, shard=Shard(ordinal, total))): client
            for ordinal, client in enumerate(clients)
        }
        assert all(cache.wait_initialized(10) for cache in found)
        yield found


def churn(client: KazooClient, random: Random, changes: int) -> None:
    """Creates and deletes first-level children, some of them deep, and changes what is below them."""
    for _ in range(changes):
        child = f"{ROOT}/c{random.randrange(24)}"
        if client.exists(child) is None:
            client.ensure_path(child + random.choice(("", "/a", "/a/b/c")))
        elif random.random() < 0.4:
            wipe(client, child)
        elif random.random() < 0.5:
            client.set(child, b"%d" % random.randrange(100))
        else:
            client.ensure_path(f"{child}/n{random.randrange(3)}/leaf")


def check_shares(zookeeper: ZooKeeper, client: KazooClient, caches: Mapping[TreeCache, KazooClient]) -> None:
    """The shares are disjoint and make up the server's tree; each shard watches the root and its own children."""
    assert all(cache.verify(10) for cache in caches)
    there = walk(client, ROOT)
    held = [shares(cache) for cache in caches]
    assert set().union(*held) == there.keys() - {ROOT}
    assert sum(map(len, held)) == len(there) - 1
    assert {cache.get_children(ROOT) for cache in caches} == {frozenset(client.get_children(ROOT))}
    for cache, own in caches.items():
        stats = {path: cache.get_data(path).stat for path in cache}
        assert stats == {path: there[path] for path in stats}
        children = {path for path in shares(cache) if path.count("/") == 2}
        eventually(
            lambda own=own, children=children: (
                watched(zookeeper.server, own)
                == {  # type: ignore[misc]
                    zookeeper.root + path for path in (ROOT, *children)
                }
            )
        )


@pytest.mark.parametrize("total", [1, 2, 5])
def test_shares_are_disjoint_and_make_up_the_tree_under_churn(
    zookeeper: ZooKeeper, client_factory: ClientFactory, client: KazooClient, total: int
) -> None:
    random = Random(total)
    client.create(ROOT)
    churn(client, random, 60)
    with sharded(client_factory, total) as caches:
        for _ in range(3):
            churn(client, random, 120)
            check_shares(zookeeper, client, caches)
        wipe(client, ROOT)
        check_gone(client, caches)
        client.create(ROOT)
        churn(client, random, 40)
        check_shares(zookeeper, client, caches)


def check_gone(client: KazooClient, caches: Mapping[TreeCache, KazooClient]) -> None:
    assert client.exists(ROOT) is None
    assert all(cache.verify(10) for cache in caches)
    assert not any(map(len, caches))


def test_a_shard_is_read_anew_after_a_reconnect(
    zookeeper: ZooKeeper, client_factory: ClientFactory, client: KazooClient
) -> None:
    client.create(ROOT)
    churn(client, Random(1), 60)
    with sharded(client_factory, 2) as caches:
        for cache, own in caches.items():
            syncs = cache.stats().syncs["reconnect"]
            adapt(own).hang_up()
            churn(client, Random(2), 40)
            eventually(lambda cache=cache, syncs=syncs: cache.stats().syncs["reconnect"] > syncs)  # type: ignore[misc]
        check_shares(zookeeper, client, caches)


def test_closing_a_shard_leaves_the_watches_of_another_on_the_same_session(
    zookeeper: ZooKeeper, client_factory: ClientFactory, client: KazooClient
) -> None:
    client.create(ROOT)
    for number in range(8):
        client.create(f"{ROOT}/{number}")
    shared = client_factory()
    with TreeCache(shared, ROOT, shard=Shard(0, 2), name="stays") as stays:
        with TreeCache(shared, ROOT, shard=Shard(0, 2), name="goes") as goes:
            assert goes.wait_initialized(10)
            assert stays.wait_initialized(10)
        own = sorted(shares(stays))
        assert own
        for path in own:
            client.create(f"{path}/late")
        eventually(lambda: shares(stays) == {*own, *(f"{path}/late" for path in own)})
        stays.close()
        eventually(lambda: watched(zookeeper.server, shared) <= {zookeeper.root + ROOT})


def test_exporters_share_a_tree(zookeeper: ZooKeeper, client: KazooClient, tmp_path: Path) -> None:
    for number in range(16):
        client.ensure_path(f"{ROOT}/{number}/leaf")
    folders = [tmp_path / "0", tmp_path / "1"]
    with contextlib.ExitStack() as stack:
        exporters = []
        for ordinal, folder in enumerate(folders):
            folder.mkdir()
            flags = ("--shard.total=2", f"--shard.ordinal={ordinal}")
            exporters.append(stack.enter_context(running_exporter(folder, zookeeper.hosts, ROOT, flags=flags)))
        for ordinal, exporter in enumerate(exporters):
            exporter.wait_ready()
            assert exporter.metric("treecache_exporter_shard_ordinal") == ordinal
            assert exporter.metric("treecache_exporter_shards") == 2
            assert exporter.metric("zookeeper_cache_nodes") < 33
        # Both shards hold the root.
        assert sum(exporter.metric("zookeeper_cache_nodes") for exporter in exporters) == 34
