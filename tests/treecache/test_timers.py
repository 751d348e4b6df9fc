"""Timers: each has a name, and the earliest counts."""

from __future__ import annotations

import pytest

from exporter.treecache.timers import Timer, Timers

HOLDS = [timer for timer in Timer if timer is not Timer.INQUIRY]


def test_nothing_pends_at_first() -> None:
    timers = Timers()
    assert (timers.wake_at, timers.is_holding, timers.go_off(1e9)) == (None, False, ())


def test_the_earliest_wakes_and_only_what_is_due_goes_off() -> None:
    timers = Timers()
    timers.set(Timer.INQUIRY, 15.0)
    timers.set(Timer.BACK_OFF, 2.0)
    assert timers.wake_at == 2.0
    assert timers.go_off(1.0) == ()
    assert timers.go_off(2.0) == (Timer.BACK_OFF,)
    assert (timers.wake_at, timers.is_holding) == (15.0, False)
    assert timers.go_off(20.0) == (Timer.INQUIRY,)
    assert timers.wake_at is None


@pytest.mark.parametrize("timer", HOLDS)
def test_everything_but_an_inquiry_keeps_reads_from_being_sent_until_it_is_released(timer: Timer) -> None:
    timers = Timers()
    timers.set(Timer.INQUIRY, 15.0)
    assert not timers.is_holding
    timers.set(timer, 1.0)
    assert timers.is_holding
    timers.release()
    assert not timers.is_holding
    assert timers.wake_at == 15.0


def test_a_timer_that_is_set_again_goes_off_at_the_new_time() -> None:
    timers = Timers()
    timers.set(Timer.BACK_OFF, 1.0)
    timers.set(Timer.BACK_OFF, 5.0)
    assert timers.go_off(1.0) == ()
    assert timers.wake_at == 5.0
    timers.stop(Timer.BACK_OFF)
    assert timers.wake_at is None


@pytest.mark.parametrize("spacing", [Timer.PACING, Timer.RATE])
def test_a_failure_takes_the_place_of_what_only_spaces_reads_out(spacing: Timer) -> None:
    timers = Timers()
    timers.set(spacing, 1.0)
    timers.set(Timer.INQUIRY, 15.0)
    assert timers.wake_at == 1.0
    timers.set(Timer.BACK_OFF, 5.0)
    assert timers.wake_at == 5.0
