"""What a program calls: the names, their arguments, what they return and what they raise."""

from __future__ import annotations

import threading
from typing import Any

import kazoo.recipe.cache
import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoAuthError
from kazoo.security import make_digest_acl

import exporter
from exporter import TreeEvent
from tests.conftest import ZooKeeper
from tests.contract.conftest import Make, Program, Run, Soon


@pytest.fixture(params=[exporter, kazoo.recipe.cache], ids=["exporter", "kazoo"])
def module(request: pytest.FixtureRequest) -> Any:
    """What a program imports its names from."""
    return request.param


def test_event_types_are_numbers(module: Any) -> None:
    names = (
        "NODE_ADDED NODE_UPDATED NODE_REMOVED CONNECTION_SUSPENDED CONNECTION_RECONNECTED CONNECTION_LOST INITIALIZED"
    )
    assert [getattr(module.TreeEvent, name) for name in names.split()] == list(range(7))


def test_events_are_pairs_and_nodes_are_triples(module: Any) -> None:
    node = module.NodeData.make("/app", b"data", "stat")
    assert (node.path, node.data, node.stat) == tuple(node) == ("/app", b"data", "stat")
    event = module.TreeEvent.make(module.TreeEvent.NODE_ADDED, node)
    assert (event.event_type, event.event_data) == tuple(event) == (0, node)


def test_states_of_a_cache_have_their_names(module: Any) -> None:
    states = (module.TreeCache.STATE_LATENT, module.TreeCache.STATE_STARTED, module.TreeCache.STATE_CLOSED)
    assert states == (0, 1, 2)


def test_start_creates_the_root(make: Make, client: KazooClient) -> None:
    make("/new/root").start()
    assert client.exists("/new/root")


def test_start_raises_when_the_root_cannot_be_created(make: Make, client: KazooClient) -> None:
    client.create("/locked", acl=[make_digest_acl("other", "secret", all=True)])
    with pytest.raises(NoAuthError):
        make("/locked/root").start()


def test_second_start_raises(make: Make) -> None:
    cache = make()
    cache.start()
    with pytest.raises(KazooException, match="already started"):
        cache.start()


def test_start_after_close_raises(make: Make) -> None:
    cache = make()
    cache.start()
    cache.close()
    with pytest.raises(KazooException, match="already closed"):
        cache.start()


def test_close_may_be_called_at_any_time_and_again(make: Make) -> None:
    cache = make()
    cache.close()
    cache.start()
    cache.close()
    cache.close()


def test_a_cache_may_start_before_its_client(make: Make, zookeeper: ZooKeeper, soon: Soon) -> None:
    client = KazooClient(zookeeper.hosts)
    cache = make("/app", client)
    started: list[Any] = []

    def start() -> None:
        try:
            started.append(cache.start())
        except KazooException as error:
            started.append(error)

    threading.Thread(target=start, daemon=True).start()
    try:
        soon(lambda: started == [None])
        client.start()
        soon(lambda: cache.get_data("/app") is not None)
    finally:
        client.stop()
        client.close()


def test_is_initialized_can_be_polled(make: Make, soon: Soon) -> None:
    cache = make()
    assert not cache._is_initialized
    cache.start()
    soon(lambda: cache._is_initialized)
    assert cache.get_data("/app") is not None


def test_listen_and_listen_fault_are_decorators(make: Make, soon: Soon) -> None:
    cache = make()
    events: list[Any] = []
    faults: list[Exception] = []

    @cache.listen  # type: ignore[untyped-decorator]
    def listener(event: Any) -> None:
        events.append(event)
        raise RuntimeError("raised by a listener")

    @cache.listen_fault  # type: ignore[untyped-decorator]
    def fault_listener(error: Exception) -> None:
        faults.append(error)

    assert callable(listener)
    assert callable(fault_listener)
    cache.start()
    soon(lambda: len(events) == len(faults) == 2)


def test_get_data(run: Run, client: KazooClient) -> None:
    client.ensure_path("/app/a")
    client.create("/app/a/b", b"data")
    cache = run().cache
    data, stat = client.get("/app/a/b")
    node = cache.get_data("/app/a/b")
    assert tuple(node) == (node.path, node.data, node.stat) == ("/app/a/b", data, stat)


def test_get_children(run: Run, client: KazooClient) -> None:
    client.ensure_path("/app/a/b")
    cache = run().cache
    assert cache.get_children("/app") == frozenset({"a"})
    assert cache.get_children("/app/a/b") == frozenset()
    assert isinstance(cache.get_children("/app"), frozenset)


def test_default_for_a_node_that_is_not_there(run: Run) -> None:
    cache = run().cache
    assert cache.get_data("/app/none") is None
    assert cache.get_children("/app/none") is None
    assert cache.get_data("/app/none", "default") == "default"
    assert cache.get_children("/app/none", default="default") == "default"


def test_default_for_a_root_that_is_gone(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run()
    client.delete("/app")
    soon(lambda: TreeEvent.NODE_REMOVED in program.kinds())
    assert program.cache.get_data("/app", "default") == "default"
    assert program.cache.get_children("/app", "default") == "default"


def test_default_after_close(run: Run) -> None:
    cache = run().cache
    cache.close()
    assert cache.get_data("/app", "default") == "default"


def test_default_for_a_node_that_may_not_be_read(run: Run, client: KazooClient) -> None:
    client.create("/app")
    client.create("/app/secret", b"", acl=[make_digest_acl("other", "secret", all=True)])
    cache = run().cache
    assert cache.get_children("/app") == frozenset({"secret"})
    assert cache.get_data("/app/secret", "default") == "default"


def test_a_node_that_may_not_be_read_is_a_fault(run: Run, client: KazooClient, soon: Soon) -> None:
    client.create("/app")
    client.create("/app/secret", b"", acl=[make_digest_acl("other", "secret", all=True)])
    program = run()
    soon(lambda: {type(fault) for fault in program.faults} == {NoAuthError})


@pytest.mark.parametrize("path", ["/", "/elsewhere", "/ap", "app", ""])
def test_paths_outside_of_the_tree_raise(run: Run, path: str) -> None:
    cache = run().cache
    with pytest.raises(ValueError, match="outside of "):
        cache.get_data(path)
    with pytest.raises(ValueError, match="outside of "):
        cache.get_children(path)


def test_a_path_that_only_begins_like_the_root_raises(run: Run, client: KazooClient) -> None:
    client.ensure_path("/app/b")
    cache = run().cache
    with pytest.raises(ValueError, match="outside of "):
        cache.get_data("/appb")
    with pytest.raises(ValueError, match="outside of "):
        cache.get_children("/app-other")


def test_a_root_with_a_slash_at_its_end(run: Run, client: KazooClient) -> None:
    client.create("/app", b"root")
    client.create("/app/a", b"child")
    program = run("/app/")
    assert program.cache.get_children("/app/") == frozenset({"a"})
    assert program.data("/app/") == b"root"
    assert program.data("/app/a") == b"child"
    assert (TreeEvent.NODE_ADDED, "/app/a") in program.told()


def test_reading_the_cache_within_a_listener(make: Make, client: KazooClient, soon: Soon) -> None:
    client.create("/app", b"1")
    program = Program(make())
    seen: list[bytes | None] = []
    program.cache.listen(lambda event: seen.append(program.data("/app")))
    program.cache.start()
    soon(lambda: len(seen) == 2)
    assert seen == [b"1", b"1"]
