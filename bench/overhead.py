"""Measures what the instruments cost: the same calls, loads and scrapes with and without them, in turn, in one run.

    python -m bench.overhead [--measure gets,sync,scrape] [--rounds 7]

The clients share one process: kazoo as it is; with the session's stream read through our seam, as for any client with a
TreeCache; with metrics; with metrics and spans, of which one percent is sampled; with metrics and all spans exported to
a sink in the process.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from kazoo.client import KazooClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry, generate_latest

from bench.servers import seeded
from bench.trees import ROOT, TREES, Shape, finish
from exporter import TreeCache, instrument
from exporter.demo.server import ZooKeeperServer
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.instruments import ClientInstruments
from exporter.zookeeper.session import Session

_SYNCHRONOUS = 1_000
_PIPELINED = 10_000

Prepare = Callable[[KazooClient, ExitStack], object]
#: Wall and CPU seconds of each round, by variant.
Rounds = dict[str, list["Stopwatch"]]


class Stopwatch:
    """Measures a block: seconds of wall time, and of this process's CPU time."""

    def __enter__(self) -> Stopwatch:
        self._began = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.wall = time.perf_counter() - self._began[0]
        self.cpu = time.process_time() - self._began[1]


class Sink(SpanExporter):
    """Discards spans."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Discards all of them."""
        return SpanExportResult.SUCCESS


def tracing(client: KazooClient, undo: ExitStack, ratio: float) -> None:
    """Metrics, and spans of which the share `ratio` is exported."""
    provider = TracerProvider(sampler=TraceIdRatioBased(ratio), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Sink(), max_queue_size=100_000))
    undo.callback(provider.shutdown)
    undo.enter_context(instrument(client, registry=CollectorRegistry(), tracer_provider=provider))


def measuring(client: KazooClient, undo: ExitStack) -> None:
    """Metrics alone."""
    undo.enter_context(instrument(client, registry=CollectorRegistry(), tracer_provider=NoOpTracerProvider()))


VARIANTS: dict[str, Prepare] = {
    "kazoo": lambda _client, _undo: None,
    "seam": lambda client, _undo: Session.attach(client),
    "metrics": measuring,
    "1% of spans": lambda client, undo: tracing(client, undo, 0.01),
    "all spans": lambda client, undo: tracing(client, undo, 1),
}


@contextmanager
def clients(hosts: str, variants: Sequence[str]) -> Iterator[dict[str, KazooClient]]:
    """A started client for each variant."""
    with ExitStack() as undo:
        started = {}
        for variant in variants:
            started[variant] = client = KazooClient(hosts)
            VARIANTS[variant](client, undo)
            client.start()
            undo.callback(client.stop)
        yield started


def in_turn(rounds: int, variants: dict[str, KazooClient], work: Callable[[KazooClient], Stopwatch]) -> Rounds:
    """The times of each round; the first one, which warms up, is left out."""
    taken: Rounds = {variant: [] for variant in variants}
    for _ in range(rounds + 1):
        for variant, client in variants.items():
            gc.collect()
            taken[variant].append(work(client))
    return {variant: watches[1:] for variant, watches in taken.items()}


def synchronous_gets(client: KazooClient) -> Stopwatch:
    """Gets one after the other."""
    with Stopwatch() as watch:
        for _ in range(_SYNCHRONOUS):
            client.get(ROOT)
    return watch


def pipelined_gets(client: KazooClient) -> Stopwatch:
    """All gets at once."""
    with Stopwatch() as watch:
        for result in [client.get_async(ROOT) for _ in range(_PIPELINED)]:
            finish(result)
    return watch


def load(client: KazooClient) -> Stopwatch:
    """A tree's first load."""
    cache = TreeCache(client, ROOT, create_root=False)
    with Stopwatch() as watch:
        cache.start()
        assert cache.wait_initialized(300)
    cache.close()
    return watch


def report(title: str, taken: Rounds, count: int, unit: str, scale: float) -> None:
    """Prints medians of wall time with their ranges, and minimum CPU time; both also as ratios to the bases.

    Other load on the machine affects wall time much, and minimum CPU time hardly.
    """
    bases = [variant for variant in taken if variant in ("kazoo", "seam")] or list(taken)[:1]
    heads = [f"{unit} on the clock".rjust(30), *(f"/ {base}".rjust(9) for base in bases)]
    heads += [f"{unit} of CPU".rjust(18), *(f"/ {base}".rjust(9) for base in bases)]
    print(f"\n{title}\n{'':12}{''.join(heads)}")
    wall = {variant: sorted(watch.wall / count * scale for watch in watches) for variant, watches in taken.items()}
    cpu = {variant: min(watch.cpu for watch in watches) / count * scale for variant, watches in taken.items()}
    for variant, each in wall.items():
        middle = statistics.median(each)
        cells = [f"{middle:.2f} ({each[0]:.2f}..{each[-1]:.2f})".rjust(30)]
        cells += [f"{middle / statistics.median(wall[base]):9.2f}" for base in bases]
        cells += [f"{cpu[variant]:18.2f}", *(f"{cpu[variant] / cpu[base]:9.2f}" for base in bases)]
        print(f"{variant:12}{''.join(cells)}", flush=True)


def gets(rounds: int) -> None:
    """Synchronous and pipelined gets of one small znode."""
    with ZooKeeperServer(jvm_options=()) as server, clients(server.hosts, list(VARIANTS)) as variants:
        variants["kazoo"].create(ROOT, b"x" * 100, makepath=True)
        taken = in_turn(3 * rounds, variants, synchronous_gets)
        report(f"{_SYNCHRONOUS:,} synchronous gets", taken, _SYNCHRONOUS, "us/call", 1e6)
        taken = in_turn(rounds, variants, pipelined_gets)
        report(f"{_PIPELINED:,} pipelined gets", taken, _PIPELINED, "us/call", 1e6)


def sync(rounds: int) -> None:
    """The first load of tree b; the variant without instruments still has the seam."""
    with seeded(TREES["b"]) as server, clients(server.hosts, list(VARIANTS)[1:]) as variants:
        report(f"load of {TREES['b']}", in_turn(rounds, variants, load), 1, "ms", 1e3)


def scrape(rounds: int) -> None:
    """A scrape of the daemon's registry with one znode and with a million, in turn."""
    taken: Rounds = {}
    with ExitStack() as undo:
        registries = {}
        for shape in (Shape(0, 0, 100), TREES["e"]):
            server = undo.enter_context(seeded(shape))
            client = KazooClient(server.hosts)
            instruments = ClientInstruments("default", Session.attach(client))
            instruments.start()
            client.start()
            undo.callback(client.stop)
            cache = undo.enter_context(TreeCache(client, ROOT, create_root=False, keep_data=False))
            assert cache.wait_initialized(600)
            registries[f"{len(cache):,}"] = build_registry([instruments.source], "0")
        for _ in range(10 * rounds):
            for znodes, registry in registries.items():
                taken.setdefault(znodes, []).append(timed(partial(generate_latest, registry)))
    report("scrape, by the number of znodes", taken, 1, "ms", 1e3)


def timed(work: Callable[[], object]) -> Stopwatch:
    """Measures a call of `work`."""
    with Stopwatch() as watch:
        work()
    return watch


MEASUREMENTS = {"gets": gets, "sync": sync, "scrape": scrape}


def main() -> None:
    """Runs the measurements that the arguments select."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", default=",".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    for measurement in arguments.measure.split(","):
        MEASUREMENTS[measurement](arguments.rounds)


if __name__ == "__main__":
    main()
