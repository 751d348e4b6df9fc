"""Runs schedules from the command line: one seed, or many on several cores."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence

from tests.simulation.plan import draw
from tests.simulation.shrink import failure, report

_CHUNK = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every schedule passed, else 1; prints the seeds that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0, help="the (first) seed; 0 by default")
    parser.add_argument("--schedules", type=int, default=1, metavar="N", help="how many seeds to run from there on")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many processes to run them in")
    options = parser.parse_args(arguments)
    end, began = options.seed + options.schedules, time.monotonic()
    chunks = [range(first, min(end, first + _CHUNK)) for first in range(options.seed, end, _CHUNK)]
    failed: list[int] = []
    if options.jobs == 1:
        for chunk in chunks:
            failed += failing(chunk)
    else:
        with multiprocessing.Pool(options.jobs) as pool:
            for seeds in pool.imap_unordered(failing, chunks):
                failed += seeds
    print(f"{options.schedules} schedules in {time.monotonic() - began:.1f} s, {len(failed)} of them failed")
    if failed:
        print("seeds:", *sorted(failed)[:20])
        print(report(min(failed)))
    return 1 if failed else 0


def failing(seeds: range) -> list[int]:
    """The seeds whose schedules fail."""
    return [seed for seed in seeds if failure(draw(seed)) is not None]


if __name__ == "__main__":
    sys.exit(main())
