"""The events of a program whose client loses its connection or session, and the contents of its cache afterwards."""

from __future__ import annotations

import threading

import pytest
from kazoo.client import KazooClient

from exporter import TreeEvent
from tests.conftest import ZooKeeper
from tests.contract.conftest import Make, Program, Run, Soon, shut
from tests.faults.proxy import Proxy
from tests.support import expire

ADDED, UPDATED, REMOVED = TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED
SUSPENDED, RECONNECTED = TreeEvent.CONNECTION_SUSPENDED, TreeEvent.CONNECTION_RECONNECTED
LOST, INITIALIZED = TreeEvent.CONNECTION_LOST, TreeEvent.INITIALIZED

#: Deeper than Python's stack, by far less than the longest path.
DEPTH = 1_050


def leave(program: Program, proxy: Proxy, soon: Soon) -> None:
    """Cuts the connection, and forgets the events up to the program's notice of it."""
    shut(proxy)
    soon(lambda: SUSPENDED in program.kinds())
    del program.events[:]


def test_the_first_connection_is_no_reconnection(run: Run) -> None:
    assert RECONNECTED not in run().kinds()


def test_an_interruption_without_changes(run: Run, away: KazooClient, proxy: Proxy, soon: Soon) -> None:
    away.ensure_path("/app/a/b")
    program = run("/app", away)
    del program.events[:]
    shut(proxy)
    soon(lambda: program.kinds() == [SUSPENDED])
    assert program.data("/app/a/b") == b""
    proxy.heal()
    soon(lambda: program.kinds() == [SUSPENDED, RECONNECTED])
    away.create("/app/after")
    soon(lambda: program.kinds("/app/after") == [ADDED])
    assert program.kinds() == [SUSPENDED, RECONNECTED, ADDED]


def test_differences_come_after_the_reconnection(
    run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon
) -> None:
    for path in ("/app/changed", "/app/gone/below", "/app/same"):
        client.ensure_path(path)
    program = run("/app", away)
    leave(program, proxy, soon)
    client.set("/app/changed", b"new")
    client.delete("/app/gone", recursive=True)
    client.ensure_path("/app/new/below")
    proxy.heal()
    soon(lambda: len(program.events) >= 6)
    told = program.told()
    assert told[0] == (RECONNECTED, None)
    assert sorted(told[1:]) == [
        (ADDED, "/app/new"),
        (ADDED, "/app/new/below"),
        (UPDATED, "/app/changed"),
        (REMOVED, "/app/gone"),
        (REMOVED, "/app/gone/below"),
    ]
    assert told.index((ADDED, "/app/new")) < told.index((ADDED, "/app/new/below"))
    assert told.index((REMOVED, "/app/gone/below")) < told.index((REMOVED, "/app/gone"))
    assert program.data("/app/changed") == b"new"


def test_a_node_created_again_meanwhile_is_removed_and_added(
    run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon
) -> None:
    client.ensure_path("/app/a")
    program = run("/app", away)
    leave(program, proxy, soon)
    client.delete("/app/a")
    client.create("/app/a", b"again")
    proxy.heal()
    soon(lambda: program.data("/app/a") == b"again")
    soon(lambda: program.kinds("/app/a") == [REMOVED, ADDED])


def test_a_root_deleted_meanwhile(run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run("/app", away)
    leave(program, proxy, soon)
    client.delete("/app", recursive=True)
    proxy.heal()
    soon(lambda: program.told() == [(RECONNECTED, None), (REMOVED, "/app/a"), (REMOVED, "/app")])
    client.create("/app", b"back")
    soon(lambda: program.told()[3:] == [(ADDED, "/app")])


def test_changes_are_told_after_many_interruptions(
    run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon
) -> None:
    client.ensure_path("/app/a")
    program = run("/app", away)
    for number in range(5):
        leave(program, proxy, soon)
        client.set("/app/a", b"%d" % number)
        proxy.heal()
        soon(lambda: program.told() == [(RECONNECTED, None), (UPDATED, "/app/a")])
    client.create("/app/after")
    soon(lambda: program.kinds("/app/after") == [ADDED])


# For kazoo's it is a race, which it loses in most runs.
@pytest.mark.parametrize("implementation", ["recursive", "classic"], indirect=True)
def test_an_interruption_while_loading_does_not_make_it_initialized(
    make: Make, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon
) -> None:
    client.ensure_path("/app" + "/d" * 40)
    program = Program(make("/app", away))
    known: list[int] = []

    def listen(event: TreeEvent) -> None:
        if event.event_type == ADDED and event.event_data.path == "/app":
            shut(proxy)
        elif event.event_type == INITIALIZED:
            known.append(program.kinds().count(ADDED))

    program.cache.listen(listen)
    # Each level takes a fifth of a second, so the lowest is still to come when the root's event arrives.
    proxy.delay = 0.1
    program.cache.start()
    soon(lambda: SUSPENDED in program.kinds())
    proxy.heal()
    soon(lambda: known)
    assert known == [41]


def test_a_lost_session(run: Run, client: KazooClient, away: KazooClient, zookeeper: ZooKeeper, soon: Soon) -> None:
    client.create("/app")
    away.create("/app/ephemeral", ephemeral=True)
    client.create("/app/stays")
    program = run("/app", away)
    del program.events[:]
    expire(away.client_id, zookeeper.hosts)
    soon(lambda: INITIALIZED in program.kinds())
    assert program.told() == [
        (SUSPENDED, None),
        (LOST, None),
        (RECONNECTED, None),
        (REMOVED, "/app/ephemeral"),
        (INITIALIZED, None),
    ]
    client.set("/app/stays", b"new")
    soon(lambda: program.told()[5:] == [(UPDATED, "/app/stays")])


def test_is_initialized_is_false_without_a_session(
    make: Make, away: KazooClient, zookeeper: ZooKeeper, soon: Soon
) -> None:
    program = Program(make("/app", away))
    program.cache.start()
    soon(lambda: INITIALIZED in program.kinds())
    lost = threading.Event()

    def listen(event: TreeEvent) -> None:
        if event.event_type == LOST:
            lost.set()

    program.cache.listen(listen)
    away.stop()
    assert lost.wait(10)
    assert not program.cache._is_initialized


def test_a_tree_deeper_than_pythons_stack(
    run: Run, client: KazooClient, away: KazooClient, proxy: Proxy, soon: Soon
) -> None:
    deepest = "/app" + "/d" * DEPTH
    parts = deepest.split("/")[1:]
    for creation in [client.create_async("/" + "/".join(parts[: end + 1])) for end in range(len(parts))]:
        creation.get(10)
    program = run("/app", away)
    leave(program, proxy, soon)
    client.set(deepest, b"new")
    proxy.heal()
    soon(lambda: program.data(deepest) == b"new")
    assert program.faults == []
