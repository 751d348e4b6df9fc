"""Soak: the exporter under faults, scrapes, reloads and an open page for an hour, after which memory must be as it was.

Run it as `python -m tests.soak [MINUTES] [SEED]`. It prints the curve of resident memory, and ends with status 1 when
that is not flat, and with an error when a scrape, a reload or the page failed, when the log has an error, or when no
fault struck or no session was lost.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from kazoo.client import KazooClient

from exporter.demo.server import NETTY, ZooKeeperServer
from tests import plainhttp
from tests.conftest import TICK_TIME, connected
from tests.faults.proxy import DOWN, UP, Proxy
from tests.integration.processes import STOP_LIMIT, Exporter, configured_exporter
from tests.support import LONG_SESSIONS, eventually

ZNODES = 5_000
WRITES_PER_SECOND = 50
SCRAPES_PER_SECOND = 10
#: Seconds between faults, and how long one lasts at most: longer than a session.
BETWEEN_FAULTS, LONGEST_FAULT = 5.0, 6.0
BETWEEN_RELOADS = 60.0
#: How many points the curve has, and by which share of itself memory may be larger in its last quarter than in its
#: second one; the first is warm-up.
POINTS, GROWTH = 60, 0.03
WIDTH = 60
MIB = 2**20


class Periodic(threading.Thread):
    """Repeats an action until `end` is called or an error occurs, which `end` raises."""

    def __init__(self, interval: Callable[[], float], act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._interval = interval
        self._act = act
        self._ending = threading.Event()
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Acts at fixed intervals, which include the duration of the action."""
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
        self._client = plainhttp.Client(base_url=url, timeout=10)
        self.seconds: list[float] = []

    def scrape(self) -> None:
        begun = time.monotonic()
        self._client.get("/metrics").raise_for_status()
        self.seconds.append(time.monotonic() - begun)


class Page(threading.Thread):
    """An open page, which receives changes until the exporter ends."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/-/events"
        self.messages = 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(httpx.TransportError), plainhttp.stream("GET", self._url, timeout=30) as response:
            for line in response.iter_lines():
                self.messages += line.startswith("data: ")


class Reloads:
    """Reloads of a configuration with one tree that stays and another that is a new one each time."""

    def __init__(self, config: Path, hosts: str) -> None:
        self.config = config
        self._hosts = hosts
        self.count = 0
        self._write()

    def _write(self) -> None:
        often = {"freshness": {"interval": "1s"}, "audit": {"interval": "10s"}}
        changing = {"name": "changing", "path": "/", "max_depth": self.count % 2}
        ensemble = {"name": "main", "hosts": self._hosts, "trees": [{"path": "/", **often}, changing]}
        self.config.write_text(json.dumps({"ensembles": [ensemble]}))

    def reload(self, exporter: Exporter) -> None:
        self.count += 1
        self._write()
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: len(exporter.logged("configuration reloaded")) == self.count)


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
    """Whether memory is flat at the end; raises any other error."""
    chance = random.Random(seed)
    samples: list[int] = []
    with contextlib.ExitStack() as world:
        server = world.enter_context(
            ZooKeeperServer(tick_time=TICK_TIME, config=LONG_SESSIONS, system_properties=NETTY)
        )
        proxy = world.enter_context(Proxy(server.port))
        writer = Writer(world.enter_context(connected(server.hosts)), random.Random(seed + 1))
        folder = Path(world.enter_context(tempfile.TemporaryDirectory()))
        reloads = Reloads(folder / "config.yml", proxy.hosts)
        exporter = world.enter_context(configured_exporter(reloads.config))
        exporter.wait_ready()
        scrapes, faults, page = Scrapes(exporter.url), Faults(proxy, chance), Page(exporter.url)
        with (
            periodically(lambda: 1 / WRITES_PER_SECOND, writer.write),
            periodically(lambda: 1 / SCRAPES_PER_SECOND, scrapes.scrape),
            periodically(lambda: BETWEEN_FAULTS, faults.strike),
            periodically(lambda: BETWEEN_RELOADS, lambda: reloads.reload(exporter)),
            periodically(lambda: 1.0, lambda: samples.append(resident(exporter.pid))),
        ):
            time.sleep(seconds)
        proxy.heal()
        lost = caught_up(exporter)
        print(curve(samples))
        print(
            f"soak: {len(scrapes.seconds)} scrapes, the slowest {max(scrapes.seconds):.3f} s; {faults.count} faults, "
            f"{lost:g} sessions lost; {reloads.count} reloads; {page.messages} messages to the page"
        )
        print(f"soak: memory in the last quarter against the second: {growth(samples):+.1%}, accepted: {GROWTH:+.0%}")
        assert faults.count > 0 < lost, "nothing befell it"
        assert page.is_alive(), "the page was left alone"
        assert page.messages > seconds / 2, "the page was told too little"
        status, took = exporter.stop()
        assert (status, took < STOP_LIMIT) == (0, True), f"ended with status {status} after {took:.1f} s"
        assert not (errors := told_errors(exporter)), f"errors in the log: {errors[:3]}"
    return growth(samples) <= GROWTH


def caught_up(exporter: Exporter) -> float:
    """How many sessions were lost, once the exporter has caught up with ZooKeeper."""
    eventually(lambda: exporter.metric("zookeeper_client_up") == 1, timeout=30)
    # With the root and what ZooKeeper itself keeps below /zookeeper.
    eventually(lambda: exporter.metric("zookeeper_cache_nodes", tree="/") == ZNODES + 4, timeout=30)
    return exporter.metric("zookeeper_client_sessions_lost_total")


def told_errors(exporter: Exporter) -> list[dict[str, Any]]:
    """What the log has of errors, and of lines with a traceback."""
    return [line for line in exporter.log_lines() if line["level"] in ("error", "critical") or "exception" in line]


def main(words: Sequence[str]) -> int:
    """Runs the test and returns the exit status."""
    minutes = float(words[0]) if words else 60.0
    seed = int(words[1]) if len(words) > 1 else random.randrange(2**32)
    print(f"soak: {minutes:g} minutes with seed {seed}", flush=True)
    return 0 if soak(minutes * 60, seed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
