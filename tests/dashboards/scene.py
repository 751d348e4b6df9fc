"""Scene: what the dashboards look at in tests and pictures.

A real ZooKeeper with the demo's living tree, an exporter with two ensembles of which one sits behind a proxy, a second
exporter as its replica, a receiver of their traces, and a Prometheus that scrapes both every second.
"""

from __future__ import annotations

import contextlib
import signal
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.demo.world import World
from tests.faults.proxy import UP, Proxy
from tests.integration.processes import Exporter, Prometheus, configured_exporter, running_prometheus
from tests.otlp import running_receiver
from tests.support import eventually

#: Milliseconds; sessions last 2 to 20 of them.
TICK_TIME = 200
#: Seconds that a change may take to show: Prometheus begins to scrape some seconds after its start.
SHOWN_WITHIN = 40.0

ENSEMBLE = """
  - name: {name}
    hosts: {hosts}
    session_timeout: 2s
    trees:
"""
TREE = """
      - name: {name}
        path: {path}
        freshness: {{interval: 1s, timeout: 3s}}
        audit: {{interval: 2s, sample: 200}}
"""


@dataclass(frozen=True)
class Scene:
    """What happens, for as long as its block runs."""

    server: ZooKeeperServer
    #: Between the first exporter and the ensemble that it calls `shop`.
    proxy: Proxy
    exporter: Exporter
    replica: Exporter
    prometheus: Prometheus

    def cut(self) -> None:
        """Cuts the connection of the session behind the proxy, and waits until it is there again."""
        before = self.prometheus.value(_RESYNCS.format(reason="reconnect"))
        self.proxy.cut()
        self._wait_for_more(_RESYNCS.format(reason="reconnect"), before)

    def expire(self) -> None:
        """Lets the session behind the proxy expire for real, and waits until another one has taken its place."""
        lost = 'sum(zookeeper_client_sessions_lost_total{reason="expired"})'
        before = self.prometheus.value(lost)
        # What is under way fails when the client gives its connection up, which is before the session expires.
        self.proxy.stall(UP)
        self.wait_until('zookeeper_client_session_deadline_timestamp_seconds{ensemble="shop"} < time() - 1')
        self.proxy.heal()
        self._wait_for_more(lost, before)

    def go_dark(self) -> None:
        """Takes the ensemble behind the proxy away, until `proxy.heal`."""
        self.proxy.refuse()
        self.proxy.cut()

    @contextlib.contextmanager
    def replica_paused(self) -> Iterator[None]:
        """Stops the replica where it is: it answers no scrape while the block runs."""
        self.replica.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.replica.send_signal(signal.SIGCONT)

    def wait_until(self, condition: str) -> None:
        """Waits until Prometheus has a value for the expression."""
        eventually(lambda: self.prometheus.query(condition), timeout=SHOWN_WITHIN, interval=0.1)

    def _wait_for_more(self, counter: str, before: float | None) -> None:
        self.wait_until(f"{counter} > {before or 0:g}")
        self.wait_until('zookeeper_cache_initialized{tree="services"} == 1')


_RESYNCS = 'sum(zookeeper_cache_syncs_total{{reason="{reason}"}})'


@contextlib.contextmanager
def playing(folder: Path, *, writes_per_second: float = 60.0) -> Iterator[Scene]:
    """A scene whose exporters have loaded their trees and been scraped."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ZooKeeperServer(tick_time=TICK_TIME, system_properties=NETTY))
        world = World(server.hosts, writes_per_second=writes_per_second)
        stack.callback(world.stop)
        world.start()
        proxy = stack.enter_context(Proxy(server.port))
        traces = stack.enter_context(running_receiver(folder)).environment("http/protobuf")
        exporters = [
            stack.enter_context(
                configured_exporter(_config(folder / name, ensembles), environment={**traces, **SAMPLING})
            )
            for name, ensembles in (
                ("first", {"shop": (proxy.hosts, ("services", "config")), "jobs": (server.hosts, ("tasks", "locks"))}),
                ("replica", {"shop": (server.hosts, ("services", "config"))}),
            )
        ]
        for exporter in exporters:
            exporter.wait_ready()
        prometheus = stack.enter_context(running_prometheus(folder, *(exporter.url for exporter in exporters)))
        scene = Scene(server, proxy, exporters[0], exporters[1], prometheus)
        scene.wait_until("sum(up) == 2")
        yield scene


#: Some of the requests are traced, as in production, and their traces are exemplars of the histograms.
SAMPLING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"}


def _config(folder: Path, ensembles: Mapping[str, tuple[str, tuple[str, ...]]]) -> Path:
    folder.mkdir()
    text = "ensembles:"
    for name, (hosts, trees) in ensembles.items():
        text += ENSEMBLE.format(name=name, hosts=hosts)
        text += "".join(TREE.format(name=tree, path=f"/{tree}") for tree in trees)
    config = folder / "exporter.yml"
    config.write_text(textwrap.dedent(text))
    return config
