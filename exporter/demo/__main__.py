"""`python -m exporter.demo HOSTS/CHROOT`: keeps a changing tree on an existing ensemble, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

from exporter.config.settings import parse_hosts
from exporter.demo.world import World, quiet

PROGRAM = "python -m exporter.demo"
#: Seconds that the ensemble may take to answer at the start.
PATIENCE = 60.0


def main(arguments: Sequence[str]) -> int:
    """Replaces the chroot by a tree and keeps changing it; returns the exit status, and prints one line on failure."""
    try:
        hosts = parse_hosts(" ".join(arguments))
    except ValueError as error:
        return _refuse(2, f"{' '.join(arguments)}: {error}")
    addresses, slash, chroot = hosts.partition("/")
    if not chroot:
        return _refuse(2, f"{hosts}: the chroot is missing (its znodes are deleted first); accepted: HOST:PORT/CHROOT")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        _clear(addresses, slash + chroot)
        world = World(hosts)
        world.start()
    except (KazooException, KazooTimeoutError) as error:
        return _refuse(1, f"{hosts}: {error or type(error).__name__}")
    stopping.wait()
    world.stop()
    return 0


def _clear(addresses: str, chroot: str) -> None:
    client = KazooClient(addresses, logger=quiet)
    try:
        client.start(timeout=PATIENCE)
        if client.exists(chroot):
            client.delete(chroot, recursive=True)
        client.ensure_path(chroot)
    finally:
        client.stop()
        client.close()


def _refuse(status: int, problem: str) -> int:
    print(f"{PROGRAM}: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
