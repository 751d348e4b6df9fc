"""Measures the cost of freshness checks: bytes of transaction log, and snapshots, of a real, otherwise idle server.

`python -m bench.checks [--checks 5000]`; `ZOOKEEPER_HOME` selects the ZooKeeper. `snapCount` is smaller than the usual
100,000, so that there are snapshots to count.
"""

from __future__ import annotations

import argparse
import queue
import time
from pathlib import Path

from kazoo.client import KazooClient

from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.messages import Message
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import Check

SNAP_COUNT = 1000
PATHS = ("/", "/services", "/a/chroot/of/some/length/services")
A_DAY_OF_CHECKS = 24 * 3600 // 5


def main() -> None:
    """Prints a line for each znode path that is checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=5000, help="how many checks to make")
    checks = parser.parse_args().checks
    for path in PATHS:
        with ZooKeeperServer(system_properties={"zookeeper.snapCount": str(SNAP_COUNT)}) as server:
            client = KazooClient(server.hosts, timeout=30)
            client.start()
            client.ensure_path(path)
            session = Session.attach(client)
            make(session, path, 10)
            before = log_bytes(server.directory)
            make(session, path, checks)
            each = (log_bytes(server.directory) - before) / checks
            snapshots = len(list(server.directory.rglob("snapshot.*"))) - 1
            client.stop()
            client.close()
        print(f"{path}: {each:.1f} bytes a check, {each * A_DAY_OF_CHECKS / 1e6:.2f} MB a day; {snapshots} snapshots")


def make(session: Session, path: str, checks: int) -> None:
    """Makes checks one after the other."""
    answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
    for _ in range(checks):
        session.submit(Check(path), answers.put)
        answers.get()
    # Time to write the last records, and to finish a snapshot.
    time.sleep(1)


def log_bytes(directory: Path) -> int:
    """The bytes written to the transaction logs, without the zeros of their preallocated space."""
    return sum(len(file.read_bytes().rstrip(b"\0")) for file in directory.rglob("log.*"))


if __name__ == "__main__":
    main()
