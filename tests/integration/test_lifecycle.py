"""What happens to the exporter in production: host names, clocks, limits, pipes and signals."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.ports import free_port
from tests import plainhttp
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.integration.processes import STOP_LIMIT, Exporter, configured_exporter, running_exporter
from tests.support import being_read, eventually

DEVICES = Path(__file__).parent / "devices"
DAY = 86_400.0
AUTH = 100


@pytest.fixture
def proxy(zookeeper: ZooKeeper) -> Iterator[Proxy]:
    with Proxy(zookeeper.server.port) as proxy:
        yield proxy


def through(device: str, value: Path | int) -> Mapping[str, str]:
    """The environment for an exporter with one of the devices."""
    return {"PYTHONPATH": str(DEVICES), device: str(value)}


def write(file: Path, text: str) -> None:
    """Replaces a file atomically."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def assert_stops(exporter: Exporter) -> None:
    status, seconds = exporter.stop()
    assert status == 0
    assert seconds < STOP_LIMIT
    assert exporter.logged("stopped")


# Names and addresses


@pytest.mark.parametrize("trouble", ["", f"{errno.EMFILE} zk.test\n"])
def test_it_starts_before_dns_and_goes_on_when_a_name_comes(tmp_path: Path, zookeeper: ZooKeeper, trouble: str) -> None:
    names = tmp_path / "hosts"
    names.write_text(trouble)
    hosts = f"zk.test:{zookeeper.server.port}{zookeeper.root}"
    with running_exporter(tmp_path, hosts, "/", environment=through("TEST_HOSTS", names)) as exporter:
        eventually(lambda: exporter.metric("zookeeper_client_connection_failures_total", reason="dns") > 0)
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.metric("zookeeper_client_state", state="connecting") == 1
        write(names, "127.0.0.1 zk.test\n")
        exporter.wait_ready()
        assert [line["event"] for line in exporter.log_lines() if "Cannot resolve" in line["event"]]
        assert not [line for line in exporter.log_lines() if line["level"] == "error"]


def test_it_stops_while_dns_does_not_answer(tmp_path: Path) -> None:
    names = tmp_path / "hosts"
    names.write_text("hang zk.test\n")
    with running_exporter(tmp_path, "zk.test", "/", environment=through("TEST_HOSTS", names)) as exporter:
        assert exporter.metric("zookeeper_client_state", state="connecting") == 1
        assert_stops(exporter)


def test_it_follows_an_ensemble_to_another_address_in_the_same_session(
    tmp_path: Path, zookeeper: ZooKeeper, proxy: Proxy, client_factory: ClientFactory
) -> None:
    names = tmp_path / "hosts"
    names.write_text("127.0.0.1 zk.test\n")
    hosts = f"zk.test:{proxy.port}{zookeeper.root}"
    with (
        Proxy(zookeeper.server.port, "127.0.0.2", proxy.port) as moved,
        running_exporter(tmp_path, hosts, "/", environment=through("TEST_HOSTS", names)) as exporter,
    ):
        exporter.wait_ready()
        proxy.refuse()
        write(names, "127.0.0.2 zk.test\n")
        client_factory().create("/meanwhile")
        proxy.cut()
        # It may have heard of the new znode before the cut.
        eventually(lambda: exporter.metric("zookeeper_cache_syncs_total", reason="reconnect") == 1)
        eventually(lambda: exporter.metric("zookeeper_cache_nodes") == 2)
        assert exporter.metric("zookeeper_client_sessions_lost_total") == 0
        # One more connection finds out the capabilities of the server at that address.
        assert moved.accepted == 2


def test_it_goes_on_after_an_error_that_kazoo_has_not_foreseen(
    tmp_path: Path, zookeeper: ZooKeeper, proxy: Proxy
) -> None:
    (config := tmp_path / "config.yml").write_text(
        json.dumps(
            {
                "ensembles": [
                    {
                        "name": "main",
                        "hosts": proxy.hosts + zookeeper.root,
                        "digest": [{"username": "user", "password": "secret"}],
                        "trees": [{"path": "/"}],
                    }
                ]
            }
        )
    )
    system_error = -1
    proxy.refuse_requests({AUTH}, system_error, close=False)
    with configured_exporter(config) as exporter:
        eventually(lambda: exporter.metric("zookeeper_client_connection_failures_total") > 0)
        assert exporter.metric("zookeeper_client_up") == 0
        proxy.refuse_requests(set(), None, close=False)
        exporter.wait_ready()
        assert exporter.metric("zookeeper_client_up") == 1


# Clocks


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_of_the_clock_is_no_time_that_passes(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory, jump: float
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    flags = ("--freshness.interval=100ms", "--audit.interval=100ms")
    environment = through("TEST_CLOCK", clock)
    with running_exporter(tmp_path, zookeeper.hosts, "/", flags=flags, environment=environment) as exporter:
        exporter.wait_ready()
        started = exporter.metric("zookeeper_client_session_start_timestamp_seconds")
        write(clock, str(jump))
        eventually(lambda: staleness(exporter, jump) < 2)
        audits = exporter.metric("zookeeper_cache_audits_total")
        client_factory().create("/afterwards")
        eventually(lambda: exporter.metric("zookeeper_cache_nodes") == 2)
        eventually(lambda: exporter.metric("zookeeper_cache_audits_total") > audits)
        assert 0 <= staleness(exporter, jump) < 2
        assert durations(exporter)
        assert [name for name, seconds in durations(exporter).items() if not 0 <= seconds < 60] == []
        # It was taken from the clock at the start, and stays while the session lasts.
        assert exporter.metric("zookeeper_client_session_start_timestamp_seconds") == started
        assert exporter.metric("zookeeper_cache_verification_failures_total") == 0
        assert exporter.metric("zookeeper_client_state_transitions_total", state="connected") == 1
        assert exporter.metric("zookeeper_client_state_transitions_total", state="suspended") == 0
        assert_stops(exporter)


def staleness(exporter: Exporter, jump: float) -> float:
    """The time since verified by the clock that jumped."""
    proven = exporter.metric("zookeeper_cache_verified_timestamp_seconds")
    return time.time() + jump - proven


def durations(exporter: Exporter) -> dict[str, float]:
    """The sums of all histograms of seconds, and all ages."""
    families = text_string_to_metric_families(exporter.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {
        str(sample): sample.value
        for sample in samples
        if sample.name.endswith(("_seconds_sum", "_age_seconds"))
        # By definition it compares two clocks: it counts from a znode's modification time.
        and sample.name != "zookeeper_cache_propagation_delay_seconds_sum"
    }


# Open files


def test_too_few_open_files_to_start_are_one_line() -> None:
    flags = ("--zookeeper.hosts=127.0.0.1:1", "--treecache.path=/", "--web.listen-address=127.0.0.1:0")
    ended = subprocess.run(
        [sys.executable, "-m", "exporter", "--log.level=error", *flags],
        env={**os.environ, **through("TEST_OPEN_FILES", 8)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("treecache-exporter: RLIMIT_NOFILE=8: too few open files to start; accepted: ")
    assert ended.stderr.count("\n") == 1


def test_a_crowd_within_few_open_files_does_not_keep_a_scraper_out(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    environment = through("TEST_OPEN_FILES", 32)
    with running_exporter(tmp_path, zookeeper.hosts, "/", environment=environment) as exporter:
        exporter.wait_ready()
        address = ("127.0.0.1", int(exporter.url.rpartition(":")[2]))
        with contextlib.ExitStack() as crowd:
            for _ in range(200):
                crowd.enter_context(socket.create_connection(address))
            eventually(lambda: scrapes(exporter))
        eventually(lambda: scrapes(exporter))
        assert not [line for line in exporter.log_lines() if line["level"] == "error"]
        assert_stops(exporter)


def test_without_a_file_to_open_it_says_so_once_and_recovers(
    tmp_path: Path, zookeeper: ZooKeeper, proxy: Proxy
) -> None:
    with running_exporter(tmp_path, proxy.hosts + zookeeper.root, "/") as exporter:
        exporter.wait_ready()
        before = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
        # Fewer than are open, so that closing some leaves no room either.
        resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        proxy.cut()
        address = ("127.0.0.1", int(exporter.url.rpartition(":")[2]))
        with socket.create_connection(address), socket.create_connection(address):
            (warning,) = eventually(lambda: exporter.logged("too many open files"))
            assert (warning["level"], warning["limit"]) == ("warning", 3)
            eventually(lambda: [line for line in exporter.log_lines() if "Too many open files" in line["event"]])
            resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: scrapes(exporter))
        eventually(lambda: exporter.metric("zookeeper_client_up") == 1)
        eventually(lambda: len(exporter.logged("tree in sync")) == 2)
        assert len(exporter.logged("too many open files")) == 1
        assert not [line for line in exporter.log_lines() if line["level"] == "error"]


def scrapes(exporter: Exporter) -> bool:
    """Whether a scrape succeeds now."""
    try:
        return plainhttp.get(f"{exporter.url}/metrics", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


# Standard output and error


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a full pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    yield reading, writing
    for end in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(end)


@contextlib.contextmanager
def telling(zookeeper: ZooKeeper, pipe: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A ready exporter that writes a lot to this pipe: its URL and its process."""
    port = free_port()
    flags = ("--log.level=debug", "--freshness.interval=100ms", f"--web.listen-address=127.0.0.1:{port}")
    command = [sys.executable, "-m", "exporter", f"--zookeeper.hosts={zookeeper.hosts}", "--treecache.path=/", *flags]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), timeout=20)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return plainhttp.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_nobody_has_to_read_the_log(zookeeper: ZooKeeper, full_pipe: tuple[int, int]) -> None:
    with telling(zookeeper, full_pipe[1]) as (url, process):
        for _ in range(20):
            assert answers(f"{url}/metrics")
        begun = time.monotonic()
        process.terminate()
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - begun < STOP_LIMIT


def test_a_reader_that_comes_late_finds_the_log(zookeeper: ZooKeeper, full_pipe: tuple[int, int]) -> None:
    with telling(zookeeper, full_pipe[1]) as (_, process):
        os.close(full_pipe[1])
        process.terminate()
        with open(full_pipe[0], "rb", closefd=False) as log:
            lines = log.read().split(b"\n")
        assert process.wait(timeout=60) == 0
    records = [line for line in lines if line]
    assert all(line.startswith(b"timestamp=") for line in records)
    events = [line.partition(b"event=")[2].split()[0] for line in records if b"level=info logger=exporter " in line]
    assert events[0] == b"connecting"
    assert events[-1] == b"stopped"


def test_a_reader_that_is_gone_is_no_loss(zookeeper: ZooKeeper, full_pipe: tuple[int, int]) -> None:
    with telling(zookeeper, full_pipe[1]) as (url, process):
        os.close(full_pipe[0])
        assert answers(f"{url}/metrics")
        process.terminate()
        assert process.wait(timeout=60) == 0


# Signals


@pytest.mark.parametrize("stalled", [False, True])
def test_it_stops_during_the_first_load(
    tmp_path: Path, zookeeper: ZooKeeper, proxy: Proxy, client_factory: ClientFactory, stalled: bool
) -> None:
    writer = client_factory()
    for creation in [writer.create_async(f"/{number}") for number in range(300)]:
        creation.get()
    tree = {"path": "/", "max_nodes_per_second": 20}
    ensemble = {"name": "main", "hosts": proxy.hosts + zookeeper.root, "trees": [tree]}
    (config := tmp_path / "config.yml").write_text(json.dumps({"ensembles": [ensemble]}))
    with configured_exporter(config) as exporter:
        eventually(lambda: exporter.metric("zookeeper_cache_nodes") > 1)
        if stalled:
            proxy.stall(DOWN)
        assert exporter.metric("zookeeper_cache_initialized") == 0
        assert_stops(exporter)
        assert not exporter.logged("tree in sync")


def test_it_stops_while_a_password_is_checked(tmp_path: Path) -> None:
    # Checking the password takes most of a minute.
    (web_config := tmp_path / "web.yml").write_text(f"basic_auth_users: {{alice: $2b$18${'.' * 53}}}")
    flags = (f"--web.config.file={web_config}",)
    with running_exporter(tmp_path, "127.0.0.1:1", "/", flags=flags) as exporter:
        address = ("127.0.0.1", int(exporter.url.rpartition(":")[2]))
        with socket.create_connection(address) as attempt:
            attempt.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWxpY2U6eA==\r\n\r\n")
            assert exporter.get("/-/healthy").status_code == 200
            assert_stops(exporter)


def test_it_stops_while_a_file_hangs(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    ensemble = {"name": "main", "hosts": zookeeper.hosts, "trees": [{"path": "/"}]}
    (config := tmp_path / "config.yml").write_text(json.dumps({"ensembles": [ensemble]}))
    (web_config := tmp_path / "web.yml").write_text("{}")
    with configured_exporter(config, [f"--web.config.file={web_config}"]) as exporter:
        exporter.wait_ready()
        for file in (config, web_config):
            file.unlink()
            os.mkfifo(file)
        exporter.send_signal(signal.SIGHUP)
        with being_read(config), being_read(web_config):
            assert exporter.get("/metrics").status_code == 200
            assert_stops(exporter)


def test_it_stops_during_scrapes(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    paths = [f"/{number}" for number in range(40)]
    with running_exporter(tmp_path, zookeeper.hosts, *paths) as exporter, contextlib.ExitStack() as scrapers:
        exporter.wait_ready()
        url = f"{exporter.url}/metrics"
        statuses: list[int] = []
        slow = scrapers.enter_context(scraper_that_does_not_read(url))
        for _ in range(4):
            scrapers.enter_context(scraping(url, statuses))
        eventually(lambda: len(statuses) >= 4)
        assert_stops(exporter)
        assert set(statuses) == {200}
        assert not [line for line in exporter.log_lines() if line["level"] == "error"]
        # It had read only the beginning of an answer.
        head = slow.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")


@contextlib.contextmanager
def scraping(url: str, statuses: list[int]) -> Iterator[None]:
    """Scrapes without a pause until the exporter does not answer."""

    def scrape() -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                statuses.append(plainhttp.get(url, timeout=30).status_code)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextlib.contextmanager
def scraper_that_does_not_read(url: str) -> Iterator[socket.socket]:
    """A connection with a started answer that is too large for the buffers in between."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", int(url.split(":")[2].partition("/")[0])))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
        eventually(lambda: connection.recv(1, socket.MSG_PEEK))
        yield connection
