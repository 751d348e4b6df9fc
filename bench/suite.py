"""The whole comparison: all peers on the same trees and the same server, in turn, in one run.

    python -m bench.suite [--trees a,b] [--measure sync,updates] [--rounds 3] [--peers kazoo,ours] [--awake]

Peers are kazoo, ours, ours-inline, ours-audited, and with `--curator DIRECTORY` (a folder with jars) tree-cache and
curator-cache. With `--awake` processors do not halt, see `bench.awake`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.awake import awake
from bench.measure import MEASUREMENTS, Figures, WrongContentsError, floor
from bench.servers import seeded
from bench.trees import TREES, Shape
from exporter.demo.server import ZooKeeperServer

#: The peers in Python.
_PYTHON = ("kazoo", "ours", "ours-inline", "ours-audited")

Results = dict[str, list[Figures]]


def commands(peers: Sequence[str], curator: Path | None) -> dict[str, list[str]]:
    """The command that starts each peer, which takes the hosts as its last argument."""
    found = {peer: [sys.executable, "-m", "bench.peer", peer] for peer in _PYTHON}
    if curator is not None:
        java = ["java", "-Xmx2g", "-cp", f"{compile_curator(curator)}:{curator}/*", "Peer"]
        found |= {peer: [*java, peer] for peer in ("tree-cache", "curator-cache")}
    unknown = [peer for peer in peers if peer not in found]
    if unknown:
        sys.exit(f"bench: --peers={','.join(unknown)}: unknown, or without --curator; accepted: {', '.join(found)}")
    return {peer: found[peer] for peer in peers}


def compile_curator(jars: Path) -> str:
    """Compiles the peer that uses Curator; returns the folder of its classes."""
    if shutil.which("javac") is None:
        sys.exit("bench: --curator needs javac: install a JDK, such as Debian's default-jdk-headless")
    classes = tempfile.mkdtemp(prefix="treecache-bench-")
    source = Path(__file__).parent / "curator" / "Peer.java"
    subprocess.run(["javac", "-cp", f"{jars}/*", "-d", classes, str(source)], check=True)
    return classes


def run(tree: str, measurements: Sequence[str], peers: dict[str, list[str]], rounds: int) -> None:
    """Compares the peers on one tree and prints a table for each measurement."""
    shape = TREES[tree]
    with seeded(shape) as server:
        print(f"\n## tree {tree}: {shape}, {rounds} rounds", flush=True)
        for measurement in measurements:
            results: Results = {peer: [] for peer in peers}
            floors: list[Figures] = []
            for _ in range(rounds):
                if measurement == "latency":
                    floors.append(floor(server, shape))
                for peer, command in peers.items():
                    try:
                        results[peer].append(MEASUREMENTS[measurement](command, server, shape))
                    except WrongContentsError as error:
                        print(f"{measurement}: {error}", flush=True)
            if measurement == "sync":
                results["limit"] = [limit(server, shape) for _ in range(rounds)]
            elif measurement == "latency":
                results["floor"] = floors
            report(measurement, results)


def limit(server: ZooKeeperServer, shape: Shape) -> Figures:
    """The time that it takes just to receive the answers."""
    command = [sys.executable, "-m", "bench.limit", server.hosts, str(shape.directories), str(shape.leaves)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"load, s": answer["seconds"]}


def report(measurement: str, results: Results) -> None:
    """Prints medians with their ranges, and each other peer's ratio to ours."""
    print(f"\n{measurement:28}" + "".join(f"{peer:>40}" for peer in results), flush=True)
    for name in max((rounds[0] for rounds in results.values() if rounds), key=len, default={}):
        print(f"{name:28}" + "".join(f"{cell(results, peer, name):>40}" for peer in results), flush=True)


def cell(results: Results, peer: str, name: str) -> str:
    """One figure: its median, its range and its ratio to ours."""
    if not results[peer] or name not in results[peer][0]:
        return "-"
    values = [figures[name] for figures in results[peer]]
    median = statistics.median(values)
    ours = statistics.median(figures[name] for figures in results["ours"]) if results.get("ours") else 0
    ratio = f" {median / ours:8.2f}x" if ours and peer != "ours" else ""
    return f"{figure(median)} ({figure(min(values))}..{figure(max(values))}){ratio}"


def figure(value: float) -> str:
    """A number with four digits, or with all digits before the point if there are more."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def main() -> None:
    """Runs the measurements that the arguments select."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default="a,b")
    parser.add_argument("--measure", default=",".join(MEASUREMENTS))
    parser.add_argument("--peers", default="kazoo,ours")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--curator", type=Path)
    parser.add_argument("--awake", action="store_true")
    arguments = parser.parse_args()
    peers = commands(arguments.peers.split(","), arguments.curator)
    with awake() if arguments.awake else contextlib.nullcontext():
        for tree in arguments.trees.split(","):
            run(tree, arguments.measure.split(","), peers, arguments.rounds)


if __name__ == "__main__":
    main()
