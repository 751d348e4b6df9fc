"""When a refresh may leave."""

from __future__ import annotations

from exporter.treecache.reading import Pace


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


def stream(pace: Pace, began_at: float) -> float:
    """Ten changes a millisecond for a while; returns when it ended."""
    now = began_at
    for turn in range(30):
        now = began_at + turn / 1000
        refresh(pace, 10, now)
    return now


def test_a_stream_of_changes_is_gathered_for_a_few_milliseconds() -> None:
    pace = Pace()
    now = stream(pace, 1.0)
    assert now + 0.001 < pace.due_at <= now + 0.01


def test_a_short_burst_is_followed_at_once() -> None:
    pace = Pace()
    for turn in range(10):
        refresh(pace, 1, turn / 500)
    refresh(pace, 8, 0.0185)
    refresh(pace, 1, 0.0195)
    assert pace.due_at <= 0.0195


def test_a_stream_that_ends_leaves_nothing_behind() -> None:
    pace = Pace()
    now = stream(pace, 1.0)
    refresh(pace, 2, now + 0.1)
    refresh(pace, 1, now + 0.12)
    assert pace.due_at <= now + 0.12
