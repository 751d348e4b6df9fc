"""The simulation notices each rule of the replica that is broken on purpose."""

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
    # A check failed, or the table of phases refused a step; any other error is a defect of the mutation.
    assert isinstance(error, AssertionError | IllegalTransitionError)
    # The broken rule caused it: without the mutation the same schedule passes.
    assert failure(found) is None
