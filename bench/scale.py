"""Measures the first load of large trees, and scrapes and pages after it, in one process and in shards, in one run.

    python -m bench.scale                                        # 1, 2 and 5 million znodes, in one and in four shards
    python -m bench.scale --znodes 100000 --shards 1,4 --rounds 3

Each process is a whole exporter, with its web server. The shards of a tree load concurrently on this machine; they
share its cores with the server. As by default, caches keep stats but no data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import httpx

from bench.daemon import Daemon
from bench.figures import spread
from bench.peer import resident_bytes
from bench.servers import seeded
from bench.trees import Shape
from exporter.daemon import logs
from exporter.demo.server import ZooKeeperServer
from exporter.treecache import Shard

Figures = dict[str, float]

#: First-level children of every tree, which are divided among the shards.
DIRECTORIES = 1_000
DATA_SIZE = 100
#: What an exporter is asked for after the load, and how often.
ASKED = {"scrape": "/metrics", "page": "/", "browse": "/browse?ensemble=bench&tree=tree"}
_TIMES = 11


def main(arguments: Sequence[str] | None = None) -> None:
    """Seeds a tree of each size, loads it with each number of shards, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--znodes", default="1000000,2000000,5000000", help="sizes of trees (default: %(default)s)")
    parser.add_argument("--shards", default="1,4", help="numbers of shards (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is loaded (default: %(default)s)")
    parser.add_argument("--heap", default="6g", help="the server's heap (default: %(default)s)")
    options = parser.parse_args(arguments)
    totals = [int(total) for total in options.shards.split(",")]
    for znodes in options.znodes.split(","):
        shape = Shape(DIRECTORIES, max(1, int(znodes) // DIRECTORIES), DATA_SIZE)
        with seeded(shape, options.heap) as server:
            results: dict[int, list[Figures]] = {total: [] for total in totals}
            for _ in range(options.rounds):
                for total in totals:
                    results[total].append(load(server, shape, total))
        report(shape, results)


def load(server: ZooKeeperServer, shape: Shape, total: int) -> Figures:
    """Loads a tree in `total` processes concurrently."""
    before = server.mntr()
    command = [sys.executable, "-m", "bench.scale", server.hosts, str(total)]
    processes = [
        subprocess.Popen([*command, str(ordinal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for ordinal in range(total)
    ]
    try:
        answers = [json.loads(answer(process)) for process in processes]
        seen = server.mntr()
        asked = {name: max(took(figures["url"] + path) for figures in answers) for name, path in ASKED.items()}
    finally:
        for process in processes:
            process.kill()
            process.wait()
    held = sum(figures["znodes"] for figures in answers) - (total - 1)
    if held != shape.size:
        sys.exit(f"{total} shards hold {held} znodes of {shape.size}")
    return {
        "load, s": max(figures["ended"] for figures in answers) - min(figures["began"] for figures in answers),
        "CPU s, all": sum(figures["cpu"] for figures in answers),
        "resident MiB, largest": max(figures["resident"] for figures in answers) / 2**20,
        "resident MiB, all": sum(figures["resident"] for figures in answers) / 2**20,
        "whole process MiB, largest": max(figures["whole"] for figures in answers) / 2**20,
        "znodes, largest": max(figures["znodes"] for figures in answers),
        "znodes, smallest": min(figures["znodes"] for figures in answers),
        "requests": int(seen["zk_packets_received"]) - int(before["zk_packets_received"]),
        "watches": int(seen["zk_watch_count"]),
        "sent MiB, all": sum(figures["sent"] for figures in answers) / 2**20,
        "received MiB, all": sum(figures["received"] for figures in answers) / 2**20,
        "data at the server, MiB": int(seen["zk_approximate_data_size"]) / 2**20,
        **{f"{name} of the slowest, ms": seconds * 1000 for name, seconds in asked.items()},
    }


def took(url: str) -> float:
    """The median of the seconds in which an exporter answers, while no other is asked."""
    seconds = []
    with httpx.Client(headers={"Accept": "application/openmetrics-text"}, timeout=60) as client:
        for _ in range(_TIMES):
            began = time.perf_counter()
            client.get(url).raise_for_status()
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def answer(process: subprocess.Popen[str]) -> str:
    """The figures of one shard."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"a shard ended with status {process.wait()}")
    return line


def report(shape: Shape, results: dict[int, list[Figures]]) -> None:
    """Prints the median of each figure, with its range, for each number of shards."""
    names = ("1 process" if total == 1 else f"{total} shards" for total in results)
    print(f"\n{shape!s:32}" + "".join(f"{name:>40}" for name in names))
    for name in next(iter(results.values()))[0]:
        columns = [[figures[name] for figures in found] for found in results.values()]
        cells = [spread(column, ",.1f") for column in columns]
        print(f"{name:32}" + "".join(f"{cell:>40}" for cell in cells), flush=True)


def be_a_shard(hosts: str, total: int, ordinal: int) -> None:
    """Loads one share, prints its figures, and holds it until the input ends."""
    logs.configure("warning")
    shard = None if total == 1 else Shard(ordinal, total)
    daemon = Daemon(hosts, shard=shard, session_timeout=40)
    daemon.serve()
    resident, cpu, began = resident_bytes(), time.process_time(), time.time()
    daemon.start()
    cache = daemon.cache
    cache.wait_initialized()
    ended, cpu = time.time(), time.process_time() - cpu
    whole = resident_bytes()
    figures = {
        "began": began,
        "ended": ended,
        "cpu": cpu,
        "resident": whole - resident,
        "whole": whole,
        "znodes": len(cache),
        "url": daemon.url,
        **daemon.traffic,
    }
    print(json.dumps(figures), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].startswith("-"):
        be_a_shard(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
