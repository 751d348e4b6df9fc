"""A replica that takes shortcuts sends, publishes and waits for just the same as one that does not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.simulation.plan import Plan, draw
from tests.simulation.schedule import Schedule

pytestmark = pytest.mark.long

#: Steps that let a change come alone, at the right moment.
_REFRESH = ("settle", "set", "execute", "deliver", "execute", "deliver")


def quiet(seed: int) -> Plan:
    """A seed's plan of a replica that may take shortcuts, with changes in between that come alone."""
    plan, random = draw(seed), Random(seed)
    options = plan.options._replace(
        mode="recursive", prompt=True, begins="loaded", selects=False, max_depth=None, max_nodes_per_second=None
    )
    steps = []
    for step in plan.steps:
        steps.append(step)
        if random.random() < 0.3:
            cut = random.randrange(len(_REFRESH))
            steps += [(kind, random.randrange(1 << 16), random.randrange(1 << 16)) for kind in _REFRESH[cut:]]
    return Plan(options, steps)


def course(plan: Plan, *, shortcuts: bool) -> tuple[int, list[Any]]:
    """How many shortcuts a replica took under a plan, and everything that it did."""
    schedule = Schedule(plan.options)
    harness = schedule._harness
    harness.takes_shortcuts, harness.trace = shortcuts, []
    schedule.run(plan)
    turns = [(str(outcome), [paths(sent.request) for sent in outcome.requests], due) for outcome, due in harness.trace]
    return harness.shortcuts, [turns, harness.held(), [repr(fault) for fault in harness.faults]]


def paths(request: Any) -> tuple[list[str], list[str]]:
    return list(getattr(request, "reads", ())), list(getattr(request, "lists", ()))


def test_shortcuts_change_nothing() -> None:
    taken = 0
    for seed in range(1_000):
        plan = quiet(seed)
        number, by_shortcuts = course(plan, shortcuts=True)
        none, in_general = course(plan, shortcuts=False)
        assert by_shortcuts == in_general, f"seed {seed}"
        assert none == 0
        taken += number
    assert taken > 1_000, "hardly any shortcut was taken"
