"""`treecache-exporter healthcheck`: its requests to a running server, and its exit status."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.config.settings import UnixAddress
from exporter.config.web import load
from exporter.daemon import logs
from tests.telemetry.known import ensemble
from tests.untouched import untouched_logging  # noqa: F401 - a fixture
from tests.web.certificates import Authority
from tests.web.running import running

TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key"
MUTUAL = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt"


@pytest.fixture(autouse=True)
def quiet_server(untouched_logging: None) -> None:  # noqa: F811
    """A server in this process, whose log does not mix with the command's output."""
    logs.configure(level="error")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server", "exporter.example")
    return made


def healthcheck(capsys: pytest.CaptureFixture[str], port: int, *flags: str) -> tuple[int, str]:
    """The exit status, and the one line that was printed."""
    status = main(["healthcheck", f"--web.listen-address=127.0.0.1:{port}", *flags])
    output, errors = capsys.readouterr()
    assert (output + errors).count("\n") == 1
    return status, output or errors


@pytest.mark.starts
def test_a_server_that_answers_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:
        status, said = healthcheck(capsys, server.port)
    assert (status, said) == (0, f"http://127.0.0.1:{server.port}/-/healthy: 200 Healthy.\n")


@pytest.mark.starts
def test_a_healthy_server_stays_healthy_when_nobody_reads_the_answer() -> None:
    with running() as server, open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "exporter", "healthcheck", f"--web.listen-address=127.0.0.1:{server.port}"]
        end = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert (end.returncode, end.stderr) == (0, b"")


@pytest.mark.starts
def test_an_address_for_everyone_is_asked_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:
        for address in ("", "0.0.0.0", "[::]"):
            assert main(["healthcheck", f"--web.listen-address={address}:{server.port}"]) == 0
            assert "200 Healthy." in capsys.readouterr().out


@pytest.mark.starts
def test_readiness_is_another_question(capsys: pytest.CaptureFixture[str]) -> None:
    with running(ensemble()) as server:
        _, healthy = healthcheck(capsys, server.port)
        status, ready = healthcheck(capsys, server.port, "--ready")
    assert "200" in healthy
    assert re.search(r"/-/ready: (200 Ready\.|503 Not ready: )", ready)
    assert status == (0 if "200" in ready else 1)


@pytest.mark.starts
@pytest.mark.parametrize("flag", ["--web.route-prefix=/zk", "--web.external-url=https://monitor.example/zk/"])
def test_the_prefix_is_asked_behind(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    with running(prefix="/zk") as server:
        assert healthcheck(capsys, server.port, flag) == (
            0,
            f"http://127.0.0.1:{server.port}/zk/-/healthy: 200 Healthy.\n",
        )
        assert healthcheck(capsys, server.port)[0] == 1


@pytest.mark.starts
@pytest.mark.parametrize("section", [None, MUTUAL])
def test_a_unix_socket_is_asked(
    section: str | None, capsys: pytest.CaptureFixture[str], tmp_path: Path, authority: Authority
) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"{section}}}\n" if section else "{}\n")
    path = tmp_path / "exporter.sock"
    flags = [f"--web.listen-address=unix://{path}", f"--web.config.file={config}"]
    with running(config=load(config), address=UnixAddress(path)):
        assert main(["healthcheck", "--web.listen-address=127.0.0.1:1", *flags]) == 0
    scheme = "https" if section else "http"
    assert capsys.readouterr().out == f"{scheme}://localhost/-/healthy by unix://{path}: 200 Healthy.\n"
    assert main(["healthcheck", "--web.listen-address=127.0.0.1:1", *flags]) == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "connection refused; " in said
    assert said.endswith("no answer from localhost: no such file or directory\n")


def test_nobody_who_answers_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    status, said = healthcheck(capsys, port)
    assert (status, "no answer from 127.0.0.1: connection refused" in said) == (1, True)


def test_somebody_who_never_answers_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.daemon.healthcheck.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        status, said = healthcheck(capsys, silent.getsockname()[1])
    assert (status, "none within 0.2 s" in said) == (1, True)


@pytest.mark.starts
def test_http_where_tls_is_spoken_is_a_failure_that_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"{TLS}}}\n")
    Authority(tmp_path).issue("server", "exporter.example")
    with running(config=load(config)) as server:
        status, said = healthcheck(capsys, server.port)
    assert (status, "400 Client sent an HTTP request to an HTTPS server." in said) == (1, True)


@pytest.mark.starts
@pytest.mark.parametrize("section", [TLS, MUTUAL])
def test_tls_is_spoken_as_the_servers_configuration_says(
    section: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, authority: Authority
) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"{section}}}\n")
    with running(config=load(config)) as server:
        status, said = healthcheck(capsys, server.port, f"--web.config.file={config}")
    assert (status, said) == (0, f"https://127.0.0.1:{server.port}/-/healthy: 200 Healthy.\n")


@pytest.mark.starts
def test_another_certificate_can_be_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, authority: Authority
) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"{MUTUAL}, client_allowed_sans: [probe.example]}}\n")
    certificate, key = authority.issue("probe", "probe.example")
    with running(config=load(config)) as server:
        status, _ = healthcheck(capsys, server.port, f"--web.config.file={config}")
        assert status == 1
        flags = (f"--tls.cert-file={certificate}", f"--tls.key-file={key}")
        status, said = healthcheck(capsys, server.port, f"--web.config.file={config}", *flags)
    assert (status, "200 Healthy." in said) == (0, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tls.cert-file=a.crt"], "--tls.cert-file=a.crt: given without --tls.key-file; accepted: both or neither"),
        (["--tls.key-file=a.key"], "--tls.key-file=a.key: given without --tls.cert-file"),
        (["--web.route-prefix=/a b"], "--web.route-prefix=/a b: '/a b' is not a valid path; accepted:"),
        (["--web.listen-address=19141"], "--web.listen-address=19141: "),
        (["--web.config.file=missing.yml"], "missing.yml"),
        (["--zookeeper.hosts=a"], "--zookeeper.hosts=a: unknown flag"),
    ],
)
def test_bad_flags_are_one_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", *flags]) == 1
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_a_certificate_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, authority: Authority
) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"{MUTUAL}}}\n")
    (tmp_path / "server.key").unlink()
    status, said = healthcheck(capsys, 1, f"--web.config.file={config}")
    assert status == 1
    assert "tls_server_config.cert_file" in said
    assert "no such file or directory" in said
