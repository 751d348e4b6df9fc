"""Soak: the exporter under faults and scrapes for an hour, after which its memory must be as it was.

Run it as `python -m tests.soak [MINUTES] [SEED]`. It prints the curve of resident memory, and ends with status 1 when
that is not flat or when a scrape failed.
"""

from __future__ import annotations

import contextlib
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
from kazoo.client import KazooClient

from exporter.demo.server import NETTY, ZooKeeperServer
from tests.conftest import TICK_TIME, connected
from tests.faults.proxy import DOWN, UP, Proxy
from tests.integration.processes import Exporter, running_exporter
from tests.support import eventually

ZNODES = 5_000
WRITES_PER_SECOND = 50
SCRAPES_PER_SECOND = 10
#: Seconds between faults, and how long one lasts at most: longer than a session.
BETWEEN_FAULTS, LONGEST_FAULT = 5.0, 6.0
#: How many points the curve has, and by which share of itself memory may be larger in its last quarter than in its
#: second one; the first is warm-up.
POINTS, GROWTH = 60, 0.03
WIDTH = 60
MIB = 2**20


class Periodic(threading.Thread):
    """Does something again and again until it is told to end; an error ends it, and is raised by `end`."""

    def __init__(self, interval: Callable[[], float], act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._interval = interval
        self._act = act
        self._ending = threading.Event()
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Acts on time: what an act takes is no part of the interval."""
        due = time.monotonic()
        try:
            while not self._ending.wait(max(0.0, due - time.monotonic())):
                due = max(due, time.monotonic() - 1) + self._interval()
                self._act()
        except Exception as error:
            self._error = error

    def end(self) -> None:
        self._ending.set()
        self.join()
        if self._error is not None:
            raise self._error


@contextlib.contextmanager
def periodically(interval: Callable[[], float], act: Callable[[], None]) -> Iterator[None]:
    work = Periodic(interval, act)
    try:
        yield
    finally:
        work.end()


class Writer:
    """Changes a tree whose size stays the same."""

    def __init__(self, client: KazooClient, chance: random.Random) -> None:
        self._client = client
        self._chance = chance
        for creation in [client.create_async(f"/{number}", b"0" * 100) for number in range(ZNODES)]:
            creation.get()

    def write(self) -> None:
        path = f"/{self._chance.randrange(ZNODES)}"
        if self._chance.random() < 0.5:
            self._client.set(path, self._chance.randbytes(100))
        else:
            self._client.delete(path)
            self._client.create(path, self._chance.randbytes(100))


class Faults:
    """What befalls the exporter's connection, one thing after the other."""

    def __init__(self, proxy: Proxy, chance: random.Random) -> None:
        self._proxy = proxy
        self._chance = chance
        self.count = 0

    def strike(self) -> None:
        chance = self._chance
        kinds: list[Callable[[], None]] = [
            self._proxy.cut,
            self._disappear,
            *(partial(fault, way) for fault in (self._proxy.stall, self._proxy.break_frame) for way in (UP, DOWN)),
        ]
        chance.choice(kinds)()
        self.count += 1
        time.sleep(chance.uniform(0, LONGEST_FAULT))
        self._proxy.heal()

    def _disappear(self) -> None:
        self._proxy.refuse()
        self._proxy.cut()


class Scrapes:
    """What a Prometheus asks, over one connection."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10)
        self.seconds: list[float] = []

    def scrape(self) -> None:
        begun = time.monotonic()
        self._client.get("/metrics").raise_for_status()
        self.seconds.append(time.monotonic() - begun)


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def curve(samples: Sequence[int]) -> str:
    """A line for each stretch of time, with the median of its samples and a bar that begins at zero."""
    stretches = [samples[i * len(samples) // POINTS : (i + 1) * len(samples) // POINTS] for i in range(POINTS)]
    medians = [statistics.median(stretch) for stretch in stretches if stretch]
    share = [round(WIDTH * median / max(medians)) for median in medians]
    lines = (f"{median / MIB:8.1f} MiB {'#' * width}" for median, width in zip(medians, share, strict=True))
    return "\n".join(lines)


def growth(samples: Sequence[int]) -> float:
    """By which share of itself memory is larger in the last quarter than in the second."""
    quarter = len(samples) // 4
    second, last = (statistics.median(samples[i * quarter : (i + 1) * quarter]) for i in (1, 3))
    return last / second - 1


def soak(seconds: float, seed: int) -> bool:
    """Whether memory is flat in the end; raises what went wrong otherwise."""
    chance = random.Random(seed)
    samples: list[int] = []
    with contextlib.ExitStack() as world:
        server = world.enter_context(ZooKeeperServer(tick_time=TICK_TIME, system_properties=NETTY))
        proxy = world.enter_context(Proxy(server.port))
        writer = Writer(world.enter_context(connected(server.hosts)), random.Random(seed + 1))
        folder = Path(world.enter_context(tempfile.TemporaryDirectory()))
        flags = ("--freshness.interval=1s", "--audit.interval=10s")
        exporter = world.enter_context(running_exporter(folder, proxy.hosts, "/", flags=flags))
        exporter.wait_ready()
        scrapes, faults = Scrapes(exporter.url), Faults(proxy, chance)
        with (
            periodically(lambda: 1 / WRITES_PER_SECOND, writer.write),
            periodically(lambda: 1 / SCRAPES_PER_SECOND, scrapes.scrape),
            periodically(lambda: BETWEEN_FAULTS, faults.strike),
            periodically(lambda: 1.0, lambda: samples.append(resident(exporter.pid))),
        ):
            time.sleep(seconds)
        proxy.heal()
        report(exporter, scrapes, faults, samples)
        status, took = exporter.stop()
        assert (status, took < 5) == (0, True), f"ended with status {status} after {took:.1f} s"
    return growth(samples) <= GROWTH


def report(exporter: Exporter, scrapes: Scrapes, faults: Faults, samples: Sequence[int]) -> None:
    """Prints what happened, once the exporter has caught up."""
    eventually(lambda: exporter.metric("zookeeper_client_up") == 1, timeout=30)
    # With the root and what ZooKeeper itself keeps below /zookeeper.
    eventually(lambda: exporter.metric("zookeeper_cache_nodes") == ZNODES + 4, timeout=30)
    lost = exporter.metric("zookeeper_client_sessions_lost_total")
    slowest = max(scrapes.seconds)
    print(curve(samples))
    print(
        f"soak: {len(scrapes.seconds)} scrapes, the slowest {slowest:.3f} s; {faults.count} faults, {lost:g} sessions"
    )
    print(f"soak: memory in the last quarter against the second: {growth(samples):+.1%}, accepted: {GROWTH:+.0%}")


def main(words: Sequence[str]) -> int:
    """Runs it and gives the exit status."""
    minutes = float(words[0]) if words else 60.0
    seed = int(words[1]) if len(words) > 1 else random.randrange(2**32)
    print(f"soak: {minutes:g} minutes with seed {seed}", flush=True)
    return 0 if soak(minutes * 60, seed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
