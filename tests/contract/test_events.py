"""The events of a program while its client is connected: which, with which data, in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient

from exporter import TreeEvent
from tests.conftest import ClientFactory
from tests.contract.conftest import Make, Program, Run, Soon
from tests.support import eventually

ADDED, UPDATED, REMOVED = TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED
INITIALIZED = TreeEvent.INITIALIZED


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """What a slow listener waits for; set at the test's end at the latest."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


def hold_up(program: Program, go_on: threading.Event, change: Callable[[], object]) -> None:
    """Makes a listener wait for `go_on`, and it is called for a change."""
    held_up = threading.Event()

    def wait(event: TreeEvent) -> None:
        held_up.set()
        go_on.wait(30)

    program.cache.listen(wait)
    change()
    assert held_up.wait(10)


def tell_watches(client: KazooClient) -> None:
    """Waits until the client has told every watch of the changes so far: it tells them in order, one at a time."""
    told = threading.Event()
    client.exists("/last", watch=lambda event: told.set())
    client.create("/last")
    assert told.wait(30)
    client.delete("/last")


def test_a_load_adds_parents_before_children_and_ends_with_initialized(run: Run, client: KazooClient) -> None:
    client.create("/app", b"root")
    for path in ("/app/a", "/app/b", "/app/b/c"):
        client.create(path, path.encode())
    program = run()
    told = program.told()
    assert told[0] == (ADDED, "/app")
    assert told[-1] == (INITIALIZED, None)
    assert sorted(told) == sorted([(ADDED, path) for path in ("/app", "/app/a", "/app/b", "/app/b/c")] + told[-1:])
    assert told.index((ADDED, "/app/b")) < told.index((ADDED, "/app/b/c"))
    assert program.events[0].event_data.data == b"root"
    assert program.events[0].event_data.stat == client.exists("/app")


def test_an_empty_root_is_added_and_initialized(run: Run) -> None:
    assert run().told() == [(ADDED, "/app"), (INITIALIZED, None)]


def test_changes_are_told_one_after_another(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run()
    expected = program.told()
    changes: list[tuple[Callable[[], object], tuple[int, str]]] = [
        (lambda: client.create("/app/a", b"1"), (ADDED, "/app/a")),
        (lambda: client.set("/app/a", b"2"), (UPDATED, "/app/a")),
        (lambda: client.create("/app/a/b", ephemeral=True), (ADDED, "/app/a/b")),
        (lambda: client.set("/app", b"3"), (UPDATED, "/app")),
        (lambda: client.delete("/app/a/b"), (REMOVED, "/app/a/b")),
        (lambda: client.delete("/app/a"), (REMOVED, "/app/a")),
    ]
    for change, told in changes:
        change()
        expected.append(told)
        soon(lambda: program.told() == expected)


def test_an_update_carries_the_new_data_and_a_removal_the_last(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app")
    client.create("/app/a", b"1")
    program = run()
    stat = client.set("/app/a", b"2")
    soon(lambda: program.kinds("/app/a") == [ADDED, UPDATED])
    client.delete("/app/a")
    soon(lambda: program.kinds("/app/a") == [ADDED, UPDATED, REMOVED])
    updated, removed = (event.event_data for event in program.events[-2:])
    assert updated == ("/app/a", b"2", stat)
    assert removed == ("/app/a", b"2", stat)


def test_an_event_is_told_when_the_cache_holds_it(make: Make, client: KazooClient, soon: Soon) -> None:
    program = Program(make())
    held: list[tuple[str, bytes | None]] = []

    def compare(event: TreeEvent) -> None:
        if event.event_type in (ADDED, UPDATED):
            held.append((event.event_data.path, program.data(event.event_data.path)))

    program.cache.listen(compare)
    program.cache.start()
    soon(lambda: INITIALIZED in program.kinds())
    client.create("/app/a", b"1")
    soon(lambda: held[1:] == [("/app/a", b"1")])
    client.set("/app/a", b"2")
    soon(lambda: held[2:] == [("/app/a", b"2")])


def test_removals_come_children_before_parents(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a/b/c")
    program = run()
    transaction = client.transaction()
    for path in ("/app/a/b/c", "/app/a/b", "/app/a"):
        transaction.delete(path)
    transaction.commit()
    soon(lambda: program.kinds().count(REMOVED) == 3)
    assert program.told()[-3:] == [(REMOVED, path) for path in ("/app/a/b/c", "/app/a/b", "/app/a")]


def test_a_node_created_again_is_removed_and_added(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run()
    client.delete("/app/a")
    client.create("/app/a", b"again")
    soon(lambda: program.kinds("/app/a") == [ADDED, REMOVED, ADDED])
    assert program.data("/app/a") == b"again"


def test_a_node_changed_and_created_again_at_once_is_removed_and_added(
    run: Run, client: KazooClient, soon: Soon
) -> None:
    client.ensure_path("/app/a")
    program = run()
    transaction = client.transaction()
    transaction.set_data("/app/a", b"last words")
    transaction.delete("/app/a")
    transaction.create("/app/a", b"again")
    transaction.commit()
    client.create("/app/after")
    soon(lambda: program.kinds("/app/after") == [ADDED] and program.data("/app/a") == b"again")
    assert program.kinds("/app/a") == [ADDED, REMOVED, ADDED]


def test_the_root_may_go_and_come_back(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run()
    for _ in range(2):
        del program.events[:]
        client.delete("/app", recursive=True)
        soon(lambda: program.told() == [(REMOVED, "/app/a"), (REMOVED, "/app")])
        client.ensure_path("/app/a")
        soon(lambda: program.told()[2:] == [(ADDED, "/app"), (ADDED, "/app/a")])


def test_the_last_of_many_changes_is_what_the_cache_holds(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run()
    writes = [client.set_async("/app/a", b"%d" % number) for number in range(500)]
    writes += [client.create_async(f"/app/a/{number}") for number in range(200)]
    writes += [client.delete_async(f"/app/a/{number}") for number in range(0, 200, 2)]
    for write in writes:
        write.get(10)
    soon(lambda: program.data("/app/a") == b"499")
    soon(lambda: program.cache.get_children("/app/a") == frozenset(map(str, range(1, 200, 2))))
    soon(lambda: sum(map(program.kinds().count, (ADDED, REMOVED))) % 2 == 0)


def test_an_update_and_then_a_removal_end_in_the_removal(
    run: Run, client: KazooClient, soon: Soon, go_on: threading.Event
) -> None:
    client.ensure_path("/app/a")
    program = run()
    hold_up(program, go_on, lambda: client.create("/app/first"))
    client.set("/app/a", b"new")
    # So a cache that reads the znode again reads it before it is deleted.
    tell_watches(client)
    client.delete("/app/a")
    tell_watches(client)
    go_on.set()
    client.create("/app/after")
    soon(lambda: program.kinds("/app/after") == [ADDED])
    assert program.kinds("/app/a") in ([ADDED, REMOVED], [ADDED, UPDATED, REMOVED])
    assert program.cache.get_children("/app") == frozenset({"first", "after"})


def test_a_slow_listener_does_not_hold_up_the_tree(
    run: Run, client: KazooClient, soon: Soon, go_on: threading.Event
) -> None:
    program = run()
    hold_up(program, go_on, lambda: client.create("/app/a", b"1"))
    client.set("/app/a", b"2")
    client.create("/app/b", b"3")
    soon(lambda: (program.data("/app/a"), program.data("/app/b")) == (b"2", b"3"))


def test_parents_stat_is_true(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run()
    client.create("/app/a/b")
    soon(lambda: program.kinds("/app/a/b") == [ADDED])
    soon(lambda: program.cache.get_data("/app/a").stat == client.exists("/app/a"))
    client.delete("/app/a/b")
    soon(lambda: program.cache.get_data("/app/a").stat == client.exists("/app/a"))


def test_an_error_of_a_listener_goes_to_fault_listeners_and_stops_nothing(
    run: Run, client: KazooClient, soon: Soon
) -> None:
    program = run()
    error = RuntimeError("raised by a listener")

    def broken(event: TreeEvent) -> None:
        raise error

    after: list[TreeEvent] = []
    program.cache.listen(broken)
    program.cache.listen(after.append)
    client.create("/app/a")
    client.create("/app/b")
    soon(lambda: [event.event_data.path for event in after] == ["/app/a", "/app/b"])
    soon(lambda: program.faults == [error, error])


def test_an_error_of_a_fault_listener_stops_nothing(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run()

    def broken(_: object) -> None:
        raise RuntimeError("raised by a listener")

    program.cache.listen(broken)
    program.cache.listen_fault(broken)
    client.create("/app/a")
    client.create("/app/b")
    soon(lambda: program.kinds("/app/b") == [ADDED] and len(program.faults) == 2)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_a_listener_raises_stops_nothing(
    run: Run, client: KazooClient, soon: Soon, error: type[BaseException]
) -> None:
    program = run()

    def broken(event: TreeEvent) -> None:
        raise error

    after: list[TreeEvent] = []
    program.cache.listen(broken)
    program.cache.listen(after.append)
    client.create("/app/a")
    client.create("/app/b")
    soon(lambda: [event.event_data.path for event in after] == ["/app/a", "/app/b"])
    soon(lambda: [type(fault) for fault in program.faults] == [error, error])


def test_close_within_a_listener(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run()
    closed = threading.Event()

    def close(event: TreeEvent) -> None:
        program.cache.close()
        closed.set()

    program.cache.listen(close)
    client.create("/app/a")
    assert closed.wait(10)


def test_close_silences(run: Run, client: KazooClient, client_factory: ClientFactory, soon: Soon) -> None:
    program, other = run(), run("/app", client_factory())
    program.cache.close()
    del program.events[:]
    client.create("/app/a")
    client.set("/app", b"new")
    soon(lambda: other.kinds("/app/a") == [ADDED] and other.kinds("/app") == [ADDED, UPDATED])
    client.get("/app")
    assert program.told() == []


def test_a_cache_that_is_not_closed_ends_its_threads_with_its_client(
    run: Run, client_factory: ClientFactory, soon: Soon
) -> None:
    before = set(threading.enumerate())
    client = client_factory()
    run("/app", client)
    client.stop()
    client.close()
    soon(lambda: set(threading.enumerate()) <= before)


def test_close_keeps_the_watches_of_others(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/a")
    program = run()
    fired: list[str] = []
    client.get("/app/a", watch=lambda event: fired.append(event.path))
    client.get_children("/app", watch=lambda event: fired.append(event.path))
    program.cache.close()
    client.set("/app/a", b"new")
    client.create("/app/b")
    soon(lambda: sorted(fired) == ["/app", "/app/a"])


def test_close_ends_its_threads(run: Run, client: KazooClient) -> None:
    before = set(threading.enumerate())
    program = run()
    assert set(threading.enumerate()) > before
    program.cache.close()
    eventually(lambda: set(threading.enumerate()) <= before)


def test_caches_of_overlapping_roots_do_not_mind_each_other(run: Run, client: KazooClient, soon: Soon) -> None:
    client.ensure_path("/app/in")
    programs = [run(path) for path in ("/app", "/app/in", "/app", "/")]
    for number in range(len(programs)):
        client.create(f"/app/in/{number}", b"1")
        soon(lambda path=f"/app/in/{number}": all(p.kinds(path) == [ADDED] for p in programs))  # type: ignore[misc]
        client.set(f"/app/in/{number}", b"2")
        soon(lambda path=f"/app/in/{number}": all(p.kinds(path) == [ADDED, UPDATED] for p in programs))  # type: ignore[misc]
        programs.pop().cache.close()


def test_a_late_listener_hears_only_what_comes_after(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run()
    late: list[TreeEvent] = []
    program.cache.listen(late.append)
    client.create("/app/a")
    soon(lambda: [event.event_data.path for event in late] == ["/app/a"])
