"""Audits at a model server: what they find, how much they look at, and what they count as skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from exporter.treecache.findings import MismatchError
from exporter.treecache.reading import AUDITED, SINGLE_AUDITED
from exporter.treecache.shard import Shard
from exporter.treecache.tree import record_of
from exporter.treecache.walk import Walk
from exporter.zookeeper.wire import THROTTLED, MultiRead, ReadRequest, ReadResult
from tests.simulation.harness import Harness
from tests.simulation.schedule import poisoned

_INTERVAL = 30.0


@pytest.fixture(params=["recursive", "classic"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(
    mode: str = "recursive", parents: int = 3, children: int = 4, interval: float = _INTERVAL, **options: Any
) -> Harness:
    """A replica of a tree of 1 + parents * (1 + children) znodes, audited every half minute."""
    harness = Harness(mode=mode, audit_interval=interval, **options)
    harness.server.create("/app")
    for parent in range(parents):
        harness.server.create(f"/app/{parent}", b"parent")
        for child in range(children):
            harness.server.create(f"/app/{parent}/{child}", b"child")
    harness.start()
    return harness


def audited(harness: Harness, count: int = 1) -> None:
    """Waits for this many audits to end."""
    audit = harness.replica.audit
    end = audit.completed + count
    while audit.completed < end:
        harness.now = max(harness.now, audit.due_at or harness.now)
        harness.settle()
    harness.settle()


def found(harness: Harness) -> int:
    return sum(harness.replica.audit.comparison.findings.mismatches.values())


@pytest.mark.parametrize("back", [1, 7, 14])
def test_a_restore_under_a_living_connection_is_found_and_healed(mode: str, back: int) -> None:
    harness = made(mode)
    for number in range(7):
        harness.server.set("/app/1/2", b"%d" % number)
        harness.server.set(f"/app/{number % 3}", b"%d" % number)
    harness.settle()
    harness.server.swap(len(harness.server.history) - back)
    audited(harness, 2)
    assert found(harness) > 0
    assert harness.replica.syncs["audit"] == 1
    harness.check()
    # Its watches are set again.
    harness.server.set("/app/1/2", b"reported")
    harness.settle()
    harness.check()


def test_a_restore_to_other_children_is_found_although_every_parent_differs_in_what_is_never_told(mode: str) -> None:
    harness = made(mode)
    length = len(harness.server.history)
    for parent in range(3):
        harness.server.delete(f"/app/{parent}/0")
        harness.server.create(f"/app/{parent}/new")
    harness.settle()
    harness.server.swap(length)
    audited(harness)
    assert harness.replica.audit.comparison.findings.mismatches["missing"] == 3
    assert harness.replica.audit.comparison.findings.mismatches["extra"] == 3
    harness.check()


def test_a_restore_is_named_once(mode: str) -> None:
    harness = made(mode)
    harness.server.set("/app/1/2", b"new")
    harness.settle()
    harness.server.swap(len(harness.server.history) - 1)
    audited(harness, 3)
    assert [type(fault) for fault in harness.faults] == [MismatchError]
    assert str(harness.faults[0]) == "an audit found differences: /app/1/2 is stale"


@pytest.mark.parametrize("seed", range(20))
def test_poison_at_random_places_under_churn_is_found_within_two_audits(mode: str, seed: int) -> None:
    random = Random(seed)
    harness = made(mode, parents=4, children=6)
    server, audit = harness.server, harness.replica.audit
    # Half of the tree changes all the time.
    busy = [f"/app/{parent}/{child}" for parent in (0, 1) for child in range(6)]
    victim = f"/{random.choice((2, 3))}" + random.choice(("", f"/{random.randrange(6)}"))
    record = record_of(harness.replica.tree.find(victim))  # type: ignore[arg-type]
    harness.poison(victim, random.choice((None, poisoned(record, random.randrange(60)))))
    end = audit.completed + 2
    while audit.completed < end:
        path = random.choice(busy)
        if path in server.nodes and random.random() < 0.2:
            server.delete(path)
        elif path in server.nodes:
            server.set(path, b"%d" % random.randrange(100))
        else:
            server.create(path)
        harness.deliver(random.randrange(16))
        harness.take()
        for _ in range(random.randrange(1, 4)):
            if server.requests:
                server.execute()
        harness.now += 0.1
    harness.settle()
    # Either an audit counted it, or it is a change without an event, and was read again quietly.
    harness.check()


def test_a_znode_that_changes_each_time_it_is_looked_at_is_counted(mode: str) -> None:
    harness = made(mode)
    server, audit = harness.server, harness.replica.audit
    harness.now += _INTERVAL
    while not audit.completed:
        harness.now += 0.01
        server.set("/app/1/2", b"%f" % harness.now)
        harness.deliver(len(server.stream))
        harness.take()
        # It changes between each request and its answer.
        server.set("/app/1/2", b"%f" % -harness.now)
        while server.requests:
            server.execute()
    assert audit.comparison.skipped == {"changing": 1, "failed": 0, "unreadable": 0, "untracked": 0}
    assert audit.comparison.audited_nodes == 15
    assert found(harness) == 0


def test_a_znode_whose_reads_fail_is_counted(mode: str) -> None:
    harness = made(mode)
    harness.server.broken["/app/1/2"] = -1
    audited(harness, 2)
    audit = harness.replica.audit
    assert audit.comparison.skipped == {"changing": 0, "failed": 2, "unreadable": 0, "untracked": 0}
    assert audit.comparison.audited_nodes == 30


def test_requests_that_fail_as_a_whole_are_made_again(mode: str) -> None:
    harness = made(mode)
    harness.now += _INTERVAL
    harness.server.mishaps.extend([-1, "garble"])
    audited(harness)
    assert harness.replica.audit.comparison.audited_nodes == 16
    assert sum(harness.replica.audit.comparison.skipped.values()) == 0


def test_what_may_not_be_read_is_counted_as_skipped(mode: str) -> None:
    harness = made(mode)
    for path in ("/app/1", "/app/1/2", "/app/2/3"):
        harness.server.set_readable(path, False)
    harness.resync()
    audited(harness)
    audit = harness.replica.audit
    assert audit.comparison.skipped == {"changing": 0, "failed": 0, "unreadable": 3, "untracked": 0}
    assert audit.comparison.audited_nodes == 13
    assert found(harness) == 0


def test_what_turned_unreadable_is_found_out_quietly(mode: str) -> None:
    harness = made(mode)
    harness.server.set_readable("/app/2/3", False)
    audited(harness)
    assert harness.replica.tree.unreadable == 1
    assert harness.replica.audit.comparison.skipped["unreadable"] == 1
    assert found(harness) == 0


def test_what_zookeeper_does_not_tell_of_is_counted_as_untracked() -> None:
    harness = Harness("/", audit_interval=_INTERVAL)
    for path in ("/zookeeper", "/zookeeper/config", "/zookeeper/quota", "/zookeeper/quota/zookeeper_stats"):
        harness.server.create(path)
    harness.start()
    audited(harness)
    assert harness.replica.audit.comparison.skipped["untracked"] == 2
    assert harness.replica.audit.comparison.audited_nodes == 3


@pytest.mark.parametrize("sample", [1, 7, 100, 301, 1000])
def test_a_sample_looks_at_as_many_as_it_says(mode: str, sample: int) -> None:
    harness = made(mode, parents=10, children=29, audit_sample=sample)
    for count in range(1, 4):
        audited(harness)
        assert harness.replica.audit.comparison.audited_nodes == count * min(sample, 301)


def test_samples_find_errors_anywhere_in_as_many_audits_as_give_each_znode_its_turn(mode: str) -> None:
    harness = made(mode, parents=10, children=29, audit_sample=50)
    record = record_of(harness.replica.tree.find("/7/7"))  # type: ignore[arg-type]
    harness.poison("/7/7", poisoned(record, 5))
    audited(harness, 7)
    assert found(harness) == 1
    harness.check()


def test_a_part_of_the_tree_that_is_wrong_is_found_by_the_next_sample() -> None:
    harness = made(parents=10, children=29, audit_sample=50)
    for child in range(29):
        record = record_of(harness.replica.tree.find(f"/7/{child}"))  # type: ignore[arg-type]
        harness.poison(f"/7/{child}", poisoned(record, 5))
    audited(harness)
    assert found(harness) >= 4
    harness.check()


def test_an_audit_that_a_lost_connection_breaks_off_goes_on(mode: str) -> None:
    harness = made(mode, parents=10, children=29)
    harness.now += _INTERVAL
    for _ in range(2):
        harness.deliver(len(harness.server.stream))
        harness.take()
        harness.server.execute()
    began = harness.replica.audit.comparison.audited_nodes
    harness.resync()
    audit = harness.replica.audit
    while not audit.completed:
        harness.now = max(harness.now, audit.due_at or harness.now)
        harness.settle()
    assert audit.comparison.audited_nodes == 301
    assert began < 301


def test_what_reading_everything_again_does_not_heal_is_healed_ever_less_often(mode: str) -> None:
    """A server that answers audits differently from other reads (they set no watches and follow no event)."""
    harness = made(mode)
    audit = harness.replica.audit
    answered = audit.comparison._answered
    wrong = poisoned(harness.server.nodes["/app/1/2"].record, 5)
    harness.server.ever_unreported = True

    def answer(request: ReadRequest, results: Sequence[ReadResult]) -> None:
        read = [wrong if path == "/1/2" else result for path, result in zip(request.reads, results, strict=False)]
        answered(request, [*read, *results[len(read) :]])

    audit.comparison._answered = answer  # type: ignore[method-assign]
    audit.comparison._differing_leaves = lambda request, body, offset: None  # type: ignore[method-assign]
    audited(harness, 20)
    assert audit.comparison.findings.mismatches["stale"] == 20
    # After the 1st, 2nd, 4th, 8th and 16th.
    assert harness.replica.syncs["audit"] == 5
    assert len(harness.faults) == 5
    audit.comparison._answered = answered  # type: ignore[method-assign]
    audited(harness)
    harness.poison("/1/2", wrong)
    audited(harness)
    assert harness.replica.syncs["audit"] == 6, "a znode that was right meanwhile is repaired at once"


def test_data_that_differs_under_the_same_version_is_reported(mode: str) -> None:
    harness = made(mode)
    harness.poison("/1/2", poisoned(harness.server.nodes["/app/1/2"].record, 0))
    harness.published()
    audited(harness)
    assert [path for _, path in harness.published()] == ["/1/2"]
    harness.check()


def test_names_of_other_shards_are_audited() -> None:
    harness = made(shard=Shard(0, 2), parents=8)
    harness.replica._reconciler.others = frozenset({"wrong"})
    harness.server.ever_unreported = True
    audited(harness)
    assert harness.replica.audit.comparison.findings.mismatches["stale"] == 1
    harness.check()


# Glances


def glanced(mode: str, **options: Any) -> Harness:
    """A replica of a tree of 301 znodes, with glances between its rare audits."""
    return made(mode, parents=10, children=29, interval=3600.0, glances=True, **options)


def passed(harness: Harness, seconds: float) -> None:
    """Lets this much time pass."""
    end = harness.now + seconds
    while (due_at := harness.replica.audit.due_at) is not None and due_at <= end:
        harness.now = max(harness.now, due_at)
        harness.settle()
    harness.now = end
    harness.settle()


@pytest.mark.parametrize("sample", [0, 20])
def test_a_root_that_may_not_be_read_any_more_is_found_soon_and_so_is_all_else(mode: str, sample: int) -> None:
    harness = glanced(mode, audit_sample=sample)
    for path in ("/app", "/app/3", "/app/3/3"):
        harness.server.set_readable(path, False)
    passed(harness, 11)
    assert harness.replica.tree.unreadable == 3
    assert found(harness) == 0


def test_a_part_of_the_tree_that_may_not_be_read_any_more_is_found_soon(mode: str) -> None:
    harness = glanced(mode)
    hidden = [path for path in harness.server.nodes if path.startswith(("/app/2/", "/app/5/", "/app/8/"))]
    for path in hidden:
        harness.server.set_readable(path, False)
    passed(harness, 21)
    assert harness.replica.tree.unreadable == len(hidden) == 87
    assert found(harness) == 0
    harness.check()


def test_one_znode_that_may_not_be_read_any_more_has_no_audit_follow(mode: str) -> None:
    harness = glanced(mode)
    harness.server.set_readable("/app/7/7", False)
    passed(harness, 600)
    # Ten glances, one each ten seconds, cover all 301 znodes.
    assert harness.replica.tree.unreadable == 1
    assert harness.replica.audit.completed == 0


def test_alarms_have_everything_audited_once_a_minute_at_most(mode: str) -> None:
    harness = glanced(mode)
    for second in range(0, 300, 10):
        # The root becomes unreadable, and readable again before the next glance.
        harness.server.set_readable("/app", False)
        passed(harness, 10.1)
        harness.server.set_readable("/app", True)
        harness.replica.poll()
        harness.settle()
        assert harness.replica.audit.completed <= second // 60 + 1
    assert harness.replica.audit.completed >= 3


def test_glances_cost_little_and_are_no_audits(mode: str) -> None:
    harness = glanced(mode)
    asked: list[Any] = []
    execute = harness.server.execute

    def note() -> None:
        asked.append(harness.server.requests[0])
        execute()

    harness.server.execute = note  # type: ignore[method-assign,assignment]
    passed(harness, 100.5)
    assert 0 < sum(request.operations for request in asked) <= 10 * 33
    assert not any(request.lists for request in asked)
    audit = harness.replica.audit
    assert (audit.completed, audit.comparison.audited_nodes, sum(audit.comparison.skipped.values())) == (0, 0, 0)


def test_a_glance_at_large_znodes_reads_only_as_much_as_one_round_of_an_audit() -> None:
    harness = made(parents=0, interval=3600.0, glances=True)
    for child in range(32):
        harness.server.create(f"/app/{child}", b"x" * 100_000)
    harness.settle()
    read: list[str] = []
    execute = harness.server.execute

    def note() -> None:
        read.extend(harness.server.requests[0].reads)  # type: ignore[attr-defined]
        execute()

    harness.server.execute = note  # type: ignore[method-assign,assignment]
    passed(harness, 10.5)
    assert 2 < len(read) < 10


def test_a_glance_that_a_lost_connection_breaks_off_is_over() -> None:
    harness = glanced("recursive")
    harness.now = harness.replica.audit.due_at or 0.0
    harness.take()
    assert harness.replica.audit.is_running
    harness.resync()
    audit = harness.replica.audit
    assert not audit.is_running
    assert audit.completed == 0
    passed(harness, 50)
    assert audit.completed == 0
    harness.check()


def test_an_audit_reads_in_small_requests_several_at_once() -> None:
    harness = made(parents=2, children=3 * AUDITED)
    assert harness.replica.audit.due_at is not None
    harness.now = harness.replica.audit.due_at
    harness.take()
    assert harness.replica.audit.is_running
    sizes = [request.operations for request in harness.server.requests if isinstance(request, MultiRead)]
    assert 1 < len(sizes) == len(harness.replica.audit.comparison.requests) <= 4
    assert max(sizes) <= AUDITED
    harness.settle()
    assert harness.replica.audit.completed == 1
    assert harness.replica.audit.comparison.audited_nodes == 1 + 2 * (1 + 3 * AUDITED)


def test_a_refresh_does_not_wait_for_the_answers_of_an_audit() -> None:
    harness = made(parents=2, children=3 * AUDITED)
    assert harness.replica.audit.due_at is not None
    harness.now = harness.replica.audit.due_at
    harness.take()
    under_way = len(harness.server.requests)
    assert under_way
    # The driver wakes the engine for an event.
    assert not harness.replica.is_gathering
    harness.server.set("/app/1/2", b"new")
    harness.deliver(1)
    harness.take()
    refresh = harness.server.requests[under_way]
    assert isinstance(refresh, MultiRead)
    assert list(refresh.reads) == ["/1/2"]
    assert harness.replica.is_gathering
    harness.settle()
    assert found(harness) == 0
    harness.check()


@pytest.mark.parametrize("spoiled", ["data", "none", "more"])
def test_one_wrong_leaf_among_many_is_found(mode: str, spoiled: str) -> None:
    harness = made(mode, parents=2, children=2 * AUDITED)
    path = f"/1/{AUDITED + 7}"
    record = record_of(harness.replica.tree.find(path))  # type: ignore[arg-type]
    if spoiled == "more":
        harness.poison("/1/one-too-many", record)
    else:
        harness.poison(path, None if spoiled == "none" else poisoned(record, 5))
    audited(harness, 2)
    assert found(harness) == 1
    assert harness.replica.audit.comparison.audited_nodes >= 2 * (1 + 2 * (1 + 2 * AUDITED)) - 1
    harness.check()


@pytest.mark.parametrize("change", ["created", "deleted"])
def test_a_child_that_came_or_went_without_an_event_counts_although_its_parent_changed_too(
    mode: str, change: str
) -> None:
    harness = made(mode)
    if change == "created":
        harness.server.create("/app/1/new")
    else:
        harness.server.delete("/app/1/2")
    while harness.server.stream:
        harness.server.lose(0)
    audited(harness, 2)
    assert harness.replica.audit.comparison.findings.mismatches["missing" if change == "created" else "extra"] == 1
    assert harness.replica.syncs["audit"] == 1
    harness.check()


def turns(harness: Harness) -> Iterator[None]:
    """Goes through an audit, one turn and one answer at a time."""
    audit = harness.replica.audit
    assert audit.due_at is not None
    harness.now = audit.due_at
    while not audit.completed:
        harness.take()
        yield
        if harness.server.requests:
            harness.server.execute()
        harness.deliver(len(harness.server.stream))
        harness.now = max(harness.now, harness.replica.wake_at or 0.0) if audit.is_running else harness.now


def test_an_audit_has_its_share_of_the_operations_under_way(mode: str) -> None:
    harness = made(mode, parents=3, children=5 * AUDITED if mode == "recursive" else 2 * SINGLE_AUDITED)
    under_way = harness.replica.audit.comparison.requests
    numbers = [sum(request.operations for request in under_way) for _ in turns(harness)]
    limit = 4 * AUDITED if mode == "recursive" else SINGLE_AUDITED
    # A list is counted as two operations, and may be the last one that still has room.
    assert limit / 2 < max(numbers) <= limit + 1
    # The next ones do not wait until all are answered.
    assert min(numbers[: len(numbers) // 2]) > 0


def test_an_audit_of_a_deep_tree_fills_its_requests() -> None:
    harness = made(parents=0)
    for topic in range(100):
        for path in ("", "/partitions", "/partitions/0", "/partitions/0/state"):
            harness.server.create(f"/app/{topic}{path}")
    harness.settle()
    requests = {request for _ in turns(harness) for request in harness.replica.audit.comparison.requests}
    # Three of four are listed.
    assert len(requests) <= 7 * 100 // AUDITED + 4


def test_an_audit_passes_one_stretch_of_the_tree_a_turn(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = made(mode, parents=100, children=3, audit_sample=20)
    monkeypatch.setattr("exporter.treecache.walk._STRETCH", 20)
    passed = [0]
    original = Walk._sampled

    def sampled(self: Walk, stem: str, children: Any, branches: Any) -> Any:
        passed[-1] += len(children)
        return original(self, stem, children, branches)

    monkeypatch.setattr(Walk, "_sampled", sampled)
    passed.extend(0 for _ in turns(harness))
    # The first has the children of the root.
    assert max(passed[1:]) <= 20 + 3


def test_many_changes_without_an_event_are_read_bit_by_bit() -> None:
    harness = made(parents=3, children=1000)
    for child in range(1000):
        harness.server.set_readable(f"/app/1/{child}", False)
    waiting = [len(harness.replica.audit.comparison._unreported) for _ in turns(harness)]
    assert AUDITED < max(waiting) < 1000
    harness.settle()
    assert harness.replica.tree.unreadable == 1000
    assert found(harness) == 0


def test_an_audit_within_a_rate_limit_waits_for_its_answers() -> None:
    harness = made(parents=1, children=6 * AUDITED, max_nodes_per_second=20_000.0)
    under_way = harness.replica.audit.comparison.requests
    left = [harness.time_left for _ in turns(harness) if under_way]
    assert left
    assert min(left) > 0


def test_a_change_leaves_immediately_while_an_audit_saves_up_reads() -> None:
    harness = made(parents=1, children=3000, max_nodes_per_second=10_000.0)
    audit, changes = harness.replica.audit, 0
    for _ in turns(harness):
        if audit.resume_at is not None and not audit.comparison.requests and audit.is_running:
            changes += 1
            harness.server.set("/app/0/5", b"%d" % changes)
            harness.deliver(len(harness.server.stream))
            harness.take()
            assert harness.server.requests
    assert changes > 1


def test_an_audit_that_pauses_within_a_rate_limit_takes_no_turns_meanwhile(mode: str) -> None:
    harness = made(mode, max_nodes_per_second=1_000.0)
    harness.server.set("/app/1/2", b"changed")
    harness.server.broken["/app/1/2"] = THROTTLED
    harness.deliver(len(harness.server.stream))
    taken = sum(1 for _ in turns(harness))
    assert harness.replica.audit.comparison.skipped["changing"] == 1
    assert taken < 100
