"""The exporter as a process with a web configuration: TLS, passwords, open pages, and bad files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bcrypt
import httpx
import pytest
from kazoo.security import make_acl

from tests import plainhttp
from tests.conftest import ClientFactory, ZooKeeper
from tests.integration.processes import STOP_LIMIT, running_exporter
from tests.support import eventually
from tests.web.certificates import Authority

UNREACHABLE = "127.0.0.1:1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server", "127.0.0.1")
    return made


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    file = tmp_path / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{alice: {hashed}}}\n"
    )
    return file


def test_tls_and_passwords(tmp_path: Path, config: Path, authority: Authority) -> None:
    with (
        running_exporter(tmp_path, UNREACHABLE, "/", flags=(f"--web.config.file={config}",)) as exporter,
        httpx.Client(base_url=exporter.url, verify=authority.client_context()) as client,
    ):
        assert exporter.url.startswith("https://")
        assert client.get("/-/healthy").status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", auth=("alice", "secret")).status_code == 200
        assert "secret" not in str(exporter.log_lines())
        status, took = exporter.stop()
    assert (status, took < STOP_LIMIT) == (0, True)


def test_a_bad_web_configuration_is_one_line_and_status_2(tmp_path: Path, config: Path) -> None:
    for text, said in (
        ("tls: 1", ":1: tls: unknown key; "),
        (config.read_text().replace("crt", "pem"), "cannot be read"),
    ):
        config.write_text(text)
        flags = [f"--zookeeper.hosts={UNREACHABLE}", "--treecache.path=/", f"--web.config.file={config}"]
        command = [sys.executable, "-m", "exporter", *flags, "--web.listen-address=127.0.0.1:0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_several_addresses(tmp_path: Path) -> None:
    path = tmp_path / "exporter.sock"
    flags = ("--web.listen-address=[::1]:0", f"--web.listen-address=unix://{path}")
    with (
        running_exporter(tmp_path, UNREACHABLE, "/", flags=flags) as exporter,
        plainhttp.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://exporter") as local,
    ):
        urls = [line["url"] for line in exporter.wait_logged("serving", 3)]
        assert urls[2] == f"unix://{path}"
        assert [plainhttp.get(f"{url}/-/healthy").status_code for url in urls[:2]] == [200, 200]
        assert local.get("/metrics").status_code == 200
        assert exporter.stop()[0] == 0
    assert not path.exists()


def test_a_prefix(tmp_path: Path) -> None:
    flags = ("--web.external-url=https://monitor.example/zk/", "--web.enable-lifecycle")
    with running_exporter(tmp_path, UNREACHABLE, "/", flags=flags) as exporter:
        assert exporter.get("/zk/-/healthy").text.startswith("Healthy.\n")
        assert "\nzookeeper_client_up{" in exporter.get(exporter.logged("serving")[0]["telemetry_path"]).text
        assert plainhttp.post(f"{exporter.url}/zk/-/reload").status_code == 200
        assert exporter.get("/metrics").status_code == 404


def test_open_pages_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with (
        running_exporter(tmp_path, UNREACHABLE, "/") as exporter,
        plainhttp.stream("GET", f"{exporter.url}/-/events") as events,
    ):
        lines = events.iter_lines()
        assert next(lines) == "retry: 1000"
        status, took = exporter.stop()
        assert all(line.startswith("data: {") for line in lines if line)
    assert (status, took < STOP_LIMIT) == (0, True)
    assert not [line for line in exporter.log_lines() if line["level"] == "error"]


def test_the_page_tells_of_faults(tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client_factory().create("/closed", acl=[make_acl("world", "anyone", create=True, delete=True)])
    with running_exporter(tmp_path, zookeeper.hosts, "/") as exporter:
        eventually(lambda: "NoAuthError: /closed may not be read" in exporter.get("/").text)


def test_data_is_shown_only_on_request(tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client_factory().create("/a", b"in confidence")
    page = "/browse?ensemble=default&tree=/&path=/a"
    for flags, shown in (((), False), (("--web.expose-data",), True)):
        with running_exporter(tmp_path, zookeeper.hosts, "/", flags=flags) as exporter:
            exporter.wait_ready()
            assert ("in confidence" in exporter.get(page).text) is shown
