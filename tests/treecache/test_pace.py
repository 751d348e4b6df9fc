"""When a refresh may leave."""

from __future__ import annotations

from exporter.treecache.pace import Pace


def refresh(pace: Pace, changes: int, now: float) -> None:
    for _ in range(changes):
        pace.note()
    pace.sent(now)


def test_few_changes_are_followed_at_once() -> None:
    pace = Pace()
    for turn in range(10):
        now = turn / 500
        assert pace.due_at <= now
        refresh(pace, 1, now)


def test_a_stream_of_changes_is_gathered_for_a_few_milliseconds() -> None:
    pace = Pace()
    refresh(pace, 1, 1.0)
    refresh(pace, 10, 1.001)
    assert 1.002 < pace.due_at <= 1.01


def test_a_stream_that_ends_leaves_nothing_behind() -> None:
    pace = Pace()
    refresh(pace, 1, 1.0)
    refresh(pace, 10, 1.001)
    refresh(pace, 2, 1.1)
    assert pace.due_at <= 1.1
