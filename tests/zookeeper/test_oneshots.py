"""The one-shot watches of a classic cache are counted as the server counts them."""

from __future__ import annotations

from kazoo.client import KazooClient
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED
from exporter.zookeeper.oneshots import OneShotWatches
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import NO_AUTH, NO_NODE, OK, Exists, GetChildren, GetData, RemoveWatches
from tests.conftest import connected
from tests.support import eventually, expire


def test_each_rule_of_the_server() -> None:
    watches = OneShotWatches()

    def held() -> tuple[int, int]:
        return watches.data, watches.children

    unwatched = GetData("", "/c", watch=False)
    for request, error in ((GetData("", "/a"), NO_AUTH), (GetData("", "/a"), NO_NODE), (unwatched, OK)):
        watches.answered(request, error)
    assert held() == (0, 0)
    watches.answered(Exists("/a"), NO_NODE)
    watches.fired(CREATED, "/a")
    assert held() == (0, 0)
    for _ in range(2):
        watches.answered(GetData("", "/a"), OK)
        watches.answered(GetChildren("", "/a"), OK)
    assert held() == (1, 1)
    watches.fired(CHANGED, "/elsewhere")
    watches.fired(CHILD, "/a")
    assert held() == (1, 0)
    watches.answered(GetChildren("", "/a"), OK)
    watches.fired(DELETED, "/a")
    watches.fired(DELETED, "/a")
    assert held() == (0, 0)
    watches.answered(GetData("", "/b"), OK)
    watches.answered(RemoveWatches("/b"), NO_NODE)
    assert held() == (1, 0)
    watches.answered(RemoveWatches("/b"), OK)
    assert held() == (0, 0)
    watches.answered(GetData("", "/b"), OK)
    watches.clear()
    assert held() == (0, 0)


def test_a_classic_cache_holds_what_the_server_counts(own_zookeeper: ZooKeeperServer) -> None:
    with connected(own_zookeeper.hosts) as admin, connected(own_zookeeper.hosts) as client:
        session = Session.attach(client)

        def agree(least: int = 0) -> bool:
            told = session.stats().watches
            counted = int(own_zookeeper.mntr()["zk_watch_count"])
            assert (told["data"] + told["child"], told["recursive"]) == (counted, 0)
            return counted >= least

        for number in range(40):
            admin.create(f"/app/n{number}/leaf", b"data", makepath=True)
        with TreeCache(client, "/app", mode="classic") as cache:
            assert cache.wait_initialized(30)
            eventually(lambda: agree(2 * 81))
            assert session.stats().watches == {"data": 81, "child": 81, "recursive": 0}
            for number in range(20):
                admin.set(f"/app/n{number}", b"new")
                admin.delete(f"/app/n{number}/leaf")
                admin.create(f"/app/n{number}/other")
            admin.delete("/app/n30", recursive=True)
            eventually(lambda: "/app/n19/other" in cache and "/app/n30" not in cache)
            eventually(agree)
            expire(client.client_id, own_zookeeper.hosts)
            eventually(lambda: agree(2 * 79))
        # A watch that is no longer needed stays on the server until it fires.
        eventually(lambda: agree(2 * 79))
        admin.delete("/app", recursive=True)
        eventually(lambda: session.stats().watches["data"] + session.stats().watches["child"] == 0)
        assert agree()


def test_those_of_the_applications_own_recipes_are_counted_as_before(client: KazooClient) -> None:
    client.create("/app")
    session = Session.attach(client)
    DataWatch(client, "/app", lambda *_: None)
    ChildrenWatch(client, "/app", lambda *_: None)
    assert session.stats().watches == {"data": 1, "child": 1, "recursive": 0}
