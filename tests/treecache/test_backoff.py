"""Backoff: keys that do not settle are delayed ever longer, settled keys are forgotten, and keys are independent."""

from __future__ import annotations

import pytest

from exporter.treecache.backoff import PERSISTENT, Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 3.0)
    now, delays = 0.0, []
    for _ in range(5):
        due_at = backoff.strike("a", now).due_at
        delays.append(due_at - now)
        now = due_at
    assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_free_strikes_have_no_delay() -> None:
    backoff = Backoff(0.5, 3.0, free=2)
    assert [backoff.strike("a", 1.0).due_at for _ in range(3)] == [1.0, 1.0, 1.5]


def test_keys_do_not_delay_one_another() -> None:
    backoff = Backoff(0.5, 3.0)
    backoff.strike("a", 1.0)
    assert backoff.due_at("a", 1.0) == 1.5
    assert backoff.due_at("a", 2.0) == 2.0
    assert backoff.due_at("b", 1.0) == 1.0
    assert backoff.strike("b", 1.0) == (1, 1.5)


def test_what_is_not_struck_for_a_while_begins_anew() -> None:
    backoff = Backoff(0.5, 60.0)
    due_at = 0.0
    for _ in range(6):
        due_at = backoff.strike("a", due_at).due_at
    assert backoff.strike("a", due_at + 17.0) == (1, due_at + 17.5)


def test_what_settled_begins_anew() -> None:
    backoff = Backoff(0.5, 60.0)
    for _ in range(6):
        backoff.strike("a", 0.0)
    backoff.settled("a")
    backoff.settled("never struck")
    assert backoff.strike("a", 0.0) == (1, 0.5)


def test_other_evidence_is_progress() -> None:
    backoff = Backoff(0.5, 60.0)
    for _ in range(6):
        backoff.strike("a", 0.0, evidence=1)
    assert backoff.due_at("a", 0.0, evidence=1) > 1.0
    assert backoff.due_at("a", 0.0, evidence=2) == 0.0
    assert backoff.strike("a", 0.0, evidence=2) == (1, 0.5)


def test_what_comes_back_slowly_is_remembered_for_as_long_as_it_is_told() -> None:
    backoff = Backoff(0.5, 3.0, grace=60.0)
    numbers = [backoff.strike("a", now).number for now in (0.0, 40.0, 80.0, 200.0)]
    assert numbers == [1, 2, 3, 1]


def test_a_key_becomes_persistent_once_and_counts_until_it_is_forgotten() -> None:
    backoff = Backoff(1.0, 2.0)
    now, became = 0.0, 0
    for _ in range(3 * PERSISTENT):
        number, now = backoff.strike("a", now)
        became += number == PERSISTENT
    assert became == 1
    assert backoff.unsettled(now) == 1
    assert backoff.unsettled(now + 2.0) == 0
    backoff.strike("a", now)
    backoff.clear()
    assert backoff.unsettled(now) == 0


@pytest.mark.parametrize("strikes", [1, PERSISTENT - 1])
def test_a_few_strikes_are_not_persistent(strikes: int) -> None:
    backoff = Backoff(1.0, 2.0)
    for _ in range(strikes):
        backoff.strike("a", 0.0)
    assert backoff.unsettled(0.0) == 0


def test_the_table_stays_small_while_keys_come_and_go() -> None:
    backoff = Backoff(0.1, 60.0)
    for number in range(10_000):
        backoff.strike(str(number), float(number))
    assert len(backoff) <= 64


def test_very_many_strikes_overflow_nothing() -> None:
    backoff = Backoff(0.05, 60.0)
    now = 0.0
    for _ in range(5_000):
        now = backoff.strike("a", now).due_at
    assert backoff.strike("a", now).due_at == now + 60.0
