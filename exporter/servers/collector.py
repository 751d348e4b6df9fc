"""ServersCollector: the numbers of all servers, as their last polls brought them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from prometheus_client import Metric as Exposed

from exporter.servers.clients import most_connected
from exporter.servers.readings import readings
from exporter.telemetry.catalogue import (
    ENSEMBLE_CLIENT_CONNECTIONS,
    ENSEMBLES,
    SERVER_CLOCK_OFFSET,
    SERVER_MALFORMED_LINES,
    SERVER_POLL_FAILURES,
    SERVER_SOURCE,
    SERVERS,
)
from exporter.telemetry.collecting import Collector
from exporter.telemetry.given import GivenCounter
from exporter.telemetry.sources import EnsembleSource, ServerStats

#: A server, the labels of its samples, and whether all of its numbers are wanted.
Labelled = tuple[ServerStats, Mapping[str, str], bool]


class ServersCollector(Collector):
    """Collects what the servers' polls brought; waits for none.

    Args:
        ensembles: the watched ensembles, current at each iteration.
    """

    def __init__(self, ensembles: Iterable[EnsembleSource]) -> None:
        super().__init__("servers", (*SERVERS.metrics, *ENSEMBLES.metrics))
        self._ensembles = ensembles

    def gives(self, family: Exposed) -> bool:
        """Besides its own, all with ZooKeeper's prefix: what there is depends on the servers."""
        return super().gives(family) or family.name.startswith("zk_")

    def collect(self) -> Iterator[Exposed]:
        """The numbers of the latest polls."""
        servers = list(self._labelled())
        yield from families(servers)
        yield from _of_polls(servers)
        yield _of_clients(servers)

    def _labelled(self) -> Iterator[Labelled]:
        for ensemble in self._ensembles:
            if ensemble.servers is not None:
                for server in ensemble.servers.stats():
                    labels = {"ensemble": ensemble.name, "zk_host": server.zk_host}
                    yield server, labels, ensemble.servers.wants_all


def families(servers: Sequence[Labelled]) -> Iterator[Exposed]:
    """The servers' own numbers; those of one name are one family."""
    found: dict[str, tuple[str, Exposed]] = {}
    for server, labels, wants_all in servers:
        for family, name, own, value in readings(server, wants_all):
            if family.name not in found:
                found[family.name] = family.kind, _empty(*family)
            kind, exposed = found[family.name]
            # A server could say that a summary is a number; a family has one type.
            if kind == family.kind:
                exposed.add_sample(name, {**own, **labels}, value)
    yield from (exposed for _, exposed in found.values())


def _empty(name: str, kind: str, help: str) -> Exposed:
    return GivenCounter(name, help) if kind == "counter" else Exposed(name, help, kind)


def _of_polls(servers: Sequence[Labelled]) -> Iterator[Exposed]:
    source, clock, failures, malformed = (metric.family() for metric in SERVERS.metrics)
    for server, labels, _ in servers:
        if server.source is not None:
            source.add_sample(SERVER_SOURCE.name, {**labels, "source": server.source}, 1)
        if server.clock_offset is not None:
            clock.add_sample(SERVER_CLOCK_OFFSET.name, {**labels}, server.clock_offset)
        for reason, count in server.failures.items():
            failures.add_sample(SERVER_POLL_FAILURES.name, {**labels, "reason": reason}, count)
        malformed.add_sample(SERVER_MALFORMED_LINES.name, {**labels}, server.malformed_lines)
    yield from (source, clock, failures, malformed)


def _of_clients(servers: Sequence[Labelled]) -> Exposed:
    """The clients with most connections to each ensemble whose servers all say whose theirs are, but for those down."""
    connections = ENSEMBLE_CLIENT_CONNECTIONS.family()
    for ensemble, of_ensemble in groupby(servers, lambda server: server[1]["ensemble"]):
        lists = [server.clients for server, _, _ in of_ensemble if server.is_up]
        listed = [clients for clients in lists if clients is not None]
        for address, count in most_connected(listed if len(listed) == len(lists) else ()).items():
            labels = {"ensemble": ensemble, "client_address": address}
            connections.add_sample(ENSEMBLE_CLIENT_CONNECTIONS.name, labels, count)
    return connections
