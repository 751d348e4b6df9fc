"""The command `treecache-exporter demo`: a ZooKeeper, a changing tree on it, and the exporter that watches both."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

from exporter.config.settings import Address, Ensemble, Settings, Web, parse_trees
from exporter.daemon.run import run as run_daemon
from exporter.demo.java import LaunchError
from exporter.demo.server import ZooKeeperServer
from exporter.demo.world import ROOTS, World
from exporter.process.stdout import OutputError, say
from exporter.views.limits.view import Limits
from exporter.views.rules.rule import Rule

#: How many children of each root have series of their own: all services, queues and locks.
SUBTREES = 30
#: The metrics made from the demo's znodes, by tree.
RULES = {
    "/services": (
        Rule(
            name="instances",
            help="Live instances of each service.",
            match="/services/{service}/instances/{id}",
            value="count",
            by=("service",),
            kind="ephemeral",
        ),
        Rule(
            name="instance_weight",
            help="Weight of all instances of each service.",
            match="/services/{service}/instances/{id}",
            value="json",
            key="/weight",
            by=("service",),
            aggregate="sum",
        ),
    ),
    "/config": (
        Rule(
            name="settings_modified",
            help="When the settings of each environment were last changed, in Unix time.",
            match="/config/{environment}/{service}/{setting}",
            value="modified",
            by=("environment",),
            aggregate="max",
        ),
    ),
    "/tasks": (
        Rule(name="queue_length", help="Tasks that wait in each queue.", match="/tasks/{queue}", value="children"),
        Rule(name="queue_changes", help="Tasks added and taken.", match="/tasks/{queue}", value="child_changes"),
    ),
    "/locks": (Rule(name="lock", help="Who holds each lock.", match="/locks/{lock}", value="election"),),
}


def run(listen_address: Address, *, zookeeper_home: str | None = None) -> int:
    """Runs the demo until SIGINT or SIGTERM, then removes everything, and returns the exit status.

    `zookeeper_home` is the folder of a ZooKeeper installation; by default the usual places are searched. Without a
    ZooKeeper or java, prints one line to standard error and returns 1.
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
    limits = Limits(subtrees=SUBTREES)
    trees = tuple(replace(tree, rules=RULES.get(tree.path, ()), limits=limits) for tree in parse_trees(ROOTS))
    ensemble = Ensemble(name="demo", hosts=server.hosts, trees=trees)
    settings = Settings(ensembles=(ensemble,), web=Web(listen_addresses=(listen_address,)))

    def print_addresses(url: str) -> None:
        lines = (
            f"page       {url}/",
            f"metrics    {url}{settings.web.telemetry_path}",
            f"ZooKeeper  {server.hosts}",
            "Ctrl-C stops and removes everything.",
        )
        # Whether anybody reads them does not matter to the demo.
        with contextlib.suppress(OutputError):
            say("\n".join(lines))

    return run_daemon(settings, on_ready=print_addresses)


@contextlib.contextmanager
def _world(server: ZooKeeperServer) -> Iterator[None]:
    world = World(server.hosts)
    world.start()
    try:
        yield
    finally:
        world.stop()


class _EndedEarlyError(Exception):
    """A signal arrived before the daemon, which handles signals itself, was running."""


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into an exception, so that the block cleans up; ignores later ones."""
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
