"""Expressions elsewhere: known dashboards and rules get answers from a real Prometheus, with real servers behind us.

Each name that a source asks for is asked for in the forms that such sources use, but for names of which `MISSING` says
why no server gives them. Prometheus' configurations are those of docs/servers.md. A rule is asked without its
comparison, which holds in trouble only; a dead server and an election are trouble that the test makes. An average of
nothing is NaN, as at ZooKeeper's own endpoint, and counts as an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from ruamel.yaml import YAML

from exporter.servers.names import described
from tests.conftest import connected
from tests.faults.ensemble import Ensemble
from tests.integration.processes import Exporter, Prometheus, configured_exporter, running_prometheus
from tests.servers.elsewhere import AWESOME, CLICKHOUSE, DASHBOARD_10465, DASHBOARD_11442, GUIDE, MISSING
from tests.support import eventually

pytestmark = pytest.mark.long

DOCUMENT = Path(__file__).parents[2] / "docs" / "servers.md"
#: Seconds until Prometheus has scraped everything twice.
ANSWERED_WITHIN = 90.0
#: A leader notes its followers' acknowledgements at each of so many transactions (leader.ackLoggingFrequency).
ACKNOWLEDGEMENTS_NOTED = 1000
#: The name of what it notes, which recorded servers did not have.
ACKNOWLEDGED = "ack_latency_sum"
#: The jobs by the names that they have here.
PROBES, RENAMED = "probes", "renamed"


def documented(exporter: Exporter, ensemble: Ensemble) -> Iterator[dict[str, Any]]:
    """The document's jobs for Prometheus, with other addresses and names."""
    addresses = {"exporter.example:19141": exporter.url.removeprefix("http://")}
    for member in ensemble.members:
        addresses[f"zk{member.number}.example:2181"] = member.client_address
    for block in re.findall(r"```yaml\n(scrape_configs:.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL):
        for name, address in addresses.items():
            block = block.replace(name, address)
        assert ".example" not in block
        (job,) = YAML(typ="safe", pure=True).load(block)["scrape_configs"]
        yield {**job, "job_name": PROBES if job.get("metrics_path") == "/probe" else RENAMED}


def use(client: KazooClient) -> None:
    """Makes servers count what they count only if it happens: transactions, and reads and writes below a znode."""
    client.ensure_path("/services")
    pending = [client.create_async("/services/s", b"x", sequence=True) for _ in range(ACKNOWLEDGEMENTS_NOTED + 100)]
    for created in pending:
        created.get(60)
    for _ in range(20):
        client.get_children("/services")
        client.get("/services")


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble() as running:
        for member in running.members:
            with connected(member.client_address) as client:
                use(client)
        yield running


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, ensemble: Ensemble) -> Iterator[Prometheus]:
    """A Prometheus with the exporter's own job and both jobs of the document."""
    folder = tmp_path_factory.mktemp("elsewhere")
    servers = {"interval": "2s", "timeout": "5s", "names": "all"}
    one = {"name": "main", "hosts": ensemble.hosts, "trees": [{"path": "/"}], "servers": servers}
    (folder / "config.yml").write_text(json.dumps({"ensembles": [one]}))
    with configured_exporter(folder / "config.yml") as exporter:
        exporter.wait_ready()
        jobs = list(documented(exporter, ensemble))
        assert {job["job_name"] for job in jobs} == {PROBES, RENAMED}
        more = "".join(f"- {json.dumps(job)}\n" for job in jobs)
        with running_prometheus(folder, exporter.url, interval="3s", more=more) as running:
            yield running


def assert_answered(prometheus: Prometheus, expressions: list[str]) -> None:
    """Waits until no expression has an empty answer."""
    assert expressions
    unanswered = expressions

    def all_answered() -> bool:
        nonlocal unanswered
        unanswered = [expression for expression in unanswered if not prometheus.query(expression)]
        assert not unanswered
        return True

    eventually(all_answered, timeout=ANSWERED_WITHIN, interval=1.0)


def asked(names: str) -> list[str]:
    """The names that are to be answered."""
    return [name for name in names.split() if name not in MISSING or name == ACKNOWLEDGED]


def forms(name: str, selector: str) -> Iterator[str]:
    """The forms in which dashboards and rules ask for a number."""
    this = f"{name}{selector}"
    if name.endswith("_sum"):
        yield f"irate({this}[1m])"
        yield f"rate({this}[5m])"
        yield f"increase({this}[1m]) / increase({name.removesuffix('_sum')}_count{selector}[1m])"
    elif described(name.removeprefix("zk_")).kind == "counter" or name.endswith("_count"):
        yield f"irate({this}[1m])"
        yield f"increase({this}[1m])"
    else:
        yield f"max({this})"
        yield f"deriv({this}[5m])"
    yield this


def test_dashboard_11442(prometheus: Prometheus, ensemble: Ensemble) -> None:
    """It shows one server, which the variables `job` and `instance` choose."""
    for member in ensemble.members:
        selector = f'{{job=~"{PROBES}", instance=~"{member.client_address}"}}'
        assert_answered(prometheus, [form for name in asked(DASHBOARD_11442) for form in forms(name, selector)])
    # The variables.
    assert {labels["instance"] for labels in prometheus.labels(f'zk_up{{job="{PROBES}"}}')} == {
        member.client_address for member in ensemble.members
    }
    assert all(labels["version"] for labels in prometheus.labels(f'zk_version{{job="{PROBES}"}}'))


@pytest.mark.parametrize("names", [DASHBOARD_10465, GUIDE, CLICKHOUSE], ids=["10465", "guide", "clickhouse-operator"])
def test_sources_that_ask_zookeepers_own_endpoint(prometheus: Prometheus, ensemble: Ensemble, names: str) -> None:
    """They choose servers by `job` and `instance`; of some numbers only the leader speaks."""
    servers = "|".join(member.client_address for member in ensemble.members)
    selector = f'{{job=~"{RENAMED}", instance=~"{servers}"}}'
    assert_answered(prometheus, [form for name in asked(names) for form in forms(name, selector)])


def test_awesome_prometheus_alerts(prometheus: Prometheus) -> None:
    """Its rules have no selector, so they find the servers in each job that has their names."""
    for job in ("treecache", PROBES):
        selector = f'{{job="{job}"}}'
        assert_answered(
            prometheus, [form for name in asked(AWESOME) for form in (f"{name}{selector}", f"sum({name}{selector})")]
        )
        assert prometheus.query(f"sum(zk_server_leader{selector}) == 1")


def test_rules_fire_in_trouble(prometheus: Prometheus, ensemble: Ensemble) -> None:
    """With their comparisons: a leader dies, and another is elected."""
    killed = ensemble.leader
    killed.kill()
    assert_answered(
        prometheus,
        [
            f'zk_up{{job="{PROBES}", instance="{killed.client_address}"}} == 0',
            f'zk_up{{job="treecache", zk_host="{killed.client_address}"}} == 0',
            f'up{{job="{RENAMED}", instance="{killed.client_address}"}} == 0',
            f'increase(election_time_count{{job="{RENAMED}"}}[5m]) > 0',
            f'sum(zk_server_leader{{job="{PROBES}"}}) == 1',
        ],
    )
