"""Measurements: each drives one peer at one server and returns its figures by name."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.proxy import Proxy
from bench.servers import started
from bench.trees import Shape, finish
from bench.truth import digest_of_server
from exporter.demo.server import ZooKeeperServer

Figures = dict[str, float]

UPDATES = 20_000
_HOT = 100
_LATENCY_SECONDS = 8
_LATENCY_RATE = 500
_PIPELINE = 1000
#: Seconds after a load in which other requests are measured: with audits, if the peer makes them.
_COMPANY_SECONDS = 5.0
#: Seconds that a cache may take to hold all other updates after the last one.
_CATCH_UP = 30


class WrongContentsError(Exception):
    """A cache does not hold what the server holds, so it gets no figures."""


class PeerProcess:
    """A peer in its own process."""

    def __init__(self, command: Sequence[str], hosts: str) -> None:
        self.name = command[-1]
        self._process = subprocess.Popen([*command, hosts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer; see `bench.peer`."""
        self.send(do, **arguments)
        return self.answer()

    def send(self, do: str, **arguments: Any) -> None:
        """Sends a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Waits for the answer to a command."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the peer ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def load(peer: PeerProcess, server: ZooKeeperServer, shape: Shape) -> float:
    """Loads the tree before something else is measured; returns how many seconds that took."""
    seconds: float = peer.ask("load")["seconds"]
    check(peer, server, shape)
    return seconds


def check(peer: PeerProcess, server: ZooKeeperServer, shape: Shape) -> None:
    """Raises WrongContentsError unless the cache comes to hold exactly what the server holds, byte by byte."""
    wanted = digest_of_server(server.hosts, shape)
    deadline = time.monotonic() + _CATCH_UP
    while peer.ask("digest")["digest"] != wanted:
        if time.monotonic() > deadline:
            raise WrongContentsError(f"{peer.name} does not hold what the server holds")


def sync(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """Loads the tree: seconds, requests and watches at the server, bytes of memory per znode."""
    packets = int(server.mntr()["zk_packets_received"])
    with PeerProcess(command, server.hosts) as peer:
        seconds = peer.ask("load")["seconds"]
        seen = server.mntr()
        memory = peer.ask("memory")
        check(peer, server, shape)
    return {
        "load, s": seconds,
        "znodes/s": shape.size / seconds,
        "requests": int(seen["zk_packets_received"]) - packets,
        "watches": int(seen["zk_watch_count"]),
        "live B/znode": memory["live"] / shape.size,
        "resident B/znode": memory["resident"] / shape.size,
    }


def resync(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """Cuts the connection, changes 100 znodes meanwhile: seconds from the new connection until the cache has them.

    The load goes through the same proxy.
    """
    leaves = list(shape.leaf_paths())
    changed = leaves[:: max(1, len(leaves) // 100)]
    with Proxy(server.port) as proxy, PeerProcess(command, f"127.0.0.1:{proxy.port}") as peer:
        loaded = load(peer, server, shape)
        data = f"{time.time()}"
        with started(server.hosts) as client:
            proxy.cut()
            for path in changed:
                client.set(path, data.encode())
        proxy.mend()
        held_at = max(peer.ask("wait", path=path, data=data)["at"] for path in changed)
        check(peer, server, shape)
        seconds = held_at - peer.ask("reconnected")["at"]
        return {"resync, s": seconds, "resync / load": seconds / loaded}


def audit(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """Ours alone: loads the tree, then compares everything with the server."""
    if command[-1] != "ours":
        return {}
    with PeerProcess([*command[:-1], "ours-audited"], server.hosts) as peer:
        seconds = peer.ask("load")["seconds"]
        audited = peer.ask("audit")
        check(peer, server, shape)
    return {
        "load, s": seconds,
        "audit, s": audited["seconds"],
        "audit / load": audited["seconds"] / seconds,
        "audit CPU us/znode": audited["cpu"] / shape.size * 1e6,
    }


def updates(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """20,000 updates at full speed, over the whole tree and over 100 znodes: how far behind, at what cost."""
    leaves = list(shape.leaf_paths())
    figures: Figures = {}
    with PeerProcess(command, server.hosts) as peer:
        load(peer, server, shape)
        for name, count in (("", len(leaves)), ("hot ", _HOT)):
            before = peer.ask("cpu")["seconds"]
            ended_at, data = update_from_another_process(server, shape, count)
            held_at = peer.ask("wait", path=leaves[0], data=data)["at"]
            figures[f"{name}behind, s"] = max(0.0, held_at - ended_at)
            figures[f"{name}CPU us/update"] = (peer.ask("cpu")["seconds"] - before) / UPDATES * 1e6
            check(peer, server, shape)
    return figures


def latency(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """500 updates per second: milliseconds from the call that writes to the call of the listener."""
    with PeerProcess(command, server.hosts) as peer:
        load(peer, server, shape)
        return _ages(peer, server, shape)


def floor(server: ZooKeeperServer, shape: Shape) -> Figures:
    """The same for a client without a cache, which only reads what each event names."""
    with PeerProcess([sys.executable, "-m", "bench.floor"], server.hosts) as peer:
        peer.ask("load")
        return _ages(peer, server, shape)


def _ages(peer: PeerProcess, server: ZooKeeperServer, shape: Shape) -> Figures:
    leaves = list(shape.leaf_paths())
    with started(server.hosts) as client:
        peer.ask("listen")
        began = time.perf_counter()
        count = _LATENCY_RATE * _LATENCY_SECONDS
        results = []
        for number in range(count):
            time.sleep(max(0.0, began + number / _LATENCY_RATE - time.perf_counter()))
            path = leaves[number * 7919 % len(leaves)]
            results.append(client.set_async(path, b"T%.6f" % time.time()))
        for result in results:
            finish(result)
        deadline = time.monotonic() + 30
        while len(ages := peer.ask("ages")["ages"]) < count * 0.99 and time.monotonic() < deadline:
            time.sleep(0.1)
    return _in_ms("", ages)


def company(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """Other requests of the same client, one after another, while it loads the tree and after that: milliseconds.

    Curator's caches are not measured.
    """
    if command[0] != sys.executable:
        return {}
    with PeerProcess(command, server.hosts) as peer:
        others = peer.ask("load_in_company", after=_COMPANY_SECONDS)
        check(peer, server, shape)
    return {**_in_ms("meanwhile ", others["meanwhile"]), **_in_ms("after ", others["after"])}


def _in_ms(prefix: str, seconds: Sequence[float]) -> Figures:
    """The median and the 99th percentile of durations, in milliseconds; the prefix begins their names."""
    times = sorted(seconds)
    return {
        f"{prefix}p50, ms": statistics.median(times) * 1000,
        f"{prefix}p99, ms": times[int(len(times) * 0.99)] * 1000,
    }


def kindness(command: Sequence[str], server: ZooKeeperServer, shape: Shape) -> Figures:
    """Another client's writes during a load against writes without one: ratios of throughput and p99."""
    with PeerProcess(command, server.hosts) as peer:
        quiet = _WriterProcess(server)
        time.sleep(2)
        alone = quiet.stop()
        busy = _WriterProcess(server)
        peer.ask("load")
        during = busy.stop()
        check(peer, server, shape)
    return {
        "write rate during/without": during["rate"] / alone["rate"],
        "write p99 during/without": during["p99"] / alone["p99"],
    }


MEASUREMENTS: dict[str, Callable[[Sequence[str], ZooKeeperServer, Shape], Figures]] = {
    "sync": sync,
    "resync": resync,
    "audit": audit,
    "updates": updates,
    "latency": latency,
    "kindness": kindness,
    "company": company,
}


class _WriterProcess:
    """A process that writes to its own znode, 32 writes at a time, until stopped."""

    def __init__(self, server: ZooKeeperServer) -> None:
        command = [sys.executable, "-m", "bench.writer", "steady", server.hosts]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def stop(self) -> Figures:
        """Stops it; returns its writes per second and the 99th percentile of the seconds of a write."""
        os.kill(self._process.pid, signal.SIGTERM)
        output, _ = self._process.communicate()
        figures: Figures = json.loads(output)
        return figures


def update_from_another_process(server: ZooKeeperServer, shape: Shape, count: int) -> tuple[float, str]:
    """Updates the first `count` leaves in turn, the first one last; returns when that ended, and the last data."""
    arguments = [str(number) for number in (shape.directories, shape.leaves, count, UPDATES, _PIPELINE)]
    command = [sys.executable, "-m", "bench.writer", "burst", server.hosts, *arguments]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer["ended_at"], answer["data"]
