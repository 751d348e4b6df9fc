"""A herd: clients with copies of the same tree lose their server at once, and read the tree again at the others.

    python -m bench.herd [--clients 1,10,50] [--peer ours] [--tree b]

Three servers on this machine form an ensemble. All clients are at one follower, which is killed (kill -9); 100 znodes
change at that moment. It measures the seconds until the first and the last client hold these changes, what that costs
the other two servers, and how long the writes of another client take meanwhile, compared with the seconds before.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kazoo.client import KazooClient

from bench.measure import PeerProcess
from bench.servers import started
from bench.trees import TREES, Shape
from exporter.demo.server import mntr
from tests.faults.ensemble import SAMPLE_LIMITS, Ensemble, Member

_CHANGED = 100
_BASELINE_SECONDS = 5.0
_WRITES_PER_SECOND = 50
#: Two servers and a heap each for the replies to fifty clients.
_HEAP = "2g"


class Writer:
    """Writes to a znode of its own at a steady rate, and notes how long each write takes."""

    def __init__(self, client: KazooClient) -> None:
        self._client = client
        self._over = threading.Event()
        self.seconds: list[float] = []
        client.ensure_path("/bench/written")
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def take(self) -> list[float]:
        """The durations of the writes since the last call, sorted."""
        taken, self.seconds = self.seconds, []
        return sorted(taken)

    def stop(self) -> None:
        """Ends it."""
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._over.wait(1 / _WRITES_PER_SECOND):
            began = time.perf_counter()
            self._client.set("/bench/written", b"x" * 100)
            self.seconds.append(time.perf_counter() - began)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures each number of clients in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="1,10,50")
    parser.add_argument("--peer", default="ours", choices=["ours", "kazoo"])
    parser.add_argument("--tree", default="b", choices=sorted(TREES))
    options = parser.parse_args(arguments)
    shape = TREES[options.tree]
    with Ensemble(limits=SAMPLE_LIMITS, heap=_HEAP) as ensemble:
        leader = ensemble.leader
        with started(f"127.0.0.1:{leader.port}", timeout=30) as client:
            shape.seed(client)
            print(f"{options.peer}, {shape}", flush=True)
            for count in map(int, options.clients.split(",")):
                measure(ensemble, leader, client, options.peer, shape, count)
                ensemble.heal()


def measure(ensemble: Ensemble, leader: Member, client: KazooClient, peer: str, shape: Shape, count: int) -> None:
    """Prints what happens when this many clients lose their server."""
    victim = ensemble.followers[0]
    others = [member for member in ensemble.members if member is not victim]
    leaves = list(shape.leaf_paths())
    changed = leaves[:: len(leaves) // _CHANGED][:_CHANGED]
    with _loaded(peer, victim, others, count) as peers, started(f"127.0.0.1:{leader.port}", timeout=30) as writing:
        writer = Writer(writing)
        writer.take()
        time.sleep(_BASELINE_SECONDS)
        before = writer.take()
        packets, cpu = _packets(others), _cpu_seconds(others)
        data = f"{time.time()}"
        killed_at = time.time()
        victim.kill()
        for path in changed:
            client.set(path, data.encode())
        for one in peers:
            one.send("wait_all", paths=changed, data=data)
        ends = sorted(one.answer()["at"] - killed_at for one in peers)
        during = writer.take()
        writer.stop()
        print(
            f"  {count:3} clients: in sync after {ends[0]:.2f} to {ends[-1]:.2f} s (median {ends[len(ends) // 2]:.2f});"
            f" requests {_packets(others) - packets:,}; CPU of the servers {_cpu_seconds(others) - cpu:.2f} s;"
            f" writes before {_figures(before)}, meanwhile {_figures(during)}",
            flush=True,
        )


@contextmanager
def _loaded(peer: str, victim: Member, others: Sequence[Member], count: int) -> Iterator[list[PeerProcess]]:
    """This many peers with the whole tree, at the victim, each with the other servers in an order of its own."""
    draw = random.Random(count)
    with ExitStack() as stack:
        peers = []
        for _ in range(count):
            members = [victim, *draw.sample(others, len(others))]
            hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
            peers.append(stack.enter_context(PeerProcess([sys.executable, "-m", "bench.peer", peer], hosts)))
        for one in peers:
            one.send("load")
        for one in peers:
            one.answer()
        yield peers


def _packets(members: Sequence[Member]) -> int:
    return sum(int(mntr(member.port)["zk_packets_received"]) for member in members)


def _cpu_seconds(members: Sequence[Member]) -> float:
    """Processor time of the servers, user and system."""
    fields = [Path(f"/proc/{member.pid}/stat").read_text().rpartition(")")[2].split() for member in members]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def _figures(seconds: Sequence[float]) -> str:
    """Median and longest of sorted durations."""
    return f"{seconds[len(seconds) // 2] * 1e3:.1f} ms, at most {seconds[-1] * 1e3:.0f}" if seconds else "none"


if __name__ == "__main__":
    main()
