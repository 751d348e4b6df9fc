"""Several caches and other recipes on one client, even on the same paths: none loses an event."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

from exporter import TreeCache
from tests.conftest import ZooKeeper
from tests.support import eventually


class Recipes:
    """A DataWatch and a ChildrenWatch on one path, and what they last received."""

    def __init__(self, client: KazooClient, path: str) -> None:
        self.data: Any = None
        self.children: Any = None
        DataWatch(client, path, self._on_data)
        ChildrenWatch(client, path, self._on_children)

    def _on_data(self, data: Any, _stat: Any) -> None:
        self.data = data

    def _on_children(self, children: list[str]) -> None:
        self.children = sorted(children)


def loaded(client: KazooClient, path: str = "/app", mode: str = "auto") -> TreeCache:
    """A started, initialized cache."""
    cache = TreeCache(client, path, mode=mode)
    cache.start()
    assert cache.wait_initialized(10)
    return cache


def change_until_seen(client: KazooClient, path: str, seers: list[Callable[[bytes, list[str]], bool]]) -> None:
    """Changes the data, the children and a grandchild of a znode several times; all must see each change."""
    names = list(client.get_children(path))
    for number in range(4):
        data = b"%d" % number
        client.set(path, data)
        client.create(f"{path}/n{number}")
        names.append(f"n{number}")
        client.create(f"{path}/n{number}/below", data)
        eventually(lambda data=data: all(see(data, sorted(names)) for see in seers))  # type: ignore[misc]


def seen_by_recipes(recipes: Recipes) -> Callable[[bytes, list[str]], bool]:
    return lambda data, names: (recipes.data, recipes.children) == (data, names)


def seen_by_cache(cache: TreeCache, path: str = "/app") -> Callable[[bytes, list[str]], bool]:
    def seen(data: bytes, names: list[str]) -> bool:
        below = f"{path}/n{data.decode()}/below"
        node = cache.get_data(path)
        return node is not None and node.data == data and sorted(cache.get_children(path)) == names and below in cache

    return seen


@pytest.fixture
def app(client: KazooClient) -> str:
    """The path of a znode to watch."""
    client.create("/app", b"first")
    return "/app"


def test_recipes_on_the_root_of_a_cache_set_after_it(client: KazooClient, app: str) -> None:
    cache = loaded(client)
    recipes = Recipes(client, app)
    change_until_seen(client, app, [seen_by_cache(cache), seen_by_recipes(recipes)])
    cache.close()


def test_recipes_on_the_root_of_a_cache_set_before_it(client: KazooClient, app: str) -> None:
    recipes = Recipes(client, app)
    cache = loaded(client)
    change_until_seen(client, app, [seen_by_cache(cache), seen_by_recipes(recipes)])
    cache.close()


def test_recipes_outlive_the_cache_on_their_path(client: KazooClient, app: str) -> None:
    before = Recipes(client, app)
    cache = loaded(client)
    after = Recipes(client, app)
    cache.close()
    change_until_seen(client, app, [seen_by_recipes(before), seen_by_recipes(after)])


def test_recipes_set_while_a_cache_closes(client: KazooClient, app: str) -> None:
    for _ in range(20):
        cache = loaded(client)
        heard = threading.Event()
        setting = client.get_children_async(app, watch=lambda _event, heard=heard: heard.set())
        cache.close()
        setting.get(10)
        client.create("/app/x")
        assert heard.wait(10)
        client.delete("/app/x")


def test_deletion_and_return_of_the_root_reach_everybody(client: KazooClient, app: str) -> None:
    cache = loaded(client)
    heard: list[Any] = []
    DataWatch(client, app, lambda data, stat: heard.append(data))
    client.delete(app)
    eventually(lambda: heard == [b"first", None] and len(cache) == 0)
    client.create(app, b"back")
    eventually(lambda: heard == [b"first", None, b"back"] and len(cache) == 1)
    client.set(app, b"again")
    eventually(lambda: heard[-1] == b"again" and cache.get_data(app).data == b"again")
    cache.close()


def test_a_lock_below_a_cache(client: KazooClient, app: str) -> None:
    cache = loaded(client)
    locks = [client.Lock("/app/lock") for _ in range(5)]
    held: list[int] = []

    def work(number: int) -> None:
        with locks[number]:
            held.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(locks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(held) == list(range(len(locks)))
    eventually(lambda: cache.get_children("/app/lock") == frozenset())
    cache.close()


@pytest.mark.parametrize("roots", [("/app", "/app"), ("/app", "/app/in"), ("/", "/app"), ("/app", "/app/in", "/")])
def test_closing_one_cache_blinds_no_other(client: KazooClient, app: str, roots: tuple[str, ...]) -> None:
    client.create("/app/in")
    for order in itertools.permutations(range(len(roots))):
        caches = {number: loaded(client, roots[number]) for number in range(len(roots))}
        for number in order:
            create_and_delete(client, f"/app/in/{number}", list(caches.values()))
            caches.pop(number).close()


@pytest.mark.parametrize("modes", list(itertools.permutations(["classic", "recursive"])))
def test_both_strategies_on_one_root(client: KazooClient, app: str, modes: tuple[str, str]) -> None:
    for first_to_close in (0, 1):
        caches = [loaded(client, mode=mode) for mode in modes]
        change_until_seen(client, app, [seen_by_cache(cache) for cache in caches])
        caches.pop(first_to_close).close()
        client.delete("/app/n0", recursive=True)
        for number in range(1, 4):
            client.delete(f"/app/n{number}", recursive=True)
        change_until_seen(client, app, [seen_by_cache(caches[0])])
        assert caches[0].get_data(app).stat.numChildren == 4
        caches[0].close()
        for number in range(4):
            client.delete(f"/app/n{number}", recursive=True)


def create_and_delete(client: KazooClient, path: str, caches: list[TreeCache]) -> None:
    """Creates and deletes a znode; every cache must see both."""
    client.create(path)
    eventually(lambda: all(path in cache for cache in caches))
    client.delete(path)
    eventually(lambda: not any(path in cache for cache in caches))


def test_one_watch_on_the_server_for_caches_of_one_root(client: KazooClient, zookeeper: ZooKeeper, app: str) -> None:
    caches = [loaded(client) for _ in range(3)]

    def watched() -> bool:
        return zookeeper.root + "/app" in zookeeper.server.four_letter_word(b"wchp").splitlines()

    assert watched()
    for cache in caches[:-1]:
        cache.close()
    client.create("/app/x")
    eventually(lambda: "/app/x" in caches[-1])
    assert watched()
    caches[-1].close()
    eventually(lambda: not watched())
