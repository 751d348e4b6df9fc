"""How much rules slow a first load: the same tree from a real server, without and with rules, in turn.

    python -m bench.rules [--znodes 1000000] [--rounds 7]

As in the daemon, the caches keep stats but no data. Every znode below the directories matches the rule.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence

from bench.figures import spread
from bench.servers import seeded, started
from bench.trees import ROOT, Shape
from exporter import Rule, TreeCache
from exporter.views.rules.view import RulesView

#: First-level children of the tree.
DIRECTORIES = 1_000
#: The rules of each load.
RULES: dict[str, Sequence[Rule]] = {
    "no rule": (),
    "count of all": [Rule(name="znodes", match=f"{ROOT}/*/*", value="count")],
    "count of all, by directory": [
        Rule(name="znodes", match=f"{ROOT}/{{service}}/{{id}}", value="count", by=["service"])
    ],
    "count of all instance-[0-9]+": [
        Rule(name="znodes", match=f"{ROOT}/{{service}}/instance-{{id:[0-9]+}}", value="count", by=[], kind="persistent")
    ],
}
#: Seconds elapsed, and of processor time.
Seconds = tuple[float, float]


def load(hosts: str, shape: Shape, rules: Sequence[Rule]) -> Seconds:
    """Loads the tree once."""
    gc.collect()
    with started(hosts, timeout=40) as client:
        cache = TreeCache(client, ROOT, create_root=False, keep_data=False)
        view = RulesView.of(cache, rules)
        if rules:
            cache.add_view(view)
        begun, cpu = time.perf_counter(), time.process_time()
        with cache:
            assert cache.wait_initialized(600)
            while rules and not view.is_known:
                time.sleep(0.0005)
            taken = time.perf_counter() - begun, time.process_time() - cpu
            assert len(cache) == shape.size
            if rules:
                counted = sum(view.snapshots()[0].series[0][1].values())
                assert counted == shape.size - DIRECTORIES - 1, counted
    return taken


def main() -> None:
    """Seeds the tree, loads it, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.rules", description=__doc__)
    parser.add_argument("--znodes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    shape = Shape(DIRECTORIES, max(1, given.znodes // DIRECTORIES), 100)
    found: dict[str, list[Seconds]] = {named: [] for named in RULES}
    with seeded(shape) as server:
        for _ in range(given.rounds):
            for named, rules in RULES.items():
                found[named].append(load(server.hosts, shape, rules))
    print(f"| {shape} | load, s | / no rule | CPU s | / no rule |\n|---|---|---|---|---|")
    for named, rounds in found.items():
        cells = [
            cell
            for column in (0, 1)
            for cell in cells_of([one[column] for one in rounds], [one[column] for one in found["no rule"]])
        ]
        print(f"| {named} | {' | '.join(cells)} |")


def cells_of(seconds: Sequence[float], without: Sequence[float]) -> tuple[str, str]:
    """The seconds, and their ratios to those of the same rounds without rules."""
    ratios = [one / other for one, other in zip(seconds, without, strict=True)]
    return spread(seconds, ".2f"), spread(ratios, ".2f")


if __name__ == "__main__":
    main()
