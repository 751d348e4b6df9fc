"""A replica is right under every schedule; a failing schedule is reported in its smallest form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.treecache.phases import TRANSITIONS, Phase, Phases, Step
from exporter.treecache.shard import Shard
from tests.simulation.__main__ import main
from tests.simulation.mutations import MUTATIONS
from tests.simulation.plan import COURSE, FAULTS, HESITATIONS, WRITES, Options, Plan, draw
from tests.simulation.schedule import run
from tests.simulation.shrink import failure, report, shrink

pytestmark = pytest.mark.long

#: How many seeds each test below runs; `make soak` runs many more from the command line.
SEEDS = 1_000

NUMBERS = st.integers(0, 1 << 16)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "root": st.sampled_from(["/", "/deep/er"]),
        "mode": st.sampled_from(["classic", "auto"]),
        "batch_size": st.sampled_from([1, 3]),
        "window": st.just(1),
        "begins": st.sampled_from(["tree", "loaded"]),
        "knows_recursive": st.just(False),
        "closes_after_refusal": st.just(True),
        "reports_unreadable": st.just(True),
        "one_mode_a_path": st.just(True),
        "hesitation": st.integers(1, HESITATIONS - 1),
        "shard": st.sampled_from([Shard(0, 2), Shard(0, 3)]),
    },
)
STEPS = st.tuples(st.sampled_from([*WRITES, *COURSE, *FAULTS]), NUMBERS, NUMBERS)
PLANS = st.builds(Plan, OPTIONS.map(lambda told: named(**told)), st.lists(STEPS, max_size=60))


def named(**options: Any) -> Options:
    return Options(**options)


@pytest.mark.parametrize("first", range(0, 3_000, SEEDS))
def test_every_seed_is_right(first: int) -> None:
    for seed in range(first, first + SEEDS):
        if failure(draw(seed)) is not None:
            pytest.fail(report(seed), pytrace=False)


@given(PLANS)
@settings(max_examples=1000)
def test_every_plan_is_right(plan: Plan) -> None:
    run(plan)


def test_seed_always_gives_the_same_plan() -> None:
    assert draw(4711) == draw(4711)
    assert draw(4711) != draw(4712)


def test_seeds_make_use_of_every_step() -> None:
    drawn = {kind for seed in range(200) for kind, _, _ in draw(seed).steps}
    assert drawn == {*WRITES, *COURSE, *FAULTS}


def test_seeds_make_use_of_every_transition(monkeypatch: pytest.MonkeyPatch) -> None:
    legal = {(phase, step) for phase, steps in TRANSITIONS.items() for step in steps}
    # Two threads or two answers can do this, but not the one stream of a model server.
    legal -= {(phase, Step.CONNECTED) for phase in Phase if phase is not Phase.DETACHED}
    legal -= {(Phase.REFUSED, Step.REFUSED)}
    take = Phases.take

    def take_and_note(phases: Phases, step: Step) -> None:
        legal.discard((phases.current, step))
        take(phases, step)

    monkeypatch.setattr(Phases, "take", take_and_note)
    for seed in range(SEEDS):
        assert failure(draw(seed)) is None
        if not legal:
            return
    pytest.fail(f"no schedule takes {legal}")


def test_failing_seed_is_reported_in_small() -> None:
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.name == "parents_stat_is_not_refreshed")
    with mutation.applied():
        seed = next(seed for seed in range(100) if failure(draw(seed)))
        told = report(seed)
        small = shrink(draw(seed))
        assert failure(small) is not None
    assert f"python -m tests.simulation {seed}`" in told
    assert "AssertionError" in told
    assert len(small.steps) <= 3 < len(draw(seed).steps)
    # The plan in the report is Python, to be pasted into a test.
    assert eval(told[told.index("Plan(") :], {"Plan": Plan, "Options": Options, "Shard": Shard}).steps
    assert failure(small) is None


def test_command_runs_seeds_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["7", "--schedules", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 schedules in ")
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.name == "totals_never_fall")
    with mutation.applied():
        assert main(["0", "--schedules", "100"]) == 1
    assert "seeds: " in capsys.readouterr().out
