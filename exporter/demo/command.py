"""The command `treecache-exporter demo`: a ZooKeeper, a world that lives on it, and the exporter that watches both."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

from exporter.config.settings import Address, Ensemble, Settings, Web, parse_trees
from exporter.daemon.run import run as run_daemon
from exporter.demo.java import LaunchError
from exporter.demo.server import ZooKeeperServer
from exporter.demo.world import ROOTS, World


def run(listen_address: Address, *, zookeeper_home: str | None = None) -> int:
    """Runs the demo until SIGINT or SIGTERM, then removes everything, and gives the exit status.

    `zookeeper_home` is the folder of a ZooKeeper installation; by default one is looked for. The status is 1, after one
    line on standard error, if there is no ZooKeeper or no java.
    """
    try:
        with _ending_on_signals(), ZooKeeperServer(home=zookeeper_home) as server, _world(server):
            return _export(server, listen_address)
    except LaunchError as error:
        print(f"treecache-exporter demo: {error}", file=sys.stderr)
        return 1
    except _EndedEarlyError:
        return 0


def _export(server: ZooKeeperServer, listen_address: Address) -> int:
    ensemble = Ensemble(name="demo", hosts=server.hosts, trees=parse_trees(ROOTS))
    settings = Settings(ensembles=(ensemble,), web=Web(listen_addresses=(listen_address,)))

    def tell_where(url: str) -> None:
        print(
            f"page       {url}/",
            f"metrics    {url}{settings.web.telemetry_path}",
            f"ZooKeeper  {server.hosts}",
            "Ctrl-C stops and removes everything.",
            sep="\n",
            flush=True,
        )

    return run_daemon(settings, on_ready=tell_where)


@contextlib.contextmanager
def _world(server: ZooKeeperServer) -> Iterator[None]:
    world = World(server.hosts)
    world.start()
    try:
        yield
    finally:
        world.stop()


class _EndedEarlyError(Exception):
    """The demo was told to end before the daemon, which has its own way of ending, was running."""


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Makes SIGINT and SIGTERM end the block by an exception, so that it cleans up; after that they are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _EndedEarlyError

    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
