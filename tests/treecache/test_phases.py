"""Phases: the table has every possible transition, and any other raises."""

from __future__ import annotations

import pytest

from exporter.treecache.phases import TRANSITIONS, IllegalTransitionError, Phase, Phases, Step

ILLEGAL = [(phase, step) for phase in Phase for step in Step if step not in TRANSITIONS[phase]]


def phases(current: Phase) -> Phases:
    made = Phases()
    made.current = current
    return made


def test_the_table_knows_every_phase_and_each_can_be_come_to() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert {phase for steps in TRANSITIONS.values() for phase in steps.values()} == set(Phase)
    assert {step for steps in TRANSITIONS.values() for step in steps} == set(Step)


def test_a_connection_may_come_and_go_in_any_phase() -> None:
    for phase in Phase:
        assert TRANSITIONS[phase][Step.CONNECTED] is Phase.ASKING
        assert TRANSITIONS[phase][Step.DISCONNECTED] is Phase.DETACHED


def test_reading_begins_behind_the_watch_alone() -> None:
    before = [(phase, step) for phase, steps in TRANSITIONS.items() for step, to in steps.items() if to is Phase.LIVE]
    assert before == [(Phase.ARMING, Step.ARMED)]


def test_nothing_leads_from_a_refusal_but_another_judgement_or_connection() -> None:
    leading = {step for step, phase in TRANSITIONS[Phase.REFUSED].items() if phase is not Phase.REFUSED}
    assert leading == {Step.CONNECTED, Step.DISCONNECTED, Step.RECONSIDERED}


@pytest.mark.parametrize(("phase", "step"), ILLEGAL, ids=lambda one: one.name)
def test_any_other_step_raises_and_changes_nothing(phase: Phase, step: Step) -> None:
    made = phases(phase)
    with pytest.raises(IllegalTransitionError, match=f"step {step.name} is not possible in phase {phase.name}"):
        made.take(step)
    assert made.current is phase
