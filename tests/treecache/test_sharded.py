"""A shard of a tree: what is watched, in which order, and what is read."""

from __future__ import annotations

import pytest

from exporter.treecache import Shard
from exporter.treecache.strategies import UnsupportedServerError
from exporter.zookeeper.messages import CREATED, DELETED
from exporter.zookeeper.wire import AddWatch, GetChildren, MultiRead, ReadRequest, RemoveWatches, Request
from tests.simulation.harness import Harness

SHARD = Shard(0, 2)
OWN = sorted(path for path in (f"/app/{number}" for number in range(8)) if SHARD.owns(path))
OTHERS = sorted(path for path in (f"/app/{number}" for number in range(8)) if not SHARD.owns(path))


@pytest.fixture
def loaded() -> Harness:
    harness = Harness(shard=SHARD)
    harness.server.create("/app")
    for path in (*OWN, *OTHERS):
        harness.server.create(path)
        harness.server.create(f"{path}/leaf")
    harness.start()
    harness.check()
    return harness


def sent_after(harness: Harness) -> list[Request]:
    """Settles; returns the requests that were sent while settling."""
    sent: list[Request] = []
    take = harness.replica.take

    def watching_take(now: float) -> object:
        outcome = take(now)
        sent.extend(one.request for one in outcome.requests)
        return outcome

    harness.replica.take = watching_take  # type: ignore[assignment,method-assign]
    harness.settle()
    harness.replica.take = take  # type: ignore[method-assign]
    return sent


def paths_of(sent: list[Request]) -> set[str]:
    reads = [request for request in sent if isinstance(request, ReadRequest)]
    return {path for request in reads for path in (*request.reads, *request.lists)}


def test_there_are_children_of_both_shards() -> None:
    assert OWN
    assert OTHERS


def test_only_the_own_shard_is_watched_and_held(loaded: Harness) -> None:
    server = loaded.server
    assert server.recursive_watches == set(OWN)
    assert server.data_watches == server.child_watches == {"/app"}
    assert loaded.held().keys() == {"/app", *OWN, *(f"{path}/leaf" for path in OWN)}


def test_the_names_of_the_others_are_known(loaded: Harness) -> None:
    def others() -> set[str]:
        return {f"/app/{name}" for name in loaded.replica.others}

    assert others() == set(OTHERS)
    loaded.server.delete_all(OTHERS[0])
    loaded.settle()
    assert others() == set(OTHERS[1:])
    loaded.server.delete_all("/app")
    loaded.settle()
    assert not others()
    loaded.check()


def test_a_child_is_watched_before_it_is_read(loaded: Harness) -> None:
    loaded.server.delete_all(OWN[0])
    loaded.settle()
    loaded.server.create(OWN[0])
    sent = [type(request) for request in sent_after(loaded)]
    assert sent.index(AddWatch) < len(sent) - 1 - sent[::-1].index(MultiRead)
    assert loaded.server.recursive_watches == set(OWN)


def test_a_child_that_is_gone_is_watched_no_more(loaded: Harness) -> None:
    loaded.server.delete_all(OWN[0])
    removed = [request.path for request in sent_after(loaded) if isinstance(request, RemoveWatches)]
    assert removed == [OWN[0]]
    assert loaded.server.recursive_watches == set(OWN[1:])
    loaded.check()


def test_a_child_of_another_shard_is_listed_and_not_read(loaded: Harness) -> None:
    loaded.server.delete_all(OTHERS[0])
    loaded.server.create(OTHERS[0])
    sent = sent_after(loaded)
    assert paths_of(sent) == {""}
    assert any(isinstance(request, GetChildren) for request in sent)
    loaded.check()


def test_an_event_of_another_shard_leads_to_nothing(loaded: Harness) -> None:
    loaded.server.stray(CREATED, f"{OTHERS[0]}/new")
    loaded.server.stray(DELETED, OTHERS[1])
    # A child that came or went may have changed the root, in any shard.
    assert paths_of(sent_after(loaded)) <= {""}


def test_a_watch_that_is_refused_is_set_again_and_all_is_read_after_it(loaded: Harness) -> None:
    server = loaded.server
    server.delete_all(OWN[0])
    loaded.settle()
    server.create(OWN[0])
    while not any(isinstance(request, AddWatch) for request in server.requests):
        loaded.deliver(len(server.stream))
        loaded.take()
        while server.requests and not isinstance(server.requests[0], AddWatch):
            server.execute()
    server.mishaps.append(-127)
    loaded.settle()
    assert server.recursive_watches == set(OWN)
    assert loaded.replica.syncs["reconnect"] == 1
    loaded.check()


@pytest.mark.parametrize("mode", ["auto", "recursive"])
def test_a_server_that_reports_the_child_whatever_changes_below_is_not_believed(mode: str) -> None:
    harness = Harness(shard=SHARD, mode=mode)
    harness.server.create("/app")
    harness.server.create(OWN[0])
    harness.server.create(f"{OWN[0]}/leaf")
    harness.start()
    for data in (b"1", b"2", b"3"):
        harness.server.set(f"{OWN[0]}/leaf", data)
        harness.server.lose(0, instead=OWN[0])
        harness.settle()
        harness.check()
    assert harness.replica.mode == ("classic" if mode == "auto" else "recursive")
    assert [type(fault) for fault in harness.faults] == [UnsupportedServerError]
