"""Watching: the exporter with a pack, and a Prometheus with the pack's alerts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from exporter.packs.library import load
from tests.integration.processes import Exporter, Prometheus, running_exporter, running_prometheus
from tests.support import eventually
from tests.systems.program import LIMIT

#: The rule files of the alerts, by pack.
RULES = Path(__file__).parents[2] / "dashboards" / "prometheus" / "packs"


class Watch:
    """What is said of a system by its pack."""

    def __init__(self, pack: str, exporter: Exporter, prometheus: Prometheus) -> None:
        self._pack = pack
        self._exporter = exporter
        self._prometheus = prometheus

    def series(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The series of a metric of the pack, by the values of these labels."""
        return self._exporter.series(f"zookeeper_znode_{self._pack}_{name}", *labels)

    def says(self, name: str, series: dict[tuple[str, ...], float], *labels: str) -> None:
        """Waits until a metric of the pack has these series."""

        def said() -> bool:
            found = self.series(name, *labels)
            assert found == series, f"{name}: {found}"
            return True

        eventually(said, timeout=LIMIT, interval=0.2)

    def alerts(self, *names: str) -> None:
        """Waits until the conditions of these alerts of the pack are true, and those of no other.

        Fails if there is a znode that a rule cannot use.
        """
        assert self._exporter.metric("zookeeper_znode_rule_unusable") == 0

        def true() -> bool:
            found = {
                alert.name
                for alert in load(self._pack).alerts
                if self._prometheus.query(f'ALERTS{{alertname="{alert.name}"}}')
            }
            assert found == set(names), f"alerts: {found}"
            return True

        eventually(true, timeout=LIMIT, interval=0.5)


@contextlib.contextmanager
def watching(folder: Path, hosts: str, pack: str) -> Iterator[Watch]:
    """Watches a system within the block."""
    rules = f"rule_files: {[str(RULES / f'{pack}.yml')]}\n"
    with (
        running_exporter(folder, hosts, flags=(f"--pack={pack}",)) as exporter,
        running_prometheus(folder, exporter.url, more=rules) as prometheus,
    ):
        exporter.wait_ready()
        yield Watch(pack, exporter, prometheus)
