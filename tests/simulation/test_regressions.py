"""Defects that the simulation found, made small: in each the replica was wrong, stuck or wasteful."""

from __future__ import annotations

import pytest

from exporter.treecache.events import TreeEvent
from exporter.zookeeper.messages import CREATED
from exporter.zookeeper.wire import MARSHALLING_ERROR, THROTTLED, Exists, GetChildren, GetData, MultiRead, ReadRequest
from tests.simulation.harness import Harness
from tests.simulation.plan import Options, Plan
from tests.simulation.schedule import run

INITIALIZED = (TreeEvent.INITIALIZED, "")


@pytest.fixture(params=["recursive", "classic"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """A replica of /app, with either strategy, at a server that has /app/a/b and /app/c."""
    return loaded(request.param)


@pytest.fixture
def recursive() -> Harness:
    return loaded("recursive")


@pytest.fixture
def classic() -> Harness:
    return loaded("classic")


def loaded(mode: str) -> Harness:
    harness = Harness(mode=mode)
    for path in ("/app", "/app/a", "/app/a/b", "/app/c"):
        harness.server.create(path, path.encode())
    harness.start()
    return harness


def fail_next(harness: Harness, kind: type[ReadRequest], mishap: int | str, path: str = "") -> None:
    """Lets everything happen until a request of this kind (and path) is next, and makes it fail."""
    server = harness.server
    for _ in range(100):
        harness.deliver(len(server.stream))
        harness.take()
        request = server.requests[0] if server.requests else None
        if isinstance(request, kind) and (not path or path in request.reads):
            break
        if request is not None:
            server.execute()
    assert isinstance(request, kind)
    server.mishaps.append(mishap)
    harness.settle()


def test_event_while_the_watch_is_set_again_does_not_keep_a_load_from_its_end(recursive: Harness) -> None:
    recursive.server.disconnect(expire=True)
    recursive.server.connect()
    recursive.server.stray(CREATED, "/app/new")
    recursive.settle()
    recursive.check()
    assert recursive.published().count(INITIALIZED) == 2


def test_unreadable_znode_is_counted_and_reported_once(harness: Harness) -> None:
    harness.server.set_readable("/app/c", False)
    for _ in range(3):
        harness.resync()
        harness.check()
    assert harness.replica.tree.unreadable == 1
    assert len(harness.faults) == 1


def test_record_that_is_cut_short_is_read_again(classic: Harness) -> None:
    classic.server.create("/app/n")
    fail_next(classic, GetData, "garble", "/n")
    classic.check()
    assert len(classic.faults) == 1


def test_list_that_failed_is_asked_for_again_since_it_is_also_the_watch(classic: Harness) -> None:
    classic.server.create("/app/a/short")
    classic.server.delete("/app/a/short")
    fail_next(classic, GetChildren, THROTTLED)
    classic.server.create("/app/a/later")
    classic.settle()
    classic.check()


def test_watch_for_a_missing_root_that_failed_is_asked_for_again() -> None:
    harness = Harness(mode="classic")
    harness.server.connect()
    fail_next(harness, Exists, THROTTLED)
    harness.server.create("/app")
    harness.settle()
    harness.check()


def test_failed_barrier_does_not_tell_that_the_server_knows_no_recursive_watches(recursive: Harness) -> None:
    recursive.server.disconnect()
    recursive.server.connect()
    recursive.server.mishaps.append(MARSHALLING_ERROR)
    recursive.settle()
    recursive.check()


def test_initialized_waits_for_what_an_event_led_to_first() -> None:
    harness = Harness(batch_size=2)
    for path in ("/app", "/app/c", "/app/c/a", "/app/c/a/b"):
        harness.server.create(path)
    harness.server.connect()
    harness.deliver()
    harness.take()
    harness.server.execute()
    harness.server.delete("/app/c/a/b")
    harness.settle()
    assert harness.published()[-1] == INITIALIZED


def test_znode_that_lost_its_last_child_is_small_again(harness: Harness) -> None:
    harness.server.delete("/app/a/b")
    harness.settle()
    assert isinstance(harness.replica.tree.find("/a"), bytes)


def test_wiped_ensemble_that_counts_the_same_zxids_again_is_another(harness: Harness) -> None:
    harness.server.disconnect(expire=True)
    harness.server.restore(0)
    for path in ("/app", "/app/a", "/app/a/other", "/app/c"):
        harness.server.create(path, b"other")
    harness.server.connect()
    harness.settle()
    harness.check()


def test_parent_at_the_greatest_depth_stays_true() -> None:
    harness = Harness(max_depth=0)
    harness.server.create("/app")
    harness.start()
    harness.server.create("/app/below")
    harness.settle()
    harness.check()


def test_bulk_read_refused_in_the_middle_of_a_load_sets_one_shot_watches_on_what_was_read() -> None:
    harness = Harness(mode="auto")
    harness.server.one_mode_a_path = True
    harness.server.create("/app")
    harness.server.create("/app/a")
    harness.start()
    harness.server.set("/app", b"new")
    fail_next(harness, MultiRead, MARSHALLING_ERROR)
    assert harness.replica.mode == "classic"
    harness.server.set("/app/a", b"new")
    harness.server.create("/app/b")
    harness.settle()
    harness.check()


def test_readable_znode_in_place_of_an_unreadable_one_is_read(classic: Harness) -> None:
    classic.server.set_readable("/app/c", False)
    classic.resync()
    classic.server.delete("/app/c")
    classic.server.create("/app/c")
    classic.settle()
    classic.check()


def test_deleted_unreadable_znode_that_a_poll_finds_changes_its_parents_stat(recursive: Harness) -> None:
    recursive.server.set_readable("/app/c", False)
    recursive.resync()
    recursive.server.delete("/app/c")
    recursive.replica.poll()
    recursive.settle()
    recursive.check()


def test_unreadable_znode_that_only_its_child_led_to_changes_its_parents_stat(recursive: Harness) -> None:
    recursive.server.create("/app/n")
    recursive.server.lose(0)
    recursive.server.create("/app/n/m")
    recursive.server.set_readable("/app/n", False)
    recursive.settle()
    recursive.check()


def test_ensemble_restored_to_when_a_deleted_child_was_listed_brings_the_child_back(harness: Harness) -> None:
    length = len(harness.server.history)
    harness.server.delete("/app/c")
    harness.settle()
    harness.server.disconnect()
    harness.server.restore(length)
    harness.server.connect()
    harness.settle()
    harness.check()


def test_lost_deletion_heals_although_a_creation_makes_up_for_it_in_the_parents_count(recursive: Harness) -> None:
    recursive.server.delete("/app/a/b")
    recursive.server.lose(0)
    recursive.server.create("/app/a/n")
    recursive.settle()
    recursive.check_told()
    assert "/app/a/b" not in recursive.held()


def test_lost_creation_heals_in_the_parents_stat_once_the_child_changes(recursive: Harness) -> None:
    recursive.server.create("/app/a/n")
    recursive.server.lose(0)
    recursive.server.set("/app/a/n", b"new")
    recursive.settle()
    recursive.check()


def test_znode_that_becomes_readable_again_is_listed_although_a_selector_may_leave_out_children() -> None:
    steps = [("create_root", 0, 0), ("hide", 1, 0), ("settle", 0, 0), ("create_deep", 0, 0), ("create_again", 1, 1)]
    run(Plan(Options(mode="classic", selects=True), steps))


def test_lost_creation_of_the_root_heals_once_a_descendant_is_reported_without_bulk_reads() -> None:
    steps = [("turn", 0, 0), ("delete_root", 0, 0), ("fail", 3, 0), *[("turn", 0, 0)] * 3, ("lose", 7, 1)]
    run(Plan(Options(mode="auto"), steps))


def test_lost_creations_during_a_load_heal_in_the_stats_of_the_parents() -> None:
    steps = [("deliver", 0, 0), ("take", 0, 0), ("execute", 0, 0), ("create_again", 0, 2), ("turn", 0, 0)]
    run(Plan(Options(), [*steps, ("lose", 5941, 1), ("delay", 0, 0), ("create_again", 29788, 0)]))


def test_audit_waits_for_a_list_that_brings_back_what_was_read_too_early() -> None:
    steps = [("create_again", 0, 2), ("turn", 0, 0), ("turn", 0, 0), ("tick", 3, 0), ("take", 0, 0)]
    run(Plan(Options(batch_size=3, audit_interval=30.0, begins="loaded"), steps))


def test_check_waits_for_the_children_of_an_old_znode_that_a_later_event_led_to() -> None:
    turns = [("turn", 1, 0), ("turn", 2, 0), ("turn", 2, 0), ("barrier", 0, 0), ("turn", 1, 0), ("turn", 1840, 0)]
    steps = [("set", 39, 0), ("delete_root", 0, 0), ("create_root", 109, 0), *turns, ("turn", 137, 0)]
    run(Plan(Options(mode="classic", begins="loaded"), [*steps, ("set", 32678, 0)]))


@pytest.mark.parametrize("mode", ["auto", "recursive"])
def test_a_server_that_lags_is_not_read_before_a_barrier_when_it_turns_out_to_know_more(mode: str) -> None:
    begin = [("set", 24, 1), ("settle", 0, 0), ("cut", 0, 0), ("connect", 3, 3), ("inform", 0, 0)]
    run(Plan(Options(mode=mode, begins="loaded", hesitation=81), [*begin, *[("turn", 0, 0)] * 4]))


def test_a_resync_finds_a_missing_child_of_a_znode_that_is_as_it_was() -> None:
    steps = [("poison", 2, 0), ("cut", 0, 0), ("change_server", 1, 0)]
    run(Plan(Options(audit_interval=30.0, begins="loaded"), steps))
