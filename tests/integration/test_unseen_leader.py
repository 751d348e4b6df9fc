"""A leader with leaderServes=no fires no alert about servers, and a follower that dies beside it does.

Three real servers, a real exporter, and a real Prometheus with the shipped rules, whose times are divided.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboards.prometheus.parameters import Parameters
from dashboards.prometheus.render import rule_files
from exporter.demo.ports import free_port
from tests.faults.ensemble import LIMITS, Ensemble, Member
from tests.integration.processes import Exporter, Prometheus, configured_exporter, running_prometheus
from tests.support import eventually

pytestmark = pytest.mark.long

SERVES_NO_CLIENT = {**LIMITS, "leaderServes": "no"}
#: A server counts as down after 15 s and a settled 3 s; the shortest windows still have several scrapes.
SHORTEN = 20
#: Seconds that a poll may take.
TIMEOUT = 3
#: A sample for each scrape that finds a server down.
DOWN = "(zk_up == 0)"
FIRING = 'ALERTS{alertname=~"TreeCache(Server|Ensemble).+", alertstate="firing"}'


@contextmanager
def watched(folder: Path, ensemble: Ensemble, **servers: str) -> Iterator[tuple[Exporter, Prometheus]]:
    """An exporter that watches the ensemble, and a Prometheus with the rules that scrapes it."""
    one = {
        "name": "main",
        "hosts": ensemble.hosts,
        "trees": [{"path": "/"}],
        "servers": {"interval": "500ms", "timeout": f"{TIMEOUT}s", **servers},
    }
    (folder / "config.yml").write_text(json.dumps({"ensembles": [one]}))
    for name, text in rule_files(Parameters(shorten=SHORTEN)).items():
        (folder / name).write_text(text)
    more = f"rule_files: ['{folder}/treecache-*.yml']\n"
    with (
        configured_exporter(folder / "config.yml") as exporter,
        running_prometheus(folder, exporter.url, more=more) as prometheus,
    ):
        yield exporter, prometheus


def the_silent_one(ensemble: Ensemble) -> Member:
    """The member that leads; on a busy machine others may be slow to answer."""

    def silent() -> list[Member]:
        found = [member for member in ensemble.members if member.mode is None]
        assert len(found) == 1
        return found

    return eventually(silent)[0]


def firing(prometheus: Prometheus) -> set[str]:
    """The alerts about servers that fire now."""
    return {sample["alertname"] for sample in prometheus.labels(FIRING)}


def test_a_leader_that_serves_no_client_is_not_down(tmp_path: Path) -> None:
    with Ensemble(limits=SERVES_NO_CLIENT) as ensemble, watched(tmp_path, ensemble) as (exporter, prometheus):
        unseen = eventually(lambda: prometheus.labels("job_server:zk_server_leader:unseen"), timeout=60)
        leader = the_silent_one(ensemble)
        assert [labels["zk_host"] for labels in unseen] == [leader.client_address]
        assert exporter.metric("zk_up", zk_host=leader.client_address) == 0
        assert exporter.metric("zk_server_leader") == 0
        # Longer than it takes until a server that is down fires.
        eventually(lambda: (prometheus.value(f"sum(count_over_time({DOWN}[1h:1s]))") or 0) > 25, timeout=90)
        assert prometheus.query(f"count_over_time({FIRING}[1h])") == []

        dead = next(member for member in ensemble.members if member is not leader)
        dead.kill()
        eventually(lambda: firing(prometheus) == {"TreeCacheServerDown", "TreeCacheEnsembleQuorumAtRisk"}, timeout=90)
        down = prometheus.labels("job_server:zk_up:down")
        assert [labels["zk_host"] for labels in down] == [dead.client_address]


def test_adminserver_says_who_leads(tmp_path: Path) -> None:
    port = free_port()
    with (
        Ensemble(limits=SERVES_NO_CLIENT, admin_port=port) as ensemble,
        watched(tmp_path, ensemble, admin=f"http://{{host}}:{port}") as (_, prometheus),
    ):
        eventually(lambda: prometheus.value("sum(zk_up) + sum(zk_server_leader)") == 4, timeout=60)
        leader = the_silent_one(ensemble)
        # A server that takes too long to answer a poll has no numbers until the next one.
        leads = eventually(lambda: prometheus.labels("zk_server_leader == 1"), timeout=60)
        assert [labels["zk_host"] for labels in leads] == [leader.client_address]
        assert not prometheus.query("job_server:zk_server_leader:unseen")
        # All run on this machine: half a second of the date, and half of the time that the answer took.
        clocks = "zookeeper_server_clock_offset_seconds"
        offsets = eventually(lambda: found if len(found := prometheus.query(clocks)) == 3 else [], timeout=60)
        assert all(abs(offset) <= 0.5 + TIMEOUT / 2 for offset in offsets)
