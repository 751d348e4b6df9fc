"""Shrink: makes the plan of a failing seed small, by hypothesis, so that it can become a regression test."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.simulation.plan import Options, Plan, draw
from tests.simulation.schedule import run

#: A step is left out with a chance of one in this many: most first attempts keep nearly the whole plan.
_KEEP = 1 << 12
_SETTINGS = settings(
    max_examples=500,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def failure(plan: Plan) -> Exception | None:
    """The error when a plan is carried out, or None."""
    try:
        run(plan)
    except Exception as error:
        return error
    return None


def report(seed: int) -> str:
    """The error of a seed's schedule, how to run it again, and the smallest plan that fails in the same way."""
    plan = draw(seed)
    error = failure(plan)
    if error is None:
        return f"seed {seed} passes"
    small = shrink(plan, lambda plan: _kind(failure(plan)) == _kind(error))
    told = "".join(traceback.format_exception(failure(small) or error))
    return f"{told}seed {seed} failed; run it again with `python -m tests.simulation {seed}`. In small:\n{small}"


def _kind(error: Exception | None) -> tuple[type, int] | None:
    """What distinguishes failures: the type, and the line where it was raised."""
    if error is None:
        return None
    return type(error), traceback.extract_tb(error.__traceback__)[-1].lineno or 0


def shrink(plan: Plan, fails: Callable[[Plan], bool] = lambda plan: failure(plan) is not None) -> Plan:
    """The plan that fails with the fewest steps, smallest numbers and fewest unusual options that hypothesis finds."""
    for strategy in (_fewer_steps, _simpler):
        try:
            plan = find(strategy(plan), fails, settings=_SETTINGS)
        except NoSuchExample:
            continue
    return plan


def _fewer_steps(plan: Plan) -> st.SearchStrategy[Plan]:
    count = len(plan.steps)
    flags = st.lists(st.integers(0, _KEEP), min_size=count, max_size=count)
    return flags.map(lambda kept: plan._replace(steps=[s for s, keep in zip(plan.steps, kept, strict=True) if keep]))


def _simpler(plan: Plan) -> st.SearchStrategy[Plan]:
    """The same steps with smaller numbers, and with default options if these make no difference."""
    unusual = plan.options.unusual()
    options = st.lists(st.integers(0, _KEEP), min_size=len(unusual), max_size=len(unusual)).map(
        lambda kept: Options(**{name: unusual[name] for name, keep in zip(unusual, kept, strict=True) if keep})
    )
    steps = st.tuples(*(st.tuples(st.just(kind), _down_from(n), _down_from(m)) for kind, n, m in plan.steps))
    return st.builds(Plan, options, steps.map(list))


def _down_from(number: int) -> st.SearchStrategy[int]:
    """A number, or a smaller one that may have the same effect; mostly itself."""
    return st.sampled_from([0, *(number % modulus for modulus in (2, 4, 8, 16, 64, 256, 4096)), *[number] * 200])
