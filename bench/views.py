"""What views cost, in processor time: an event and a load with some rules and with the sizes, and a scrape.

    python -m bench.views [--znodes 100000] [--series 10000] [--rounds 5]

The view gets the changes as from a cache, without a server: those of a load (runs of siblings), and single updates. The
costs are medians of several rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from exporter import Rule
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Event
from exporter.treecache.view import View
from exporter.views.limits.view import Limits, LimitsView
from exporter.views.metrics import Source, families
from exporter.views.rules.view import RulesView
from exporter.zookeeper.records import without_data
from tests.simulation.znodes import Znode

#: As many siblings as a bulk read brings.
RUN = 500


#: Rules that count the znodes of the tree below the directories.
MATCHING = {
    "all": Rule(name="znodes", match="/app/*/*", value="count", kind="persistent"),
    "all whose names are leaf-[0-9]+": Rule(
        name="leaves", match="/app/{directory}/{leaf:leaf-[0-9]+}", value="count", by=[], kind="persistent"
    ),
    "those of each directory": Rule(
        name="by_directory", match="/app/{directory}/{leaf}", value="count", by=["directory"]
    ),
}


def others(number: int) -> list[Rule]:
    """So many rules that match nothing in the tree."""
    matches = [f"/other-{index}/{{service}}/instances/{{id}}" for index in range(number)]
    return [Rule(name=f"of_{index}", match=match, value="count", by=[]) for index, match in enumerate(matches)]


def views() -> Iterator[tuple[str, Callable[[], View]]]:
    """What is measured: its name, and how to make it."""
    for number in (0, 1, 20):
        yield f"rules that match nothing: {number}", partial(RulesView, others(number), "/app")
    for named, rule in MATCHING.items():
        yield f"a rule that counts {named}", partial(RulesView, [rule], "/app")
    yield "the same and 19 that match nothing", partial(RulesView, [rule, *others(19)], "/app")
    for subtrees in (0, 50):
        yield f"sizes, {subtrees or 'no'} subtrees", partial(LimitsView, Limits(subtrees=subtrees), lambda _: ())


def load(znodes: int) -> list[AddedRun]:
    """The changes of a load of a tree of directories, of which the data is not kept, as by default."""
    record = without_data(Znode(b"x" * 100, 2, 2, 2).record)
    return [
        AddedRun([f"/dir-{start:07}/leaf-{index:06}" for index in range(RUN)], [record] * RUN, {"persistent": RUN})
        for start in range(0, znodes, RUN)
    ]


def updates(znodes: int) -> list[Event]:
    """Single changes of znodes all over the tree."""
    old, new = (without_data(Znode(b"x" * 100, 2, mzxid, 2).record) for mzxid in (2, 3))
    return [
        Event(TreeEvent.NODE_UPDATED, f"/dir-{index % 100 * RUN:07}/leaf-{index % RUN:06}", new, old)
        for index in range(znodes)
    ]


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median processor time of the work."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def of_a_load(make: Callable[[], View], runs: Sequence[AddedRun], rounds: int) -> float:
    """Seconds that a view adds to a load."""

    def work() -> None:
        view = make()
        for run in runs:
            view.changed([run])
        view.complete()

    return seconds(work, rounds)


def of_updates(make: Callable[[], View], runs: Sequence[AddedRun], events: Sequence[Event], rounds: int) -> float:
    """Seconds that a view of the tree adds to updates that come one by one."""
    view = make()
    view.changed(runs)
    view.complete()

    def work() -> None:
        for event in events:
            view.changed([event])

    return seconds(work, rounds)


class _Families(Collector):
    def __init__(self, view: RulesView) -> None:
        self._source = Source("main", "/app", view)

    def collect(self) -> list[Family]:
        return list(families([self._source]))


def of_a_scrape(series: int, rounds: int) -> tuple[float, float]:
    """Seconds for collecting so many series, and for the whole scrape with its text."""
    rule = Rule(name="instances", match="/app/{service}/{id}", value="version", max_series=series)
    view = RulesView([rule], "/app")
    record = Znode(b"x" * 100, 2, 2, 2).record
    view.changed([AddedRun([f"/service/{index:06}" for index in range(series)], [record] * series)])
    view.complete()
    collector, registry = _Families(view), CollectorRegistry()
    registry.register(collector)
    return seconds(collector.collect, rounds), seconds(lambda: generate_latest(registry), rounds)


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.views", description=__doc__)
    parser.add_argument("--znodes", type=int, default=100_000)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    runs, events = load(given.znodes), updates(given.znodes)
    print("| view | a znode of a load, us | an event, us |\n|---|---|---|")
    for name, make in views():
        loading = of_a_load(make, runs, given.rounds) / given.znodes * 1e6
        updating = of_updates(make, runs, events, given.rounds) / given.znodes * 1e6
        print(f"| {name} | {loading:.2f} | {updating:.2f} |", flush=True)
    collecting, scraping = of_a_scrape(given.series, given.rounds)
    print(
        f"\nA scrape of {given.series} series: {1000 * scraping:.0f} ms, {1000 * collecting:.0f} ms without the text."
    )


if __name__ == "__main__":
    main()
