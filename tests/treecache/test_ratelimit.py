"""RateLimit: never more than the rate, and no less."""

from __future__ import annotations

import math

import pytest

from exporter.treecache.reading import RateLimit


def test_no_limit() -> None:
    limit = RateLimit(None)
    limit.spend(1_000_000)
    assert limit.allowance(0.0) is None
    assert limit.next_at(5.0) == 5.0


@pytest.mark.parametrize("per_second", [0.1, 1.0, 7.0, 1_000.0])
def test_as_many_as_the_rate_says_and_no_more(per_second: float) -> None:
    limit, now, spent = RateLimit(per_second), 100.0, 0
    while now < 100.0 + 50 / per_second:
        allowed = limit.allowance(now)
        assert allowed is not None
        limit.spend(allowed)
        spent += allowed
        now = limit.next_at(now)
    saved_up = max(1.0, per_second / 10)
    assert 50 - 1 <= spent <= 50 + saved_up


def test_next_is_when_one_read_is_allowed() -> None:
    limit = RateLimit(4.0)
    assert limit.allowance(0.0) == 1
    limit.spend(1)
    assert limit.allowance(0.0) == 0
    assert limit.next_at(0.0) == pytest.approx(0.25)
    assert limit.allowance(limit.next_at(0.0)) == 1


def test_little_is_saved_up_while_there_is_nothing_to_read() -> None:
    limit = RateLimit(1_000.0)
    limit.allowance(0.0)
    assert limit.allowance(3_600.0) == 100


def test_what_is_spent_beyond_the_allowance_is_waited_for() -> None:
    limit = RateLimit(10.0)
    limit.allowance(0.0)
    limit.spend(11)
    assert limit.next_at(0.0) == pytest.approx(1.1)


def test_while_many_wait_none_is_read_before_half_of_the_most_is_saved_up() -> None:
    limit = RateLimit(1_000.0)
    allowed = limit.allowance(0.0, math.inf)
    assert allowed == 100
    limit.spend(allowed)
    assert limit.next_at(0.0, math.inf) == pytest.approx(0.05)
    assert limit.allowance(0.049, math.inf) == 0
    assert limit.allowance(0.05, math.inf) == 50


def test_few_do_not_wait_for_more_than_they_are() -> None:
    limit = RateLimit(1_000.0)
    limit.allowance(0.0)
    limit.spend(100)
    assert limit.next_at(0.0, 3) == pytest.approx(0.003)
    assert limit.allowance(0.002, 3) == 0
    assert limit.allowance(0.003, 3) == 3
