"""Measures what caches of one tree cost an ensemble: watches, requests and bytes of each server, in one run.

    python -m bench.ensemble [--copies 1x1,1x2,4x1,4x2]        # shards x replicas

Three servers on this machine form an ensemble; every cache has its own session, and the servers take turns. It
measures the first load of all caches, a minute without changes but with freshness checks at the daemon's interval, and
updates of single znodes, written at the last server. Requests and watches are the servers' own counts (``mntr``), bytes
those of the caches' sessions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from kazoo.client import KazooClient

from bench.servers import started
from bench.trees import ROOT, Shape
from exporter import TreeCache
from exporter.demo.server import mntr
from exporter.treecache import Shard
from exporter.zookeeper.session import Session
from tests.faults.ensemble import Ensemble

_SHAPE = Shape(1_000, 99, 100)
_FRESHNESS_INTERVAL = 5.0
_IDLE_SECONDS = 30.0
_UPDATES = 5_000
_UPDATES_PER_SECOND = 250


@dataclass(frozen=True)
class Counts:
    """Counts up to a moment: requests and watches of each server, bytes of all sessions."""

    requests: tuple[int, ...]
    watches: tuple[int, ...]
    sent: int
    received: int


class Copies:
    """Shards and replicas of one tree, each with its own session."""

    def __init__(self, ensemble: Ensemble, caches: Mapping[TreeCache, KazooClient]) -> None:
        self._ensemble = ensemble
        self._caches = caches

    def load(self) -> None:
        """Loads all of them."""
        for cache in self._caches:
            cache.start()
        for cache in self._caches:
            cache.wait_initialized()

    def verify(self) -> None:
        """Waits until all hold every change up to now."""
        for cache in self._caches:
            cache.verify(60)

    def counts(self) -> Counts:
        """The counts so far."""
        seen = [mntr(member.port) for member in self._ensemble.members]
        stats = [Session.attach(client).stats() for client in self._caches.values()]
        return Counts(
            tuple(int(each["zk_packets_received"]) for each in seen),
            tuple(int(each["zk_watch_count"]) for each in seen),
            sum(each.sent_bytes for each in stats),
            sum(each.received_bytes for each in stats),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures each number of shards and replicas in turn."""
    parser = argparse.ArgumentParser(prog="python -m bench.ensemble", description=__doc__)
    parser.add_argument("--copies", default="1x1,1x2,4x1,4x2", help="shards x replicas (default: %(default)s)")
    options = parser.parse_args(arguments)
    with Ensemble() as ensemble, started(f"127.0.0.1:{ensemble.members[-1].port}", timeout=10) as writer:
        _SHAPE.seed(writer)
        print(f"{_SHAPE}, {_SHAPE.directories:,} first-level children, {len(ensemble.members)} servers\n", flush=True)
        for copies in options.copies.split(","):
            shards, replicas = map(int, copies.split("x"))
            measure(ensemble, writer, shards, replicas)


def measure(ensemble: Ensemble, writer: KazooClient, shards: int, replicas: int) -> None:
    """Prints what this many copies cost while they load, are idle, and follow updates."""
    print(f"{shards} shards, {replicas} replicas")
    with _copies(ensemble, shards, replicas) as copies:
        began = copies.counts()
        copies.load()
        loaded = copies.counts()
        _report("load", began, loaded, 1)
        print(f"  watches at each server   {loaded.watches}", flush=True)
        time.sleep(_IDLE_SECONDS)
        rested = copies.counts()
        _report("an idle minute", loaded, rested, 60 / _IDLE_SECONDS)
        _update(writer)
        copies.verify()
        _report("an update", rested, copies.counts(), 1 / _UPDATES)


def _report(name: str, before: Counts, after: Counts, scale: float) -> None:
    requests = [scale * (now - then) for then, now in zip(before.requests, after.requests, strict=True)]
    sent, received = scale * (after.sent - before.sent), scale * (after.received - before.received)
    print(
        f"  {name:24} requests at each server {', '.join(f'{value:,.2f}' for value in requests)};"
        f" bytes sent {sent:,.0f}, received {received:,.0f}",
        flush=True,
    )


def _update(writer: KazooClient) -> None:
    paths = list(_SHAPE.leaf_paths())
    began = time.perf_counter()
    results = []
    for number in range(_UPDATES):
        time.sleep(max(0.0, began + number / _UPDATES_PER_SECOND - time.perf_counter()))
        results.append(writer.set_async(paths[number * 7919 % len(paths)], b"x" * _SHAPE.data_size))
    for result in results:
        result.get()


@contextmanager
def _copies(ensemble: Ensemble, shards: int, replicas: int) -> Iterator[Copies]:
    with ExitStack() as stack:
        caches: dict[TreeCache, KazooClient] = {}
        for number in range(shards * replicas):
            member = ensemble.members[number % len(ensemble.members)]
            client = stack.enter_context(started(f"127.0.0.1:{member.port}", timeout=10))
            cache = TreeCache(
                client,
                ROOT,
                create_root=False,
                keep_data=False,
                freshness_interval=_FRESHNESS_INTERVAL,
                shard=Shard(number % shards, shards) if shards > 1 else None,
            )
            stack.callback(cache.close)
            caches[cache] = client
        yield Copies(ensemble, caches)


if __name__ == "__main__":
    main()
