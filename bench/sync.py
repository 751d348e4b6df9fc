"""Loads one tree with kazoo's TreeCache and with ours in turn, from the same server, and compares.

Each load runs in a process of its own, so that its memory is its own:

    python -m bench.sync [--rounds 3] [--directories 100] [--leaves 1000] [--data-size 100]
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kazoo.recipe.cache
from kazoo.client import KazooClient

import exporter
from bench.trees import Shape
from exporter.demo.server import ZooKeeperServer

ROOT = "/bench/tree"
CACHES: dict[str, Any] = {"kazoo": kazoo.recipe.cache.TreeCache, "ours": exporter.TreeCache}
LONGEST_LOAD = 600.0


def resident_bytes() -> int:
    """This process's resident memory, after everything that is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def load(peer: str, hosts: str, size: int) -> None:
    """Loads the tree once in this process and prints what it took as JSON."""
    client = KazooClient(hosts=hosts)
    client.start()
    cache = CACHES[peer](client, ROOT)
    before = resident_bytes()
    started = time.perf_counter()
    cache.start()
    while not cache._is_initialized and time.perf_counter() - started < LONGEST_LOAD:
        time.sleep(0.001)
    seconds = time.perf_counter() - started
    check(cache, size)
    memory = resident_bytes() - before
    print(json.dumps({"seconds": seconds, "bytes": memory / size}), flush=True)
    sys.stdin.readline()
    cache.close()
    client.stop()


def check(cache: Any, size: int) -> None:
    """Refuses to measure a cache that does not hold the whole tree."""
    directories = cache.get_children(ROOT)
    held = 1 + sum(1 + len(cache.get_children(f"{ROOT}/{name}")) for name in directories)
    leaf = f"{ROOT}/{max(directories)}"
    leaf = f"{leaf}/{max(cache.get_children(leaf))}"
    if held != size or cache.get_data(leaf).stat.dataLength != len(cache.get_data(leaf).data):
        sys.exit(f"the cache holds {held} of {size} znodes")


def measure(peer: str, server: ZooKeeperServer, size: int) -> dict[str, float]:
    """Runs one load in a process of its own and adds what the server saw of it."""
    packets = int(server.mntr()["zk_packets_received"])
    command = [sys.executable, "-m", "bench.sync", "--load", peer, "--hosts", server.hosts, "--size", str(size)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(process.wait())
    # mntr asks with a packet of its own, and each session opens with one.
    seen = server.mntr()
    figures: dict[str, float] = json.loads(line)
    figures["requests"] = int(seen["zk_packets_received"]) - packets
    figures["watches"] = int(seen["zk_watch_count"])
    process.communicate("\n")
    return figures


def compare(shape: Shape, rounds: int) -> None:
    """Loads the tree with each peer in turn, `rounds` times, and prints medians with their ratio."""
    with ZooKeeperServer(heap="2g") as server:
        client = KazooClient(hosts=server.hosts)
        client.start()
        shape.seed(client, ROOT)
        client.stop()
        results: dict[str, list[dict[str, float]]] = {peer: [] for peer in CACHES}
        for number in range(rounds):
            for peer, loads in results.items():
                loads.append(measure(peer, server, shape.size))
                print(f"round {number + 1}: {peer:5} {loads[-1]['seconds']:8.3f} s", file=sys.stderr)
    medians = {
        peer: {name: statistics.median(load[name] for load in loads) for name in loads[0]}
        for peer, loads in results.items()
    }
    for figures in medians.values():
        figures["rate"] = shape.size / figures["seconds"]
    report(medians, shape, rounds)


def report(medians: dict[str, dict[str, float]], shape: Shape, rounds: int) -> None:
    """Prints the table of medians."""
    rows = (
        ("load, s", "seconds", 3),
        ("znodes/s", "rate", 0),
        ("requests", "requests", 0),
        ("watches", "watches", 0),
        ("resident bytes/znode", "bytes", 0),
    )
    print(f"{shape.size:,} znodes of {shape.data_size} bytes, medians of {rounds}")
    print(f"{'':22}{'kazoo':>12}{'ours':>12}{'kazoo/ours':>12}")
    for title, name, digits in rows:
        theirs, ours = medians["kazoo"][name], medians["ours"][name]
        print(f"{title:22}{theirs:12,.{digits}f}{ours:12,.{digits}f}{theirs / ours:12,.2f}")


def main() -> None:
    """Compares, or loads once when called by itself for that."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directories", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=1000)
    parser.add_argument("--data-size", type=int, default=100)
    parser.add_argument("--load", choices=CACHES, help=argparse.SUPPRESS)
    parser.add_argument("--hosts", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load(arguments.load, arguments.hosts, arguments.size)
    else:
        compare(Shape(arguments.directories, arguments.leaves, arguments.data_size), arguments.rounds)


if __name__ == "__main__":
    main()
