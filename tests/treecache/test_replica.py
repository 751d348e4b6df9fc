"""The replica at a model server: the tests pass every message; no real server, no thread, no clock."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kazoo.exceptions import NoAuthError

from exporter.treecache.events import TreeEvent
from exporter.treecache.strategies import UnsupportedServerError
from exporter.zookeeper.messages import (
    BARRIERS,
    CHANGED,
    Barrier,
    Capable,
    Connected,
    Lost,
    Reply,
    Suspended,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.wire import OK, THROTTLED, AddWatch, GetChildren, GetData, MultiRead, Request, Sync
from tests.simulation.harness import Harness
from tests.simulation.server import SERVER

ADDED = TreeEvent.NODE_ADDED
UPDATED = TreeEvent.NODE_UPDATED
REMOVED = TreeEvent.NODE_REMOVED
SUSPENDED = TreeEvent.CONNECTION_SUSPENDED
RECONNECTED = TreeEvent.CONNECTION_RECONNECTED
LOST = TreeEvent.CONNECTION_LOST
INITIALIZED = TreeEvent.INITIALIZED

#: The answer to a MultiRead of one operation that was throttled: ErrorResult, and the end.
ONE_THROTTLED = struct.pack("!i?iii?i", -1, False, THROTTLED, THROTTLED, -1, True, -1)


@pytest.fixture(params=["recursive", "classic"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """A replica of /app, not yet connected, at a server that has /app/a/b and /app/c; with either strategy."""
    return small_harness(request.param)


@pytest.fixture
def recursive() -> Harness:
    """The same with the recursive strategy."""
    return small_harness("recursive")


def small_harness(mode: str) -> Harness:
    harness = Harness(mode=mode)
    for path in ("/app", "/app/a", "/app/a/b", "/app/c"):
        harness.server.create(path, path.encode())
    return harness


def test_loads_parents_before_children_and_is_initialized_last(harness: Harness) -> None:
    harness.start()
    harness.check()
    published = harness.published()
    assert published[0] == (ADDED, "")
    assert published[-1] == (INITIALIZED, "")
    assert sorted(published[1:-1]) == [(ADDED, "/a"), (ADDED, "/a/b"), (ADDED, "/c")]


def test_nothing_is_sent_between_a_request_that_gets_no_answer_and_the_end_of_its_connection(harness: Harness) -> None:
    harness.start()
    harness.server.set("/app/c", b"new")
    harness.deliver()
    harness.take()
    harness.replica.receive(Unanswered(harness.server.requests.popleft()), harness.now)
    harness.now += 10
    harness.take()
    assert not harness.server.requests
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    harness.check()


def test_sets_the_watch_before_the_first_read(recursive: Harness) -> None:
    recursive.server.connect()
    recursive.deliver()
    recursive.take()
    assert [type(request) for request in recursive.server.requests] == [AddWatch]


@pytest.mark.parametrize("refused", [AddWatch, MultiRead, Sync])
def test_a_request_that_kazoo_fails_to_queue_is_made_again_and_not_at_once(
    recursive: Harness, refused: type[Request]
) -> None:
    if refused is Sync:
        recursive.start()
        recursive.server.disconnect()
    recursive.server.connect()
    while not any(isinstance(request, refused) for request in recursive.server.requests):
        recursive.deliver()
        recursive.take()
        if recursive.server.requests and not isinstance(recursive.server.requests[0], refused):
            recursive.server.execute()
    recursive.server.stream.append(Unanswered(recursive.server.requests.popleft(), connected=True))
    recursive.deliver(len(recursive.server.stream))
    recursive.take()
    assert not recursive.server.requests
    assert recursive.replica.wake_at is not None
    assert recursive.replica.wake_at > recursive.now
    recursive.settle()
    recursive.check()


def test_large_tree_takes_few_requests_within_the_window() -> None:
    harness = Harness(window=3)
    harness.server.create("/app")
    for number in range(5000):
        harness.server.create(f"/app/{number}")
    harness.server.connect()
    sent = 0
    while not harness.replica.initialized:
        harness.deliver(len(harness.server.stream))
        harness.take()
        assert len(harness.server.requests) <= 3
        if harness.server.requests:
            harness.server.execute()
            sent += 1
    harness.settle()
    harness.check()
    assert sent < 20


@pytest.mark.parametrize("children", [0, 1, 200])
def test_a_load_lists_each_znode_with_children_once(children: int) -> None:
    harness = Harness()
    harness.server.create("/app")
    for number in range(children):
        harness.server.create(f"/app/{number}")
    if children:
        harness.server.create("/app/0/below")
    listed: list[str] = []
    answer = harness.server._multi_read

    def note(request: MultiRead) -> bytes:
        listed.extend(request.lists)
        return answer(request)

    harness.server._multi_read = note  # type: ignore[method-assign]
    harness.start()
    assert sorted(listed) == ["", "/0"][: 1 + bool(children)]


def test_a_stream_of_changes_is_gathered_into_few_requests(recursive: Harness) -> None:
    recursive.start()
    server, sent = recursive.server, 0
    for number in range(300):
        for path in ("/app/a", "/app/a/b", "/app/c"):
            server.set(path, b"%d" % number)
        recursive.deliver(len(server.stream))
        recursive.take()
        if server.requests:
            sent += 1
            server.execute()
    assert sent < 100
    recursive.settle()
    recursive.check()


def test_batches_are_bounded_by_operations() -> None:
    harness = Harness(batch_size=10)
    harness.server.create("/app")
    for number in range(100):
        harness.server.create(f"/app/{number}")
    harness.server.connect()
    while not harness.replica.initialized:
        harness.deliver(len(harness.server.stream))
        harness.take()
        assert all(r.operations <= 11 for r in harness.server.requests if isinstance(r, MultiRead))
        if harness.server.requests:
            harness.server.execute()
    harness.settle()
    harness.check()


@pytest.mark.parametrize("root", ["/", "/app", "/app/deep/er"])
def test_any_root(root: str) -> None:
    harness = Harness(root)
    below = "" if root == "/" else root
    path = ""
    for name in root[1:].split("/") if below else ():
        path += "/" + name
        harness.server.create(path)
    harness.server.create(f"{below}/x")
    harness.server.create(f"{below}/x/y")
    harness.server.create("/applied")
    harness.start()
    harness.server.set(f"{below}/x/y", b"new")
    harness.server.set("/applied", b"new")
    harness.settle()
    harness.check()


def test_changes_become_events(harness: Harness) -> None:
    harness.start()
    harness.published()
    harness.server.set("/app/a", b"new")
    harness.settle()
    assert harness.published() == [(UPDATED, "/a")]
    harness.server.create("/app/a/n")
    harness.settle()
    assert harness.published() == [(ADDED, "/a/n")]
    harness.server.delete("/app/c")
    harness.settle()
    assert harness.published() == [(REMOVED, "/c")]
    harness.check()


def test_removed_node_is_told_with_its_last_record(harness: Harness) -> None:
    harness.start()
    record = harness.server.nodes["/app/c"].record
    harness.server.delete("/app/c")
    harness.settle()
    assert harness.log.events[-1] == (REMOVED, "/c", record, record)


def test_a_node_created_again_is_removed_then_added(recursive: Harness) -> None:
    recursive.start()
    recursive.published()
    recursive.server.delete_all("/app/a")
    recursive.server.create("/app/a")
    recursive.server.create("/app/a/b")
    recursive.settle()
    assert recursive.published() == [(REMOVED, "/a/b"), (REMOVED, "/a"), (ADDED, "/a"), (ADDED, "/a/b")]
    recursive.check()


def test_events_for_one_path_coalesce(harness: Harness) -> None:
    harness.start()
    for number in range(1000):
        harness.server.set("/app/c", b"%d" % number)
    harness.deliver(1000)
    assert harness.replica.pending_paths == 1
    harness.settle()
    harness.check()


def test_a_read_sent_before_the_event_does_not_clear_it(harness: Harness) -> None:
    harness.start()
    harness.server.set("/app/c", b"one")
    harness.deliver()
    harness.take()
    # Executed before the second change, answered after its event.
    harness.server.execute()
    reply = harness.server.stream.pop()
    harness.server.set("/app/c", b"two")
    harness.server.stream.append(reply)
    harness.settle()
    harness.check()


def test_older_version_never_replaces_a_newer_one(harness: Harness) -> None:
    harness.start()
    harness.replica.receive(WatchEvent(CHANGED, "/app/c", -1), 0.0)
    harness.take()
    harness.server.execute()
    old = harness.server.stream[-1]
    assert isinstance(old, Reply)
    harness.server.set("/app/c", b"new")
    harness.settle()
    harness.published()
    harness.replica.receive(WatchEvent(CHANGED, "/app/c", -1), 0.0)
    harness.take()
    harness.server.stream.append(old._replace(request=harness.server.requests.popleft()))
    harness.settle()
    assert harness.published() == []
    harness.check()


def test_parents_stat_stays_true(harness: Harness) -> None:
    harness.start()
    harness.server.create("/app/a/n")
    harness.settle()
    assert harness.held()["/app/a"] == harness.server.nodes["/app/a"].record


def test_child_created_between_the_read_and_the_list_of_its_parent_updates_the_parents_stat() -> None:
    harness = small_harness("classic")
    harness.start()
    harness.server.create("/app/a/first")
    harness.deliver()
    harness.take()
    assert [type(request) for request in harness.server.requests] == [GetData, GetChildren]
    harness.server.execute()
    harness.server.create("/app/a/second")
    harness.settle()
    harness.check()


def test_ignores_child_events_of_other_recipes_watches(recursive: Harness) -> None:
    recursive.start()
    recursive.replica.receive(WatchEvent(4, "/app/a", -1), 0.0)
    recursive.take()
    assert not recursive.server.requests


def test_missing_root_is_empty_and_initialized_and_comes_alive(harness: Harness) -> None:
    harness.server.delete_all("/app")
    harness.start()
    assert harness.published() == [(INITIALIZED, "")]
    for _ in range(2):
        harness.server.create("/app")
        harness.server.create("/app/x")
        harness.settle()
        harness.check()
        assert harness.published() == [(ADDED, ""), (ADDED, "/x")]
        harness.server.delete_all("/app")
        harness.settle()
        harness.check()
        assert harness.published() == [(REMOVED, "/x"), (REMOVED, "")]


def test_unreadable_nodes_are_counted_and_do_not_stop_the_rest(recursive: Harness) -> None:
    recursive.server.set_readable("/app/a", False)
    recursive.start()
    assert recursive.held().keys() == {"/app", "/app/c"}
    assert recursive.replica.tree.unreadable == 1
    assert [type(fault) for fault in recursive.faults] == [NoAuthError]
    assert "/app/a may not be read" in str(recursive.faults[0])
    recursive.server.set("/app/a/b", b"reported by an event, although its parent cannot be listed")
    recursive.settle()
    recursive.check()
    assert "/app/a/b" in recursive.held()


def test_unreadable_node_may_become_readable_again(recursive: Harness) -> None:
    recursive.server.set_readable("/app/a", False)
    recursive.start()
    recursive.server.set_readable("/app/a", True)
    recursive.server.set("/app/a", b"now")
    recursive.settle()
    recursive.check()
    assert recursive.replica.tree.unreadable == 0


def test_readable_node_may_become_unreadable(harness: Harness) -> None:
    harness.start()
    harness.published()
    harness.server.set_readable("/app/c", False)
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    harness.check()
    assert harness.published() == [(SUSPENDED, ""), (RECONNECTED, ""), (REMOVED, "/c")]
    assert harness.replica.tree.unreadable == 1


def test_poll_finds_what_became_of_unreadable_znodes(harness: Harness) -> None:
    harness.start()
    assert not harness.replica.poll()
    for path in ("/app/a/b", "/app/c"):
        harness.server.set_readable(path, False)
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    assert harness.replica.tree.unreadable == 2
    harness.published()
    harness.server.set_readable("/app/a/b", True)
    harness.server.delete("/app/c")
    harness.server.stream.clear()
    assert harness.replica.poll()
    harness.settle()
    assert harness.published() == [(ADDED, "/a/b")]
    assert harness.replica.tree.unreadable == 0
    assert not harness.replica.poll()


def test_reconnect_publishes_differences_only(harness: Harness) -> None:
    harness.start()
    harness.published()
    harness.server.disconnect()
    harness.server.set("/app/a/b", b"new")
    harness.server.delete("/app/c")
    harness.server.create("/app/a/n")
    harness.server.connect()
    harness.settle()
    harness.check()
    published = harness.published()
    assert published[:2] == [(SUSPENDED, ""), (RECONNECTED, "")]
    assert sorted(published[2:]) == [(ADDED, "/a/n"), (UPDATED, "/a/b"), (REMOVED, "/c")]


def test_reconnect_waits_for_a_barrier_before_it_reads(recursive: Harness) -> None:
    recursive.start()
    recursive.server.disconnect()
    recursive.server.connect()
    recursive.deliver(9)
    sent = []
    for _ in range(3):
        recursive.take()
        sent += [type(request) for request in recursive.server.requests]
        recursive.server.execute()
        recursive.deliver()
    assert sent == [Sync, AddWatch, MultiRead]


def test_no_barrier_on_a_read_only_server(recursive: Harness) -> None:
    recursive.start()
    recursive.server.disconnect()
    recursive.server.connect(read_only=True)
    recursive.deliver(9)
    recursive.take()
    assert [type(request) for request in recursive.server.requests] == [AddWatch]


def test_reconnect_lists_only_children_that_changed(recursive: Harness) -> None:
    recursive.start()
    recursive.server.disconnect()
    recursive.server.create("/app/a/n")
    recursive.server.connect()
    listed: list[str] = []
    for _ in range(100):
        recursive.deliver(len(recursive.server.stream))
        recursive.take()
        if not recursive.server.requests:
            break
        request = recursive.server.requests[0]
        if isinstance(request, MultiRead):
            listed += request.lists
        recursive.server.execute()
    recursive.check()
    assert listed == ["/a"]


def test_child_created_while_its_parents_stat_already_tells_is_not_lost_by_a_reconnect(harness: Harness) -> None:
    harness.start()
    harness.server.set("/app/a", b"dirty")
    harness.deliver()
    harness.take()
    # The read shows the child's creation in its parent's stat; the event of the creation is lost with the connection.
    harness.server.create("/app/a/n")
    events, harness.server.stream = harness.server.stream, type(harness.server.stream)()
    harness.server.execute()
    harness.deliver()
    assert len(events) == 1
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    harness.check()


def test_lost_session_loads_again_by_difference(harness: Harness) -> None:
    harness.start()
    harness.published()
    harness.server.disconnect(expire=True)
    harness.deliver(9)
    assert not harness.replica.initialized
    harness.server.set("/app/c", b"new")
    harness.server.connect()
    harness.settle()
    harness.check()
    assert harness.published() == [
        (SUSPENDED, ""),
        (LOST, ""),
        (RECONNECTED, ""),
        (UPDATED, "/c"),
        (INITIALIZED, ""),
    ]
    assert harness.replica.syncs == {"start": 1, "reconnect": 0, "session_lost": 1, "audit": 0}


def test_ensemble_that_was_wiped_is_followed(harness: Harness) -> None:
    harness.start()
    harness.server.disconnect(expire=True)
    harness.server.restore(0)
    harness.server.create("/app", b"restored")
    harness.server.connect()
    harness.settle()
    harness.check()


def test_suspended_load_goes_on_and_initializes_once(harness: Harness) -> None:
    harness.server.connect()
    for _ in range(3):
        harness.deliver(9)
        harness.take()
        harness.server.execute()
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    harness.check()
    assert harness.published().count((INITIALIZED, "")) == 1


def test_server_that_knows_no_recursive_watches_is_kept_up_with_classically() -> None:
    harness = small_harness("auto")
    harness.server.knows_recursive = False
    harness.start()
    harness.check()
    assert harness.replica.mode == "classic"
    assert not harness.faults
    harness.server.create("/app/n")
    harness.server.create("/app/n/m")
    harness.server.delete("/app/c")
    harness.settle()
    harness.check()


def test_refusal_that_closes_the_connection_is_remembered() -> None:
    harness = small_harness("auto")
    harness.server.knows_recursive = False
    harness.server.connect()
    harness.deliver()
    harness.take()
    harness.server.execute()
    refusal = harness.server.stream.popleft()
    harness.server.disconnect()
    harness.server.stream.appendleft(refusal)
    harness.server.connect()
    harness.settle()
    harness.check()
    assert harness.replica.mode == "classic"
    assert harness.published().count((INITIALIZED, "")) == 1


def test_bulk_reads_refused_by_a_server_that_knows_recursive_watches() -> None:
    harness = small_harness("auto")
    harness.server.connect()
    harness.deliver()
    harness.take()
    harness.server.execute()
    harness.server.knows_recursive = False
    harness.settle()
    harness.check()
    assert harness.replica.mode == "classic"


@pytest.mark.parametrize("loaded", [True, False])
def test_to_read_all_again_with_another_strategy_is_a_sync(loaded: bool) -> None:
    harness = small_harness("auto")
    if loaded:
        harness.start()
    harness.server.knows_recursive = False
    if loaded:
        harness.server.set("/app/c", b"new")
        harness.settle()
    else:
        harness.start()
    harness.check()
    assert harness.replica.mode == "classic"
    assert harness.replica.syncs == {"start": 1, "reconnect": int(loaded), "session_lost": 0, "audit": 0}


def test_better_server_is_used_better() -> None:
    harness = small_harness("auto")
    harness.server.knows_recursive = False
    harness.start()
    harness.server.disconnect()
    harness.server.knows_recursive = True
    harness.server.connect()
    harness.settle()
    harness.check()
    assert harness.replica.mode == "recursive"


def test_old_server_is_refused_with_the_version_the_recursive_mode_takes() -> None:
    harness = small_harness("recursive")
    harness.server.knows_recursive = False
    harness.start()
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    assert [type(fault) for fault in harness.faults] == [UnsupportedServerError]
    assert f"{SERVER} refuses recursive watches" in str(harness.faults[0])
    assert "ZooKeeper 3.6" in str(harness.faults[0])
    assert not harness.replica.initialized


def test_failed_operation_is_retried_later(harness: Harness) -> None:
    harness.server.connect()
    harness.deliver()
    harness.take()
    harness.server.execute()
    harness.deliver()
    harness.take()
    request = harness.server.requests.popleft()
    harness.server.stream.append(Reply(request, 0, -127, b"", 0))
    harness.deliver()
    harness.take()
    assert not harness.server.requests
    assert harness.replica.wake_at is not None
    assert harness.replica.wake_at > harness.now
    harness.settle()
    harness.check()
    assert len(harness.faults) == 1


def test_the_longer_an_operation_fails_the_less_often_it_is_tried(recursive: Harness) -> None:
    recursive.start()
    recursive.server.set("/app/c", b"new")
    recursive.deliver(len(recursive.server.stream))
    waits = []
    for _ in range(9):
        recursive.now = max(recursive.now, recursive.replica.wake_at or 0.0)
        recursive.take()
        request = recursive.server.requests.popleft()
        recursive.server.stream.append(Reply(request, 0, OK, ONE_THROTTLED, 0))
        recursive.deliver()
        assert recursive.replica.wake_at is not None
        waits.append(recursive.replica.wake_at - recursive.now)
    assert waits[:3] == [pytest.approx(0.05), pytest.approx(0.1), pytest.approx(0.2)]
    assert waits[-1] == pytest.approx(5.0)
    recursive.settle()
    recursive.check()


def test_a_connection_that_is_reported_twice_is_one(harness: Harness) -> None:
    harness.server.connect()
    connected = harness.server.stream[0]
    harness.deliver()
    for _ in range(2):
        harness.take()
        harness.server.execute()
        harness.deliver(len(harness.server.stream))
    harness.take()
    harness.replica.receive(connected, harness.now)
    harness.settle()
    harness.check()
    assert harness.replica.initialized


def test_a_server_that_falls_back_behind_its_own_past_was_restored(recursive: Harness) -> None:
    recursive.start()
    recursive.replica.receive(Barrier(BARRIERS[0], 1.0, 1.0, 500), recursive.now)
    recursive.replica.receive(Barrier(BARRIERS[0], 2.0, 2.0, 500), recursive.now)
    recursive.settle()
    assert recursive.replica.syncs["reconnect"] == 0
    recursive.replica.receive(Barrier(BARRIERS[0], 3.0, 3.0, 499), recursive.now)
    assert recursive.replica.syncs["reconnect"] == 1
    recursive.settle()
    recursive.check()
    verified = recursive.replica.freshness.verified
    assert verified is not None
    assert verified.asked_at < 3.0, "a barrier from before the resync verifies nothing"


def test_reply_that_cannot_be_decoded_is_a_fault_and_read_again(harness: Harness) -> None:
    harness.server.connect()
    harness.deliver()
    harness.take()
    harness.server.execute()
    harness.deliver()
    harness.take()
    request = harness.server.requests.popleft()
    harness.server.stream.append(Reply(request, 0, 0, b"short", 0))
    harness.settle()
    harness.check()
    assert len(harness.faults) == 1


def test_lost_event_heals_when_the_parents_count_tells(harness: Harness) -> None:
    harness.start()
    harness.server.create("/app/a/silent")
    harness.server.stream.clear()
    harness.server.set("/app/a", b"touched")
    harness.settle()
    harness.check()


def test_lost_deletion_heals_when_the_parents_count_tells(harness: Harness) -> None:
    harness.start()
    harness.server.delete("/app/a/b")
    harness.server.stream.clear()
    harness.server.set("/app/a", b"touched")
    harness.settle()
    harness.check()


def test_child_of_a_parent_that_is_not_known_leads_to_the_parent(harness: Harness) -> None:
    harness.start()
    harness.server.create("/app/c/n")
    harness.server.create("/app/c/n/m")
    harness.server.create("/app/c/n/m/o")
    last = harness.server.stream.pop()
    harness.server.stream.clear()
    harness.server.stream.append(last)
    harness.settle()
    harness.check()


def test_children_listed_but_not_yet_read_survive_a_reconnect(recursive: Harness) -> None:
    recursive.server.connect()
    recursive.deliver(9)
    recursive.take()
    while "/app/a" not in recursive.held():
        recursive.server.execute()
        recursive.deliver(9)
        recursive.take()
    request = recursive.server.requests[0]
    assert isinstance(request, MultiRead)
    assert request.lists == ["/a"]
    recursive.server.execute()
    recursive.deliver(9)
    recursive.take()
    request = recursive.server.requests[0]
    assert isinstance(request, MultiRead)
    assert list(request.reads) == ["/a/b"]
    recursive.server.disconnect()
    recursive.server.connect()
    recursive.settle()
    recursive.check()


def test_start_over_reads_everything_again(harness: Harness) -> None:
    harness.start()
    harness.server.set("/app/c", b"missed")
    harness.server.stream.clear()
    harness.replica.start_over(harness.now)
    harness.settle()
    harness.check()


def test_without_data_keeps_stats() -> None:
    harness = Harness(keep_data=False)
    harness.server.create("/app", b"secret")
    harness.start()
    assert harness.held() == {"/app": harness.server.nodes["/app"].record[-68:]}
    assert harness.replica.tree.data_bytes == 6


def test_states_before_the_first_connection_are_no_reconnect(harness: Harness) -> None:
    harness.replica.receive(Connected(SERVER, False), 0.0)
    harness.take()
    assert (RECONNECTED, "") not in harness.published()
    harness.replica.receive(Suspended(), 0.0)
    harness.replica.receive(Lost(), 0.0)
    harness.take()
    assert harness.published() == [(SUSPENDED, ""), (LOST, "")]


@pytest.fixture
def undecided() -> Harness:
    """The same with the strategy that suits the server."""
    return small_harness("auto")


def asked(harness: Harness, message: Capable) -> list[str]:
    """The inquiries of the replica when it connects to an unknown server; the message then answers them."""
    harness.server.connect()
    harness.server.stream[-1] = Connected(SERVER, recursive=None, ask_in=0.0)
    harness.deliver()
    inquiries = harness.replica.take(harness.now).inquiries
    assert not harness.server.requests, "nothing is sent before the strategy is known"
    harness.replica.receive(message, harness.now)
    return inquiries


@pytest.mark.parametrize(("recursive", "mode"), [(True, "recursive"), (False, "classic"), (None, "classic")])
def test_what_the_server_can_do_is_asked_first(undecided: Harness, recursive: bool | None, mode: str) -> None:
    assert asked(undecided, Capable(recursive)) == [SERVER]
    undecided.settle()
    undecided.check()
    assert undecided.replica.mode == mode


def test_a_server_that_could_not_be_asked_is_asked_again_and_then_followed_recursively(undecided: Harness) -> None:
    asked(undecided, Capable(None, ask_in=30.0))
    undecided.settle()
    assert undecided.replica.mode == "classic"
    undecided.now += 30.0
    assert undecided.replica.take(undecided.now).inquiries == [SERVER]
    undecided.server.set("/app/c", b"meanwhile")
    undecided.replica.receive(Capable(True), undecided.now)
    undecided.settle()
    undecided.check()
    assert undecided.replica.mode == "recursive"
    assert [kind for kind, _ in undecided.published()].count(TreeEvent.INITIALIZED) == 1


def test_an_inquiry_that_is_never_answered_is_made_again(undecided: Harness) -> None:
    undecided.replica.receive(Connected(SERVER, recursive=None, ask_in=0.0), 0.0)
    assert undecided.replica.take(0.0).inquiries == [SERVER]
    assert undecided.replica.take(1.0).inquiries == []
    at = undecided.replica.wake_at
    assert at is not None
    assert undecided.replica.take(at).inquiries == [SERVER]


@pytest.mark.parametrize("recursive", [True, None])
def test_who_chose_the_recursive_mode_is_believed(recursive: bool | None) -> None:
    harness = Harness(mode="recursive")
    harness.server.create("/app", b"")
    asked(harness, Capable(recursive))
    harness.settle()
    harness.check()


def test_the_recursive_mode_comes_back_from_a_refusal() -> None:
    harness = Harness(mode="recursive")
    harness.server.create("/app", b"")
    asked(harness, Capable(False))
    harness.settle()
    assert [type(fault) for fault in harness.faults] == [UnsupportedServerError]
    harness.replica.receive(Capable(True), harness.now)
    harness.settle()
    harness.check()


class Chosen:
    """Keeps nothing called c and does not descend into b."""

    def keep(self, path: str) -> bool:
        return not path.endswith("/c")

    def descend(self, path: str) -> bool:
        return not path.endswith("/b")


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_selector_chooses_the_znodes(mode: str) -> None:
    harness = Harness(mode=mode, selector=Chosen())
    for path in ("/app", "/app/a", "/app/a/b", "/app/a/b/x", "/app/c", "/app/c/x"):
        harness.server.create(path)
    harness.start()
    assert harness.held().keys() == {"/app", "/app/a", "/app/a/b"}
    harness.server.create("/app/a/b/y")
    harness.server.create("/app/a/c")
    harness.server.create("/app/n")
    harness.server.set("/app/c", b"new")
    harness.server.delete_all("/app/c")
    harness.settle()
    assert harness.held().keys() == {"/app", "/app/a", "/app/a/b", "/app/n"}
    harness.server.disconnect()
    harness.server.connect()
    harness.settle()
    assert harness.held().keys() == {"/app", "/app/a", "/app/a/b", "/app/n"}
    assert harness.replica.pending_paths == harness.replica.outstanding_operations == 0


@pytest.mark.parametrize("mode", ["recursive", "classic"])
@pytest.mark.parametrize(("depth", "held"), [(0, {"/app"}), (1, {"/app", "/app/a", "/app/c", "/app/n"})])
def test_depth_is_limited(mode: str, depth: int, held: set[str]) -> None:
    harness = Harness(mode=mode, max_depth=depth)
    for path in ("/app", "/app/a", "/app/a/b", "/app/c"):
        harness.server.create(path)
    harness.start()
    harness.server.create("/app/n")
    harness.server.create("/app/n/m")
    harness.settle()
    assert harness.held().keys() == held


def test_selector_that_raises_is_a_fault_and_keeps() -> None:
    class Broken:
        def keep(self, path: str) -> bool:
            raise RuntimeError(path)

        def descend(self, path: str) -> bool:
            return True

    harness = Harness(selector=Broken())
    harness.server.create("/app")
    harness.server.create("/app/a")
    harness.start()
    harness.check()
    assert [str(fault) for fault in harness.faults] == ["/app/a"]


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_rate_of_reads_is_limited(mode: str) -> None:
    harness = Harness(mode=mode, max_nodes_per_second=100)
    harness.server.create("/app")
    for number in range(500):
        harness.server.create(f"/app/{number}")
    harness.start()
    harness.check()
    assert 4.5 <= harness.now <= (6 if mode == "recursive" else 11)


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_load_within_a_rate_limit_takes_no_turns_while_a_znode_cannot_be_read(mode: str) -> None:
    harness = Harness(mode=mode, max_nodes_per_second=100)
    for path in ("/app", "/app/a", "/app/b"):
        harness.server.create(path)
    harness.server.broken["/app/a"] = THROTTLED
    harness.server.connect()
    for _ in range(20):
        harness.take()
        while harness.server.requests:
            harness.server.execute()
        harness.deliver(len(harness.server.stream))
    assert not harness.replica.initialized
    assert harness.time_left > 0.01
    harness.server.broken.clear()
    harness.settle()
    harness.check()


def test_few_requests_are_made_within_a_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(max_nodes_per_second=1_000)
    executed = count_requests(harness, monkeypatch)
    harness.server.create("/app")
    for number in range(1_000):
        harness.server.create(f"/app/{number}")
    harness.start()
    harness.check()
    # Half of what is saved up in a tenth of a second.
    assert sum(executed) <= 1_000 // 50 + 10


def count_requests(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list with a 1 for each request that the server executes from now on."""
    executed: list[int] = []
    original = harness.server.execute

    def execute(**options: bool) -> None:
        executed.append(1)
        original(**options)

    monkeypatch.setattr(harness.server, "execute", execute)
    return executed


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, max_size=3).map(lambda names: "/".join(["/app", *names]))
MODES = st.sampled_from(["recursive", "classic"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["create", "set", "delete", "hide", "show"]), PATHS),
    st.tuples(st.sampled_from(["execute", "take", "drop", "expire"]), st.just("")),
    st.tuples(st.just("deliver"), st.integers(1, 4)),
)


@pytest.mark.long
@given(st.lists(STEPS, max_size=80), st.integers(1, 8), st.integers(1, 3), MODES)
@settings(max_examples=400)
def test_every_schedule_ends_in_the_servers_tree(
    steps: list[tuple[str, object]], batch_size: int, window: int, mode: str
) -> None:
    harness = Harness(batch_size=batch_size, window=window, mode=mode)
    server = harness.server
    server.create("/app")
    server.connect()
    for step, argument in steps:
        path = str(argument)
        if step == "deliver":
            assert isinstance(argument, int)
            harness.deliver(argument)
        elif step == "take":
            harness.take()
        elif step == "execute":
            if server.requests:
                server.execute()
        elif step in ("drop", "expire"):
            server.disconnect(expire=step == "expire")
            server.connect()
        elif step == "create":
            if path not in server.nodes and path.rpartition("/")[0] in server.nodes:
                server.create(path)
        elif path in server.nodes:
            if step == "set":
                server.set(path, b"%d" % server.zxid)
            elif step == "delete":
                server.delete_all(path)
            else:
                server.set_readable(path, step == "show")
    # Only a resync finds changes that no watch reports (ACLs).
    server.disconnect()
    for node in server.nodes.values():
        node.readable = True
    server.connect()
    harness.settle()
    harness.check()


@pytest.mark.parametrize(("mode", "mode_then"), [("auto", "classic"), ("recursive", "recursive")])
def test_a_server_that_reports_the_root_whatever_changes_is_not_believed(mode: str, mode_then: str) -> None:
    harness = small_harness(mode)
    harness.start()
    for number in range(5):
        harness.server.set("/app/a/b", b"%d" % number)
        if harness.replica.mode == "recursive":
            harness.server.lose(0, instead="/app")
        harness.settle()
        harness.check()
    assert harness.replica.mode == mode_then
    assert [type(fault) for fault in harness.faults] == [UnsupportedServerError]
    harness.resync()
    harness.check()
    assert harness.replica.mode == mode_then


def test_changes_of_the_root_itself_are_believed(recursive: Harness) -> None:
    recursive.start()
    for number in range(10):
        recursive.server.set("/app", b"%d" % number)
        if number % 2:
            recursive.settle()
        else:
            recursive.deliver(len(recursive.server.stream))
            recursive.take()
    recursive.settle()
    recursive.check()
    assert recursive.faults == []


def test_a_throttled_barrier_is_sent_again(recursive: Harness) -> None:
    recursive.start()
    recursive.server.disconnect()
    recursive.server.connect()
    recursive.deliver(len(recursive.server.stream))
    recursive.take()
    assert [type(request) for request in recursive.server.requests] == [Sync]
    recursive.server.stream.append(Reply(recursive.server.requests.popleft(), 0, THROTTLED, b"", 0))
    recursive.deliver(len(recursive.server.stream))
    recursive.take()
    assert not recursive.server.requests
    recursive.settle()
    recursive.check()


def test_resyncs_are_spread_over_about_the_time_that_they_take() -> None:
    harness = Harness(jitter=lambda: 0.5)
    harness.server.create("/app")
    for number in range(1000):
        harness.server.create(f"/app/{number}")
    harness.start()
    harness.server.disconnect()
    harness.server.connect()
    harness.deliver(len(harness.server.stream))
    harness.replica.take(harness.now)
    assert harness.replica.wake_at == pytest.approx(harness.now + 0.0005, rel=0.01)
    harness.settle()
    harness.check()


def test_events_of_an_unreadable_root_prove_nothing(recursive: Harness) -> None:
    recursive.server.reports_unreadable = True
    recursive.start()
    recursive.server.set_readable("/app", False)
    recursive.resync()
    recursive.server.set("/app", b"new")
    recursive.settle()
    assert recursive.replica.mode == "recursive"
    assert not any(isinstance(fault, UnsupportedServerError) for fault in recursive.faults)
