"""Found: for each broken rule the seed of the first schedule that finds it out, so that tests need not search for it.

Written by `python -m tests.simulation.found`; to be done again when schedules are drawn in another way, or the search
takes long.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.plan import Plan, draw
from tests.simulation.shrink import failure

PATH = Path(__file__).with_suffix(".json")
#: A rule that is broken must show within so many schedules.
BOUND = 40_000


def plan_that_finds(mutation: Mutation) -> Plan | None:
    """A schedule that fails with the broken rule: its witness, or one that is drawn; None if none does."""
    if mutation.witness is not None:
        with mutation.applied():
            return mutation.witness if failure(mutation.witness) is not None else None
    seed = seed_that_finds(mutation)
    return None if seed is None else draw(seed)


def seed_that_finds(mutation: Mutation) -> int | None:
    """The seed of a schedule that fails with the broken rule, the one on record if it does; None within the bound."""
    with mutation.applied():
        on_record = json.loads(PATH.read_text()).get(mutation.name) if PATH.exists() else None
        seeds = ([] if on_record is None else [on_record]) + list(range(BOUND))
        return next((seed for seed in seeds if failure(draw(seed)) is not None), None)


def main() -> None:
    """Searches for all of them anew."""
    PATH.unlink(missing_ok=True)
    drawn = [number for number, mutation in enumerate(MUTATIONS) if mutation.witness is None]
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip((MUTATIONS[number].name for number in drawn), pool.map(_search, drawn), strict=True))
    PATH.write_text(json.dumps(found, indent=2) + "\n")


def _search(number: int) -> int | None:
    return seed_that_finds(MUTATIONS[number])


if __name__ == "__main__":
    main()
