"""Scene: the system that the dashboards show in tests and pictures.

A real ZooKeeper with the demo's changing tree; two exporters, shards of the trees of two ensembles, the first of which
reaches one ensemble through a proxy; replicas of both; a receiver of their traces; and a Prometheus with the rules that
scrapes all of them every second. It also scrapes an unrelated job: one target has metrics with the same names as an
exporter's, and one does not answer.
"""

from __future__ import annotations

import contextlib
import json
import signal
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from exporter.demo.command import RULES as RULES_OF_DEMO
from exporter.demo.ports import free_port
from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.demo.world import World
from exporter.zookeeper import quotas
from tests.conftest import connected
from tests.faults.proxy import UP, Proxy
from tests.integration.processes import Exporter, Prometheus, configured_exporter, running_prometheus
from tests.otlp import running_receiver
from tests.support import LONG_SESSIONS, eventually

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"
#: Milliseconds; the exporters' session timeout is ten ticks.
TICK_TIME = 200
#: The server has all numbers of one in production: it waits for its disk, and notes the pauses of its JVM.
SYNCING, NOTING_PAUSES = {"zookeeper.forceSync": "yes"}, {"jvm.pause.monitor": "true"}
#: Its AdminServer says what its clock shows.
ADMIN = {"admin.enableServer": "true", "admin.serverAddress": "127.0.0.1"}
#: Seconds until a change is visible: Prometheus begins to scrape some seconds after its start.
SHOWN_WITHIN = 40.0
#: Seconds until an alert fires: Prometheus evaluates the rules every 15 seconds, first the recording rules.
FIRING_WITHIN = 240.0
#: Seconds until exporters that start together serve, on a busy machine.
READY_WITHIN = 60.0

ENSEMBLE = """
  - name: {name}
    hosts: {hosts}
    session_timeout: 2s
    servers: {{interval: {polled}, admin: "http://{{host}}:{admin_port}"}}
    trees:
"""
TREE = """
      - name: {name}
        path: {path}
        freshness: {{interval: 1s, timeout: 3s}}
        audit: {{interval: 2s, sample: 200}}
        limits: {{subtrees: 5}}
        metrics: {metrics}
"""


@dataclass(frozen=True)
class Scene:
    """The running system and its faults, while the block runs."""

    server: ZooKeeperServer
    #: Between the first exporter and the ensemble that it calls `shop`.
    proxy: Proxy
    #: The two shards, then the replica of each.
    exporters: tuple[Exporter, ...]
    prometheus: Prometheus

    def cut(self) -> None:
        """Cuts the connection of the session behind the proxy, and waits until it is re-established."""
        before = self.prometheus.value(_RESYNCS.format(reason="reconnect"))
        self.proxy.cut()
        self._wait_for_more(_RESYNCS.format(reason="reconnect"), before)

    def expire(self) -> None:
        """Makes the session behind the proxy really expire, and waits for the new one."""
        lost = 'sum(zookeeper_client_sessions_lost_total{reason="expired"})'
        before = self.prometheus.value(lost)
        # Pending requests fail when the client drops its connection, which is before the session expires.
        self.proxy.stall(UP)
        self.wait_until('zookeeper_client_session_deadline_timestamp_seconds{ensemble="shop"} < time() - 1')
        self.proxy.heal()
        self._wait_for_more(lost, before)

    def go_dark(self) -> None:
        """Makes the ensemble behind the proxy unreachable, until `proxy.heal`."""
        self.proxy.refuse()
        self.proxy.cut()

    @contextlib.contextmanager
    def replica_paused(self) -> Iterator[None]:
        """Suspends a replica: it answers no scrape while the block runs."""
        replica = self.exporters[-1]
        replica.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            replica.send_signal(signal.SIGCONT)

    def wait_until(self, condition: str, timeout: float = SHOWN_WITHIN) -> None:
        """Waits until Prometheus has a value for the expression."""
        eventually(lambda: self.prometheus.query(condition), timeout=timeout, interval=0.1)

    def _wait_for_more(self, counter: str, before: float | None) -> None:
        self.wait_until(f"{counter} > {before or 0:g}")
        self.wait_until('min(zookeeper_cache_initialized{tree="services"}) == 1')


_RESYNCS = 'sum(zookeeper_cache_syncs_total{{reason="{reason}"}})'


@contextlib.contextmanager
def playing(folder: Path, *, writes_per_second: float = 60.0) -> Iterator[Scene]:
    """A scene whose exporters have loaded their trees and have been scraped."""
    admin_port = free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            ZooKeeperServer(
                tick_time=TICK_TIME,
                system_properties={**NETTY, **SYNCING},
                config={**LONG_SESSIONS, **NOTING_PAUSES, **ADMIN, "admin.serverPort": str(admin_port)},
            )
        )
        world = World(server.hosts, writes_per_second=writes_per_second)
        stack.callback(world.stop)
        world.start()
        _limit(server.hosts, "/tasks")
        proxy = stack.enter_context(Proxy(server.port))
        traces = stack.enter_context(running_receiver(folder)).environment("http/protobuf")
        shop, jobs = {"shop": (server.hosts, ("services", "config"))}, {"jobs": (server.hosts, ("tasks", "locks"))}
        behind_proxy = {"shop": (proxy.hosts, ("services", "config"))}
        exporters = tuple(
            stack.enter_context(
                configured_exporter(
                    _config(folder / str(number), ensembles, proxy.hosts, admin_port),
                    ["--shard.total=2", f"--shard.ordinal={number % 2}"],
                    environment={**traces, **SAMPLING, "OTEL_TRACES_SAMPLER_ARG": SAMPLED[number]},
                )
            )
            for number, ensembles in enumerate(({**behind_proxy, **jobs}, {**shop, **jobs}, shop, shop))
        )
        for exporter in exporters:
            _wait_serving(exporter)
            exporter.wait_ready()
        others = OTHERS.format(stack.enter_context(_stranger()))
        urls = [exporter.url for exporter in exporters]
        prometheus = stack.enter_context(running_prometheus(folder, *urls, more=others))
        scene = Scene(server, proxy, exporters, prometheus)
        scene.wait_until(f'sum(up{{job="treecache"}}) == {len(exporters)}')
        # On a busy machine AdminServer may answer too late at first.
        scene.wait_until(
            "zookeeper_server_clock_offset_seconds and on (ensemble) zookeeper_ensemble_client_connections"
        )
        yield scene


#: An unrelated job, whose second target is a port on which nothing listens; and the rules.
OTHERS = (
    "- {{job_name: others, static_configs: [{{targets: ['127.0.0.1:{}', '127.0.0.1:1']}}]}}\n"
    f"rule_files: ['{RULES}/*.yml']\n"
)

#: Some requests are traced, as in production, and their traces are exemplars of the histograms. The last exporter
#: traces all of them, so that rare spans, such as a sync, exist too.
SAMPLING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
SAMPLED = ("0.05", "0.05", "0.05", "1")


@contextlib.contextmanager
def _stranger() -> Iterator[int]:
    """The port of a process with the usual process metrics, but none of ZooKeeper."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _limit(hosts: str, path: str) -> None:
    """Sets a quota, as zkCli's setquota does."""
    with connected(hosts) as client:
        limits = b"count=2000,bytes=100000=;byteHardLimit=-1;countHardLimit=-1"
        client.create(f"{quotas.ROOT}{path}/{quotas.LIMITS}", limits, makepath=True)
        client.create(f"{quotas.ROOT}{path}/{quotas.STATS}", b"count=0,bytes=0")


def _wait_serving(exporter: Exporter) -> None:
    eventually(lambda: exporter.url, timeout=READY_WITHIN)


def _config(folder: Path, ensembles: Mapping[str, tuple[str, tuple[str, ...]]], proxied: str, admin_port: int) -> Path:
    folder.mkdir()
    text = "ensembles:"
    for name, (hosts, trees) in ensembles.items():
        # The proxy passes only what clients say.
        polled = "0" if hosts == proxied else "1s"
        text += ENSEMBLE.format(name=name, hosts=hosts, polled=polled, admin_port=admin_port)
        text += "".join(TREE.format(name=tree, path=f"/{tree}", metrics=_metrics(f"/{tree}")) for tree in trees)
    config = folder / "exporter.yml"
    config.write_text(textwrap.dedent(text))
    return config


def _metrics(tree: str) -> str:
    """The demo's rules of a tree, as they are written in a configuration."""
    rules = [{key: of_it for key, of_it in asdict(rule).items() if of_it is not None} for rule in RULES_OF_DEMO[tree]]
    return json.dumps(rules)
