"""The exporter as a process with a real ZooKeeper: start, pages, stop, and no changes of znodes."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.server import ZooKeeperServer
from tests import plainhttp
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import Proxy
from tests.integration.processes import STOP_LIMIT, Exporter, running_exporter
from tests.support import eventually

pytestmark = pytest.mark.long

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def exporter(tmp_path: Path, zookeeper: ZooKeeper) -> Iterator[Exporter]:
    """A ready exporter that watches the test's own chroot."""
    with running_exporter(tmp_path, zookeeper.hosts, "/") as running:
        running.wait_ready()
        yield running


def test_it_starts_before_zookeeper_and_stays_ready_after_it(tmp_path: Path, own_zookeeper: ZooKeeperServer) -> None:
    own_zookeeper.kill()
    with running_exporter(tmp_path, own_zookeeper.hosts, "/") as exporter:
        assert exporter.metric("zookeeper_client_up") == 0
        assert exporter.metric("zookeeper_client_state", state="connecting") == 1
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.get("/-/ready").status_code == 503
        assert "connecting" in exporter.get("/").text
        eventually(lambda: exporter.metric("zookeeper_client_connection_failures_total", reason="refused") > 0)

        own_zookeeper.start()
        exporter.wait_ready()
        assert exporter.metric("zookeeper_client_up") == 1
        assert exporter.metric("zookeeper_cache_initialized") == 1

        own_zookeeper.kill()
        eventually(lambda: exporter.metric("zookeeper_client_up") == 0)
        assert exporter.get("/-/ready").status_code == 200


def test_a_tree_that_does_not_exist_is_ready_and_empty(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    with running_exporter(tmp_path, zookeeper.hosts, "/absent/tree") as exporter:
        exporter.wait_ready()
        assert exporter.metric("zookeeper_cache_nodes") == 0
        client_factory().create("/absent/tree/leaf", b"12345", makepath=True)
        eventually(lambda: exporter.metric("zookeeper_cache_nodes", kind="persistent") == 2)
        assert exporter.metric("zookeeper_cache_data_bytes") == 5


def test_nested_trees_are_watched_each_for_itself(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client_factory().create("/a/b/c", makepath=True)
    with running_exporter(tmp_path, zookeeper.hosts, "/a", "/a/b/") as exporter:
        exporter.wait_ready()
        assert exporter.metric("zookeeper_cache_nodes", tree="/a") == 3
        assert exporter.metric("zookeeper_cache_nodes", tree="/a/b") == 2


def test_the_scrape_is_clean(exporter: Exporter) -> None:
    eventually(lambda: exporter.metric("zk_up"))
    scrape = exporter.get("/metrics").content
    verdict = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True)
    # 3 is its status for names that do not follow the conventions, as ZooKeeper's do not.
    assert verdict.returncode in (0, 3)
    found = [line for line in verdict.stderr.decode().splitlines() if not line.startswith("zk_")]
    # A number of children, in the words of ZooKeeper's own documents.
    assert [line for line in found if not line.startswith("zookeeper_cache_largest_children_count ")] == []


def test_compression_and_formats(exporter: Exporter) -> None:
    response = exporter.get("/metrics", accept_encoding="gzip", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_tells_the_size_and_sends_nothing(exporter: Exporter, path: str) -> None:
    response = plainhttp.head(exporter.url + path)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert response.content == b""


def test_unknown_paths_and_wrong_methods(exporter: Exporter) -> None:
    assert exporter.get("/nope").status_code == 404
    refused = plainhttp.post(exporter.url + "/metrics")
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]


@pytest.mark.parametrize("number", SIGNALS)
def test_it_stops_when_connected(exporter: Exporter, number: signal.Signals) -> None:
    assert_stops(exporter, number)
    assert not exporter.logged("sessions left to expire")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("hosts", ["127.0.0.1:1", "nowhere.invalid"])
def test_it_stops_when_it_was_never_connected(tmp_path: Path, hosts: str, number: signal.Signals) -> None:
    with running_exporter(tmp_path, hosts, "/") as exporter:
        eventually(lambda: exporter.metric("zookeeper_client_connection_failures_total") > 0)
        assert_stops(exporter, number)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_stops_when_zookeeper_hangs(tmp_path: Path, own_zookeeper: ZooKeeperServer, number: signal.Signals) -> None:
    with running_exporter(tmp_path, own_zookeeper.hosts, "/") as exporter:
        exporter.wait_ready()
        own_zookeeper.suspend()
        assert_stops(exporter, number)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_stops_when_zookeeper_hangs_from_the_start(
    tmp_path: Path, own_zookeeper: ZooKeeperServer, number: signal.Signals
) -> None:
    own_zookeeper.suspend()
    with running_exporter(tmp_path, own_zookeeper.hosts, "/") as exporter:
        eventually(lambda: exporter.metric("zookeeper_client_connection_attempts_total") > 0)
        assert_stops(exporter, number)


def test_a_second_signal_ends_it_at_once(tmp_path: Path, own_zookeeper: ZooKeeperServer) -> None:
    with running_exporter(tmp_path, own_zookeeper.hosts, "/") as exporter:
        exporter.wait_ready()
        own_zookeeper.suspend()
        exporter.send_signal(signal.SIGTERM)
        eventually(lambda: exporter.logged("stopping"))
        status, _ = exporter.stop(signal.SIGINT)
        assert status == -signal.SIGINT


def test_it_never_writes(tmp_path: Path, own_zookeeper: ZooKeeperServer) -> None:
    begin, znodes = zxid(own_zookeeper), own_zookeeper.mntr()["zk_znode_count"]
    # The quorum barrier changes no znode either, but takes a zxid for each freshness check.
    flags = ("--freshness.barrier=sync", "--freshness.interval=100ms", "--audit.interval=100ms")
    with running_exporter(tmp_path, own_zookeeper.hosts, "/", "/absent/tree", "/zookeeper", flags=flags) as exporter:
        exporter.wait_ready()
        eventually(lambda: exporter.metric("zookeeper_cache_verified_timestamp_seconds", tree="/") > 0)
        eventually(lambda: exporter.metric("zookeeper_cache_audits_total", tree="/") > 0)
        # Opening and closing a session are transactions; one more session finds out the server's capabilities.
        eventually(lambda: zxid(own_zookeeper) == begin + 3)
        assert_stops(exporter, signal.SIGTERM)
    assert zxid(own_zookeeper) == begin + 4
    assert own_zookeeper.mntr()["zk_znode_count"] == znodes


def test_zookeeper_s_absence_does_not_flood_the_log(tmp_path: Path) -> None:
    with running_exporter(tmp_path, "127.0.0.1:1", "/") as exporter:
        eventually(lambda: exporter.metric("zookeeper_client_connection_failures_total") >= 4)
        assert len(exporter.log_lines()) < 8


def test_it_logs_where_it_serves_and_what_happens_to_the_connection(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    with (
        Proxy(zookeeper.server.port) as proxy,
        running_exporter(tmp_path, proxy.hosts + zookeeper.root, "/") as exporter,
    ):
        eventually(lambda: len(exporter.logged("tree in sync")) == 1)
        proxy.cut()
        eventually(lambda: len(exporter.logged("tree in sync")) == 2)
        assert_stops(exporter, signal.SIGTERM)
        told = [(line["level"], line["event"]) for line in exporter.log_lines() if line["logger"] == "exporter"]
    # At any time: it serves as soon as it can, whatever the connection does.
    told.remove(("info", "serving"))
    assert told == [
        ("info", "connecting"),
        ("info", "connected"),
        ("info", "tree in sync"),
        ("info", "connection suspended"),
        ("info", "reconnected"),
        ("info", "tree in sync"),
        ("info", "stopping"),
        ("info", "stopped"),
    ]


def assert_stops(exporter: Exporter, number: signal.Signals) -> None:
    status, seconds = exporter.stop(number)
    assert status == 0
    assert seconds < STOP_LIMIT
    assert exporter.logged("stopping")[0]["signal"] == number.name
    assert exporter.logged("stopped")
    assert not [line for line in exporter.log_lines() if line["level"] == "error"]


def zxid(server: ZooKeeperServer) -> int:
    """The newest transaction of the server."""
    match = re.search("^Zxid: 0x([0-9a-f]+)$", server.four_letter_word(b"srvr"), re.MULTILINE)
    assert match
    return int(match[1], 16)
