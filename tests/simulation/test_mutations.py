"""The simulation sees: each rule of the replica, broken on purpose, is found out."""

from __future__ import annotations

import pytest

from exporter.treecache.phases import IllegalTransitionError
from tests.simulation.found import plan_that_finds
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.shrink import failure


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_broken_rule_is_found_out(mutation: Mutation) -> None:
    found = plan_that_finds(mutation)
    assert found is not None
    with mutation.applied():
        error = failure(found)
    # It was judged, or refused by the table of phases; anything else is a defect of what broke the rule.
    assert isinstance(error, AssertionError | IllegalTransitionError)
    # It was the broken rule: whole again, the same schedule is right.
    assert failure(found) is None
