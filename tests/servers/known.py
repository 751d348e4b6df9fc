"""Servers that gave recorded answers, and what a scrape of them must look like, byte for byte.

`make generate` writes tests/golden/servers*.txt; read the difference before you keep it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kazoo.client import KazooClient
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector as Registered

from exporter.servers.answers import Answer, parse_mntr, parse_monitor, parse_srvr
from exporter.servers.clients import Clients, parse_connections, parse_cons
from exporter.servers.collector import ServersCollector
from exporter.telemetry.catalogue import SERVER_FAILURES
from exporter.telemetry.sources import EnsembleSource, ServerStats
from exporter.web.exposition import Wanted, exposition
from exporter.zookeeper.session import Session
from tests.servers import recorded

GOLDEN = Path(__file__).parent.parent / "golden"


def server(zk_host: str, source: str, answer: Answer, clients: Clients | None = None) -> ServerStats:
    """A server that gave this answer, and nothing else ever."""
    counts = dict.fromkeys(SERVER_FAILURES, 0)
    return ServerStats(
        zk_host,
        True,
        source,
        answer.numbers,
        answer.texts,
        answer.clock_offset,
        clients,
        failures=counts,
        malformed_lines=answer.malformed,
    )


def by_mntr(release: str, role: str) -> ServerStats:
    """A recorded server that was asked by `mntr`."""
    numbers, listed = (recorded.text(release, f"{word}.{role}") for word in ("mntr", "cons"))
    return server(f"{role}:2181", "mntr", parse_mntr(numbers), parse_cons(listed))


def by_srvr(release: str, role: str) -> ServerStats:
    """A recorded server that was asked by `srvr`."""
    return server(f"{role}:2181", "srvr", parse_srvr(recorded.text(release, f"srvr.{role}")))


def by_admin(release: str) -> ServerStats:
    """A recorded standalone server that was asked at its AdminServer."""
    numbers, listed = (recorded.json(release, f"admin.{command}") for command in ("monitor", "connections"))
    answer, clients = parse_monitor(200, numbers, -0.25), parse_connections(200, listed)
    return server("standalone:2181", "admin", answer, clients)


class Servers:
    """Gives fixed stats."""

    def __init__(self, *servers: ServerStats, wants_all: bool = False) -> None:
        self._servers = servers
        self.wants_all = wants_all

    def stats(self) -> Sequence[ServerStats]:
        return self._servers

    async def probe(self, zk_host: str, _timeout: float) -> ServerStats | None:
        return next((server for server in self._servers if server.zk_host == zk_host), None)


def ensemble(name: str, *servers: ServerStats, wants_all: bool = False) -> EnsembleSource:
    """An ensemble with these servers, and no tree."""
    return EnsembleSource(name, Session.attach(KazooClient()), {}, servers=Servers(*servers, wants_all=wants_all))


class _Registered(Registered):
    """The servers of ensembles, in the form that a registry takes."""

    def __init__(self, collector: ServersCollector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Family]:
        return iter(self._collector.collect())


def registry_of_servers(*ensembles: EnsembleSource) -> CollectorRegistry:
    """A registry of nothing but these ensembles' servers."""
    registry = CollectorRegistry()
    registry.register(_Registered(ServersCollector(ensembles)))
    return registry


def registry() -> CollectorRegistry:
    """The servers of three releases, one that is down, and one that was never polled."""
    down = ServerStats(
        "down:2181", False, failures={**dict.fromkeys(SERVER_FAILURES, 0), "refused": 7}, problem="refused"
    )
    ensembles = [
        ensemble("main", by_mntr("3.9.5", "leader"), by_srvr("3.9.5", "follower"), down, ServerStats("new:2181")),
        ensemble("all", by_admin("3.6.3"), wants_all=True),
        ensemble("old", by_mntr("3.4.14", "leader"), by_mntr("3.4.14", "follower")),
    ]
    return registry_of_servers(*ensembles)


def scraped(registry: CollectorRegistry, accept: str, *names: str) -> str:
    """A scrape in a format."""
    encode, content_type = choose_encoder(accept)
    return exposition(registry, Wanted(names, content_type, False, encode)).decode()


def plain(registry: CollectorRegistry, *names: str) -> str:
    """A scrape in Prometheus' text format."""
    return scraped(registry, "text/plain", *names)


def openmetrics(registry: CollectorRegistry, *names: str) -> str:
    """A scrape in OpenMetrics' text format."""
    return scraped(registry, "application/openmetrics-text; version=1.0.0", *names)


def expositions() -> dict[Path, str]:
    """What each golden file must hold."""
    return {GOLDEN / "servers.txt": plain(registry()), GOLDEN / "servers.openmetrics.txt": openmetrics(registry())}
