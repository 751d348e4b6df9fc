"""Events in quick succession are read together; nothing else waits."""

from __future__ import annotations

import pytest

from exporter.zookeeper.moderation import Moderation


def pauses(moderation: Moderation, reads: int, *, gap: float, events: int = 1) -> list[bool]:
    """Whether messages may gather after each of `reads` reads, with `events` events each, `gap` seconds apart."""
    result = []
    for number in range(1, reads + 1):
        for _ in range(events):
            moderation.event()
        moderation.read(1000 + number * gap)
        result.append(moderation.pause > 0)
    return result


@pytest.mark.parametrize("per_second", [1, 500, 1000])
def test_events_that_come_one_by_one_are_read_at_once(per_second: float) -> None:
    assert not any(pauses(Moderation(), 100, gap=1 / per_second))


def test_a_burst_that_is_over_soon_is_read_at_once() -> None:
    moderation = Moderation()
    assert not any(pauses(moderation, 4, gap=0.0001))


def test_events_that_go_on_coming_may_gather() -> None:
    assert pauses(Moderation(), 100, gap=0.0001)[10:] == [True] * 90


def test_what_has_gathered_counts_each() -> None:
    moderation = Moderation()
    pauses(moderation, 10, gap=0.0001)
    assert all(pauses(moderation, 10, gap=0.0015, events=6)[1:])


def test_it_ends_as_soon_as_events_come_one_by_one() -> None:
    moderation = Moderation()
    pauses(moderation, 10, gap=0.0001)
    assert not any(pauses(moderation, 10, gap=0.002)[1:])


def test_answers_alone_never_wait() -> None:
    assert not any(pauses(Moderation(), 100, gap=0.00001, events=0))


def test_a_pause_is_short() -> None:
    moderation = Moderation()
    pauses(moderation, 10, gap=0.0001)
    assert 0 < moderation.pause <= 0.002
