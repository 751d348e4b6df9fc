"""Measures what open pages cost the engine: it follows 20,000 updates with no page open and with 100, in turn.

    python -m bench.pages [--pages 100] [--rounds 7]

The exporter's ensembles and web server run in their own process; a page is a connection to its server-sent events,
which is read immediately. Another process writes at full speed. *CPU* is the CPU time of the exporter's process from
before the first write until it holds the last one, with pages and the writer's start; *behind* is the time from the
acknowledgement of the last write until the exporter holds it; *idle* is the CPU time per second without writes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import selectors
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from bench.daemon import Daemon
from bench.figures import spread
from bench.measure import UPDATES, Figures, PeerProcess, update_from_another_process
from bench.servers import seeded
from bench.trees import TREES, Shape
from exporter.daemon import logs
from exporter.demo.server import ZooKeeperServer
from exporter.pages.routes import EVENTS_PATH

_IDLE_SECONDS = 5


class Exporter:
    """The commands of the measured process, by name; see `bench.peer`."""

    def __init__(self, hosts: str) -> None:
        self._daemon = Daemon(hosts, keep_data=True)
        self._daemon.serve()
        self._daemon.start()

    def load(self) -> dict[str, Any]:
        cache = self._daemon.cache
        cache.wait_initialized(300)
        return {"url": self._daemon.url, "znodes": len(cache)}

    def wait(self, path: str, data: str) -> dict[str, Any]:
        wanted, cache = data.encode(), self._daemon.cache
        while (node := cache.get_data(path)) is None or node.data != wanted:
            time.sleep(0.001)
        return {"at": time.time()}

    def cpu(self) -> dict[str, Any]:
        return {"seconds": time.process_time()}


@contextlib.contextmanager
def open_pages(url: str, number: int) -> Iterator[None]:
    """Keeps this many pages open; the block begins once each has received all cells."""
    host, _, port = url.removeprefix("http://").partition(":")
    request = f"GET {EVENTS_PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    received: set[int] = set()
    stop = threading.Event()
    with contextlib.ExitStack() as undo:
        pages = undo.enter_context(selectors.DefaultSelector())
        for _ in range(number):
            page = undo.enter_context(socket.create_connection((host, int(port))))
            page.sendall(request)
            pages.register(page, selectors.EVENT_READ)

        def read() -> None:
            while not stop.wait(0.05):
                for key, _ in pages.select(0):
                    part = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
                    if b"\ndata: " in part:
                        received.add(key.fd)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            deadline = time.monotonic() + 30
            while len(received) < number:
                if time.monotonic() > deadline:
                    sys.exit(f"bench: only {len(received)} of {number} pages received anything")
                time.sleep(0.05)
            yield
        finally:
            stop.set()
            reader.join()
    # Gives the exporter time to notice that the pages are closed; else the next ones could exceed its limit.
    time.sleep(1)


def measured(exporter: PeerProcess, server: ZooKeeperServer, shape: Shape) -> Figures:
    """Measures one round of updates, and a few seconds without any."""
    leaves = list(shape.leaf_paths())
    before = exporter.ask("cpu")["seconds"]
    ended_at, data = update_from_another_process(server, shape, len(leaves))
    held_at = exporter.ask("wait", path=leaves[0], data=data)["at"]
    after = exporter.ask("cpu")["seconds"]
    time.sleep(_IDLE_SECONDS)
    return {
        "behind, s": max(0.0, held_at - ended_at),
        "CPU us/update": (after - before) / UPDATES * 1e6,
        "idle, CPU ms/s": (exporter.ask("cpu")["seconds"] - after) / _IDLE_SECONDS * 1e3,
    }


def compare(number: int, rounds: int) -> None:
    """Measures without and with pages in turn, and prints the results; the first round warms up."""
    shape = TREES["a"]
    taken: dict[int, list[Figures]] = {0: [], number: []}
    command = [sys.executable, "-m", "bench.pages", "serve"]
    with seeded(shape, "1g") as server, PeerProcess(command, server.hosts) as exporter:
        url = exporter.ask("load")["url"]
        for turn in range(rounds + 1):
            for pages in sorted(taken, reverse=turn % 2 == 1):
                with open_pages(url, pages):
                    taken[pages].append(measured(exporter, server, shape))
    print(f"{UPDATES:,} updates of {shape}, {rounds} rounds in turn: medians, with their ranges")
    report(taken[0][1:], taken[number][1:], number)


def report(without: list[Figures], with_pages: list[Figures], number: int) -> None:
    """Prints the figures side by side, and the median of the rounds' own ratios."""
    print(f"{'':16}{'no page':>26}{f'{number} pages':>26}{'ratio':>9}")
    for name in without[0]:
        columns = [[figures[name] for figures in rounds] for rounds in (without, with_pages)]
        cells = [spread(each, ".3f") for each in columns]
        ratios = [after / before for before, after in zip(*columns, strict=True) if before]
        ratio = f"{statistics.median(ratios):.3f}" if ratios else ""
        print(f"{name:16}{cells[0]:>26}{cells[1]:>26}{ratio:>9}")


def main() -> None:
    """Compares, or is the measured process, depending on the arguments."""
    if sys.argv[1:2] == ["serve"]:
        logs.configure("warning")
        exporter = Exporter(sys.argv[2])
        for line in sys.stdin:
            command = json.loads(line)
            print(json.dumps(getattr(exporter, command.pop("do"))(**command)), flush=True)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    compare(arguments.pages, arguments.rounds)


if __name__ == "__main__":
    main()
