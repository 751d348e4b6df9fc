"""Found: for each broken rule the seed of the first schedule that notices it, so that tests need not search for it.

`python -m tests.simulation.found` writes the file; run it again if schedules are drawn differently, or if the search
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
#: A broken rule must be noticed within this many schedules.
BOUND = 40_000


def plan_that_finds(mutation: Mutation) -> Plan | None:
    """A schedule that fails with the broken rule: its witness, or a drawn one; None if no schedule fails."""
    if mutation.witness is not None:
        with mutation.applied():
            return mutation.witness if failure(mutation.witness) is not None else None
    seed = seed_that_finds(mutation)
    return None if seed is None else draw(seed)


def seed_that_finds(mutation: Mutation) -> int | None:
    """The seed of a schedule that fails with the broken rule, the recorded one if it does; None if none is found."""
    with mutation.applied():
        on_record = json.loads(PATH.read_text()).get(mutation.name) if PATH.exists() else None
        seeds = ([] if on_record is None else [on_record]) + list(range(BOUND))
        return next((seed for seed in seeds if failure(draw(seed)) is not None), None)


def main() -> None:
    """Searches the seeds for all broken rules again."""
    PATH.unlink(missing_ok=True)
    drawn = [number for number, mutation in enumerate(MUTATIONS) if mutation.witness is None]
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip((MUTATIONS[number].name for number in drawn), pool.map(_search, drawn), strict=True))
    PATH.write_text(json.dumps(found, indent=2) + "\n")


def _search(number: int) -> int | None:
    return seed_that_finds(MUTATIONS[number])


if __name__ == "__main__":
    main()
