"""The command line: what it understands, and the one line it answers to everything else."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from exporter.cli import main, parse_settings
from exporter.settings import Ensemble, ListenAddress, Settings, Tree, Web
from tests.untouched import untouched_logging  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("untouched_logging")

ENOUGH = ["--zookeeper.hosts=zk", "--treecache.path=/a"]


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it refuses `arguments`: exactly one line, on standard error, with status 2."""
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("treecache-exporter: ")
    assert errors.endswith("\n")
    assert errors.count("\n") == 1
    return errors.removeprefix("treecache-exporter: ").rstrip()


def test_flags_become_settings() -> None:
    arguments = [
        "--zookeeper.hosts=a,b:2182/apps",
        "--zookeeper.name=main",
        "--treecache.path=/services",
        "--treecache.path",
        "/services/web",
        "--web.listen-address=127.0.0.1:0",
        "--web.telemetry-path=/telemetry",
    ]
    trees = (Tree("/services", "/services"), Tree("/services/web", "/services/web"))
    assert parse_settings(arguments) == Settings(
        ensembles=(Ensemble("main", "a:2181,b:2182/apps", trees),),
        web=Web(ListenAddress("127.0.0.1", 0), "/telemetry"),
    )


def test_defaults() -> None:
    settings = parse_settings(ENOUGH)
    assert settings.ensembles[0].name == "default"
    assert settings.web == Web(ListenAddress("", 19141), "/metrics")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--zookeeper.hosts: required; accepted: HOST"),
        (["--zookeeper.hosts=zk"], "--treecache.path: required; accepted: an absolute path"),
        ([*ENOUGH, "--zookeeper.hosts=zk"], "--zookeeper.hosts=zk: the flag is given twice; accepted: once"),
        ([*ENOUGH, "--treecache.path=/a/"], "--treecache.path=/a/: /a is given twice; accepted: each path once"),
        ([*ENOUGH, "--treecache.path=b"], "--treecache.path=b: the path is not absolute; accepted: an absolute path"),
        ([*ENOUGH, "--treecache.path"], "--treecache.path: expected one argument; accepted:"),
        (["--zookeeper.hosts=zk:x", "--treecache.path=/a"], "--zookeeper.hosts=zk:x: 'x' is no port"),
        (["--zookeeper.hosts=zk/..", "--treecache.path=/a"], "--zookeeper.hosts=zk/..: the chroot has the relative"),
        ([*ENOUGH, "--zookeeper.name="], "--zookeeper.name=: the name is empty; accepted:"),
        ([*ENOUGH, "--web.listen-address=80"], "--web.listen-address=80: the port is missing; accepted: [HOST]:PORT"),
        ([*ENOUGH, "--web.listen-address=:http"], "--web.listen-address=:http: 'http' is no port between 0 and 65535"),
        ([*ENOUGH, "--web.listen-address=192.0.2.1:0"], "--web.listen-address=192.0.2.1:0: cannot listen there: "),
        ([*ENOUGH, "--web.telemetry-path=/-/ready"], "--web.telemetry-path=/-/ready: this path is taken"),
        ([*ENOUGH, "--web.telemetry-path=/"], "--web.telemetry-path=/: this path is taken"),
        ([*ENOUGH, "--web.telemetry-path=x"], "--web.telemetry-path=x: not a path that can be served; accepted:"),
        ([*ENOUGH, "--log.level=loud"], "--log.level=loud: accepted: debug, info, warning, error"),
        ([*ENOUGH, "--log.format=xml"], "--log.format=xml: accepted: logfmt, json"),
        ([*ENOUGH, "--zookeeper.host=zk"], "--zookeeper.host=zk: unknown flag, perhaps meant as --zookeeper.hosts;"),
        ([*ENOUGH, "--verbose"], "--verbose: unknown flag"),
        ([*ENOUGH, "--web.listen=:1"], "--web.listen=:1: unknown flag"),
        ([*ENOUGH, "stray"], "stray: unexpected argument; accepted:"),
        ([*ENOUGH, "demo"], "demo: unexpected argument; accepted:"),
        ([*ENOUGH, "--version=1"], "--version: ignored explicit argument '1'; accepted:"),
        (["--treecache.path=/a\nb", "--zookeeper.hosts=zk"], r"--treecache.path=/a\nb: the path has a character"),
        (["demo", "--treecache.path=/a"], "--treecache.path=/a: unknown flag"),
        (["demo", "--web.listen-address=x"], "--web.listen-address=x: the port is missing"),
        (["demo", "--log.level=loud"], "--log.level=loud: accepted: debug"),
    ],
)
def test_bad_input_gets_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    said = complaint(capsys, *arguments)
    assert said.startswith(line)
    assert "accepted:" in said


def test_an_occupied_port_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        address = f"127.0.0.1:{occupied.getsockname()[1]}"
        said = complaint(capsys, *ENOUGH, f"--web.listen-address={address}")
    assert said.startswith(f"--web.listen-address={address}: cannot listen there: Address already in use; accepted:")


def test_a_forbidden_port_gets_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Which ports are forbidden, and to whom, is up to the machine; root may use any.
    monkeypatch.setattr(socket, "create_server", refuse)
    said = complaint(capsys, *ENOUGH, "--web.listen-address=127.0.0.1:80")
    assert said.startswith("--web.listen-address=127.0.0.1:80: cannot listen there: Permission denied; accepted:")


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_multiprocess_mode_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    said = complaint(capsys, *ENOUGH)
    assert said.startswith(f"{variable}={tmp_path}: prometheus_client's multiprocess mode is not supported")


@pytest.mark.parametrize("subcommand", [[], ["demo"]])
def test_help_lists_the_flags(capsys: pytest.CaptureFixture[str], subcommand: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*subcommand, "--help"])
    assert exit_.value.code == 0
    assert "--web.listen-address [HOST]:PORT" in capsys.readouterr().out


def test_python_m_exporter_tells_its_version() -> None:
    answer = subprocess.run([sys.executable, "-m", "exporter", "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"treecache-exporter {exporter.__version__} (Python 3.")
    assert answer.stderr == ""
