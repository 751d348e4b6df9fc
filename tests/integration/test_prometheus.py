"""A real Prometheus scrapes the exporter of a real ZooKeeper, and its values are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.states import ZnodeStat

from exporter.demo.server import ZooKeeperServer
from tests.conftest import connected
from tests.integration.processes import Exporter, Prometheus, running_exporter, running_prometheus
from tests.support import eventually

ROOT = "/services"
#: Seconds until a change must be in Prometheus, which starts to scrape some seconds after its own start.
SHOWN_WITHIN = 30.0


@pytest.fixture
def operator(own_zookeeper: ZooKeeperServer) -> Iterator[KazooClient]:
    """A plain client that has created a small tree and owns its ephemeral znodes."""
    with connected(own_zookeeper.hosts, timeout=4) as client:
        for service in range(5):
            for instance in range(8):
                client.create(f"{ROOT}/s{service}/i{instance}", b"x" * instance, makepath=True)
            client.create(f"{ROOT}/s{service}/leader", b"me", ephemeral=True)
        yield client


@pytest.fixture
def exporter(tmp_path: Path, own_zookeeper: ZooKeeperServer, operator: KazooClient) -> Iterator[Exporter]:
    """An exporter that watches the small tree."""
    with running_exporter(tmp_path, own_zookeeper.hosts, ROOT) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def prometheus(tmp_path: Path, exporter: Exporter) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the exporter."""
    with running_prometheus(tmp_path, exporter.url) as running:
        shows(running, "up", 1)
        yield running


def test_it_shows_what_a_walk_finds(prometheus: Prometheus, operator: KazooClient) -> None:
    assert_equal_tree(prometheus, operator)
    shows(prometheus, "zookeeper_client_up", 1)
    shows(prometheus, f'zookeeper_cache_info{{tree="{ROOT}",path="{ROOT}",ensemble="default"}}', 1)
    shows(prometheus, 'zookeeper_client_watches{kind="recursive"}', 1)


def test_event_counters_move_by_what_was_done(prometheus: Prometheus, operator: KazooClient) -> None:
    done = {"node_added": 7, "node_updated": 5, "node_removed": 3}
    watched = {"created": 7, "changed": 5, "deleted": 3, "child": 0}
    before = {event: prometheus.value(f'zookeeper_cache_events_total{{event="{event}"}}') for event in done}
    assert before == {"node_added": 51, "node_updated": 0, "node_removed": 0}

    for n in range(done["node_added"]):
        operator.create(f"{ROOT}/s0/new{n}")
    for n in range(done["node_updated"]):
        operator.set(f"{ROOT}/s1/i{n}", b"changed")
    for n in range(done["node_removed"]):
        operator.delete(f"{ROOT}/s2/i{n}")

    def moved() -> bool:
        now = {event: prometheus.value(f'zookeeper_cache_events_total{{event="{event}"}}') for event in done}
        return now == {event: (before[event] or 0) + count for event, count in done.items()}

    eventually(moved, timeout=SHOWN_WITHIN)
    after_another_scrape(prometheus)
    assert moved()
    for event, count in watched.items():
        assert prometheus.value(f'zookeeper_client_watch_events_total{{event="{event}"}}') == count
    assert_equal_tree(prometheus, operator)


def test_it_sees_zookeeper_go_and_come_back(
    prometheus: Prometheus, exporter: Exporter, operator: KazooClient, own_zookeeper: ZooKeeperServer
) -> None:
    nodes = prometheus.value("sum(zookeeper_cache_nodes)")

    own_zookeeper.kill()
    shows(prometheus, "zookeeper_client_up", 0)
    shows(prometheus, 'zookeeper_client_state{state="suspended"}', 1)
    after_another_scrape(prometheus)
    # Of one moment: a scrape that comes too late, on a busy machine, ends all series.
    shows(prometheus, "sum(zookeeper_cache_nodes) and on () up == 1", nodes or 0)
    assert exporter.get("/-/ready").status_code == 200

    own_zookeeper.start()
    shows(prometheus, "zookeeper_client_up", 1)
    shows(prometheus, 'zookeeper_client_state{state="suspended"}', 0)
    eventually(lambda: operator.connected, timeout=SHOWN_WITHIN)
    operator.create(f"{ROOT}/after", b"the restart")
    operator.delete(f"{ROOT}/s4", recursive=True)
    assert_equal_tree(prometheus, operator)
    shows(prometheus, 'sum(zookeeper_cache_syncs_total{reason!="start"})', 1)


def shows(prometheus: Prometheus, expression: str, value: float) -> None:
    """Waits until Prometheus has this value."""

    def shown() -> bool:
        now = prometheus.value(expression)
        assert now == value, f"{expression} is {now}, not {value}"
        return True

    eventually(shown, timeout=SHOWN_WITHIN, interval=0.1)


def after_another_scrape(prometheus: Prometheus) -> None:
    """Waits for a scrape that begins after this call."""
    moment = prometheus.value("vector(time())")
    eventually(lambda: (prometheus.value("timestamp(up)") or 0) > (moment or 0), timeout=SHOWN_WITHIN, interval=0.1)


def assert_equal_tree(prometheus: Prometheus, client: KazooClient) -> None:
    """Waits until Prometheus has the same znodes of each kind and the same data size as a walk of the server."""
    kinds: Counter[str] = Counter()
    size = 0
    for stat in walk(client, ROOT):
        kinds["ephemeral" if stat.ephemeralOwner else "persistent"] += 1
        size += stat.dataLength
    for kind in ("persistent", "ephemeral"):
        shows(prometheus, f'zookeeper_cache_nodes{{kind="{kind}"}}', kinds[kind])
    shows(prometheus, "zookeeper_cache_data_bytes", size)


def walk(client: KazooClient, path: str) -> Iterator[ZnodeStat]:
    """The stat of each znode of a subtree."""
    _, stat = client.get(path)
    yield stat
    for name in client.get_children(path):
        yield from walk(client, f"{path}/{name}")
