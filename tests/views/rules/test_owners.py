"""Owners: who holds a znode or leads an election, how often that changed, and when nobody can know."""

from __future__ import annotations

import pytest

from tests.views.rules.driving import EPOCH, SESSION_TIMEOUT, driving

A, B = 0xA, 0xB


def test_the_owner_of_an_ephemeral_and_its_changes() -> None:
    tree = driving("/controller", "owner", complete=False, key="/brokerid")
    tree.create("/controller", b'{"brokerid": 1}', A)
    tree.view.complete()
    since = tree.zxid + EPOCH / 1000
    assert tree.families == {
        "info": {("1",): 1},
        "owner_changes_total": {(): 0},
        "owner_since_timestamp_seconds": {(): since},
    }
    tree.delete("/controller")
    assert tree.families == {"info": {}, "owner_changes_total": {(): 0}, "owner_since_timestamp_seconds": {}}
    tree.create("/controller", b'{"brokerid": 2}', B)
    assert tree.families["info"] == {("2",): 1}
    assert tree.families["owner_changes_total"] == {(): 1}
    tree.set("/controller", b'{"brokerid": 3}')
    assert tree.families == {
        "info": {("3",): 1},
        "owner_changes_total": {(): 2},
        "owner_since_timestamp_seconds": {(): EPOCH / 1000 + tree.zxid},
    }
    tree.set("/controller", b'{"brokerid": 3, "more": 1}')
    assert tree.families["owner_changes_total"] == {(): 2}
    tree.set("/controller", b"?")
    assert (tree.families["info"], tree.unusable) == ({}, {"not_json": 1})
    tree.delete("/controller")
    assert tree.unusable == {}


def test_the_same_owner_in_a_new_znode_is_a_change() -> None:
    tree = driving("/master", "owner")
    for _ in range(21):
        tree.create("/master", b"host", A)
        tree.delete("/master")
    assert tree.families["owner_changes_total"] == {(): 20}


def test_without_data_the_session_is_the_owner_and_text_is_cut() -> None:
    tree = driving("/{name}", "owner")
    tree.create("/a", b"", A)
    tree.create("/b", b"x" * 100, A)
    assert set(tree.families["info"]) == {("a", "session 0xa"), ("b", "x" * 64)}


def test_several_owners_are_none() -> None:
    tree = driving("/{a}/{b}", "owner", by=["a"])
    tree.create("/x/1", b"one", A)
    tree.create("/x/2", b"two", B)
    assert (tree.families["info"], tree.unusable) == ({}, {"duplicate": 2})
    tree.delete("/x/1")
    assert (tree.families["info"], tree.unusable) == ({("x", "two"): 1}, {})


@pytest.mark.parametrize(
    "names",
    [
        # kazoo's Lock and Election; Curator's LeaderLatch, and InterProcessMutex with its protection; an overflow.
        ["f1ab__lock__0000000001", "00ab__lock__0000000002", "aaab__lock__0000000003"],
        ["_c_ff-latch-0000000001", "_c_00-latch-0000000002", "_c_aa-latch-0000000003"],
        ["_c_ff-lock-2147483647", "_c_00-lock--2147483648", "_c_aa-lock--000000001"],
    ],
)
def test_the_first_candidate_leads(names: list[str]) -> None:
    tree = driving("/elections/{name}", "election")
    tree.create("/elections")
    tree.create("/elections/e")
    assert tree.families["candidates"] == {("e",): 0}
    assert tree.families["info"] == {}
    for name in names:
        tree.create(f"/elections/e/{name}", name[-1:].encode(), A)
    tree.create("/elections/e/no-candidate", b"", A)
    tree.create("/elections/e/persistent-0000000000", b"")
    assert tree.families["candidates"] == {("e",): 3}
    assert tree.families["info"] == {("e", names[0][-1]): 1}
    tree.delete(f"/elections/e/{names[1]}")
    assert tree.families["owner_changes_total"] == {("e",): 0}
    tree.now = 1000.0
    tree.delete(f"/elections/e/{names[0]}")
    assert tree.families == {
        "info": {("e", names[2][-1]): 1},
        "owner_changes_total": {("e",): 1},
        "owner_since_timestamp_seconds": {("e",): EPOCH / 1000 + 1000},
        "candidates": {("e",): 1},
    }
    tree.delete("/elections/e/no-candidate")
    tree.delete("/elections/e/persistent-0000000000")
    tree.delete(f"/elections/e/{names[2]}")
    tree.delete("/elections/e")
    assert tree.families == {
        "info": {},
        "owner_changes_total": {("e",): 1},
        "owner_since_timestamp_seconds": {},
        "candidates": {},
    }


def test_a_leader_that_is_killed_20_times_counts_20() -> None:
    tree = driving("/e", "election")
    tree.create("/e")
    for number in range(3):
        tree.create(f"/e/n-{number:010d}", b"", A + number)
    for number in range(20):
        tree.create(f"/e/n-{number + 3:010d}", b"", A + number + 3)
        tree.delete(f"/e/n-{number:010d}")
    assert tree.families["owner_changes_total"] == {(): 20}
    assert tree.families["candidates"] == {(): 3}


@pytest.mark.parametrize(
    ("sessions", "goes", "live", "changes"),
    [
        ([1, 2, 3, 4], [0, 1], True, 2),
        ([1, 2, 3, 4], [1, 0], True, 2),
        ([1, 2, 3, 4], [0, 1], False, 1),
        ([1, 2, 3, 4], [1, 2], True, 0),
        ([1, 2, 3, 4], [0, 2], True, 1),
        ([1, 1, 1, 2], [0, 1, 2], True, 1),
        ([1, 2, 2, 3], [0, 1, 2], True, 2),
    ],
)
def test_those_that_went_together_have_led_in_turn(
    sessions: list[int], goes: list[int], live: bool, changes: int
) -> None:
    tree = driving("/e", "election")
    tree.create("/e")
    for number, session in enumerate(sessions):
        tree.create(f"/e/n-{number:010d}", b"", session)
    if not live:
        tree.view.incomplete()
    with tree.batch():
        for number in goes:
            tree.delete(f"/e/n-{number:010d}")
    if not live:
        tree.view.complete()
    assert tree.families["owner_changes_total"] == {(): changes}
    assert tree.families["candidates"] == {(): len(sessions) - len(goes)}


def test_after_all_have_gone_the_next_one_is_a_change() -> None:
    tree = driving("/e", "election")
    tree.create("/e")
    for number in range(3):
        tree.create(f"/e/n-{number:010d}", b"", number + 1)
    with tree.batch():
        for number in range(3):
            tree.delete(f"/e/n-{number:010d}")
    assert tree.families["info"] == {}
    assert tree.families["owner_changes_total"] == {(): 2}
    tree.create("/e/n-0000000003", b"", 7)
    assert tree.families["owner_changes_total"] == {(): 3}


def test_after_the_session_timeout_without_a_connection_nobody_knows_the_owner() -> None:
    tree = driving("/e", "election")
    tree.create("/e")
    tree.create("/e/n-0000000001", b"one", A)
    known = tree.families
    tree.view.incomplete()
    tree.now = SESSION_TIMEOUT
    assert tree.families == known
    tree.now = SESSION_TIMEOUT + 0.1
    assert tree.families == {
        "info": {},
        "owner_changes_total": {(): 0},
        "owner_since_timestamp_seconds": {},
        "candidates": {},
    }
    tree.view.complete()
    assert tree.families == known


def test_nobody_is_said_to_lead_while_a_candidate_is_unreadable() -> None:
    tree = driving("/e", "election")
    tree.create("/e")
    tree.create("/e/n-0000000001", b"alice", owner=1)
    tree.create("/e/n-0000000002", b"bob", owner=2)
    assert tree.families["info"] == {("alice",): 1}
    tree.hide("/e/n-0000000001")
    assert tree.families["info"] == {}
    assert tree.families["candidates"] == {(): 2}
    tree.show("/e/n-0000000001")
    assert tree.families["info"] == {("alice",): 1}
    assert tree.families["owner_changes_total"] == {(): 0}


def test_what_went_without_a_decision_is_forgotten() -> None:
    tree = driving("/*", "election", by=())
    for directory in ("/a", "/b"):
        tree.create(directory)
    for number in range(3000):
        tree.create(f"/a/n-{number:010}", b"alice", owner=1)
        tree.delete(f"/a/n-{number:010}")
    (state,) = tree.view._states
    assert len(state._candidates["/a"].gone) <= 1000  # type: ignore[attr-defined]
