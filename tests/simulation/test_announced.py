"""A replica that waits for no answer says when its next turn is due if it has more to do: a driver waits until then."""

from __future__ import annotations

import pytest

from tests.simulation.plan import draw
from tests.simulation.schedule import Schedule

pytestmark = pytest.mark.long


def test_a_turn_does_everything_or_announces_the_next() -> None:
    for seed in range(1_000):
        plan = draw(seed)
        schedule = Schedule(plan.options)
        schedule._harness.repeats_turns = True
        try:
            schedule.run(plan)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
