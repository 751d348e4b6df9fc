"""The command line: what it understands, and the one line it answers to everything else."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import exporter
from exporter import cli
from exporter.cli import main, parse_settings
from exporter.config.settings import OPTIONS, Ensemble, ListenAddress, Servers, Settings, Tree, UnixAddress, Web
from exporter.packs.library import NAMES, load
from exporter.treecache import Shard
from tests.untouched import untouched_logging  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("untouched_logging")

ROOT = Path(__file__).parents[1]
ENOUGH = ["--zookeeper.hosts=zk", "--treecache.path=/a"]
SHARDS = ["--shard.total=2"]


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
        "--web.dashboard-url=https://grafana.example/d/x?orgId=1",
    ]
    trees = (Tree("/services", "/services"), Tree("/services/web", "/services/web"))
    assert parse_settings(arguments) == Settings(
        ensembles=(Ensemble("main", "a:2181,b:2182/apps", trees),),
        web=Web((ListenAddress("127.0.0.1", 0),), "/telemetry", dashboard_url="https://grafana.example/d/x?orgId=1"),
    )


@pytest.mark.parametrize(("flags", "servers"), [([], Servers()), (["=on"], Servers()), (["=off"], None)])
def test_servers_can_be_left_alone(flags: list[str], servers: Servers | None) -> None:
    given = [f"--zookeeper.servers{value}" for value in flags]
    (ensemble,) = parse_settings([*ENOUGH, *given]).ensembles
    assert ensemble.servers == servers


def test_freshness_and_audit_are_the_same_for_each_tree_of_the_flags() -> None:
    flags = [
        "--freshness.interval=1m30s",
        "--freshness.timeout=500ms",
        "--freshness.barrier=sync",
        "--audit.interval=0",
    ]
    (ensemble,) = parse_settings([*ENOUGH, "--treecache.path=/b", *flags, "--audit.sample=0"]).ensembles
    options = replace(
        OPTIONS,
        freshness_interval=90,
        freshness_timeout=0.5,
        freshness_barrier="sync",
        audit_interval=None,
        audit_sample=0,
    )
    assert [tree.options for tree in ensemble.trees] == [options] * 2


def test_flags_of_the_web_part() -> None:
    flags = ["--web.config.file=web.yml", "--web.enable-lifecycle", "--web.systemd-socket"]
    web = parse_settings([*ENOUGH, *flags]).web
    assert web == Web(config_file=Path("web.yml"), enable_lifecycle=True, systemd_socket=True)


@pytest.mark.parametrize(
    ("flags", "prefix"),
    [
        (["--web.external-url=https://monitor.example/zk/"], "/zk"),
        (["--web.external-url=https://monitor.example:8443"], ""),
        (["--web.external-url=/monitors/zk"], "/monitors/zk"),
        (["--web.external-url=https://monitor.example/zk/", "--web.route-prefix=/"], ""),
        (["--web.external-url=https://monitor.example/zk/", "--web.route-prefix=/a"], "/a"),
        (["--web.external-url=https://monitor.example/zk/", "--web.route-prefix="], "/zk"),
        (["--web.external-url=", "--web.route-prefix=zk/"], "/zk"),
    ],
)
def test_the_prefix_is_the_path_of_the_external_url_unless_it_is_given(flags: list[str], prefix: str) -> None:
    assert parse_settings([*ENOUGH, *flags]).web.route_prefix == prefix


def test_several_listen_addresses_in_the_place_of_the_default() -> None:
    flags = ["--web.listen-address=:0", "--web.listen-address=", "--web.listen-address=unix:///run/exporter.sock"]
    web = parse_settings([*ENOUGH, *flags]).web
    assert web.listen_addresses == (ListenAddress("", 0), UnixAddress(Path("/run/exporter.sock")))


SWITCHES = ["--web.enable-lifecycle", "--web.systemd-socket", "--web.expose-data", "--config.check"]


def test_a_negated_switch_is_as_if_it_were_not_given() -> None:
    switches = [*SWITCHES, "--config.auto-reload", "--shard.from-hostname", "--probe.any-target"]
    assert parse_settings([*ENOUGH, *(f"--no-{flag[2:]}" for flag in switches)]) == parse_settings(ENOUGH)


def test_every_switch_has_a_negation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = re.findall(r"^  (--[a-z.-]+)(, --no-[a-z.-]+)?( [A-Z[]+)?", capsys.readouterr().out, re.MULTILINE)
    assert {flag for flag, _, value in flags if not value and flag != "--version"} >= set(SWITCHES)
    assert all(negation == f", --no-{flag[2:]}" for flag, negation, value in flags if not value and flag != "--version")


def test_a_configuration_file_replaces_the_flags_about_ensembles(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("ensembles: [{name: a, hosts: zk, trees: [{path: /a}]}]")
    settings = parse_settings([f"--config.file={file}", "--web.listen-address=:0"])
    assert settings.ensembles == (Ensemble("a", "zk:2181", (Tree("/a", "/a"),)),)
    assert settings.web.listen_addresses == (ListenAddress("", 0),)


@pytest.mark.parametrize(
    "flag",
    [
        "--zookeeper.hosts=zk",
        "--zookeeper.name=default",
        "--zookeeper.servers=on",
        "--treecache.path=/a",
        "--pack=kafka",
        "--freshness.interval=5s",
        "--freshness.timeout=5s",
        "--freshness.barrier=quorum",
        "--audit.interval=5m",
        "--audit.sample=1",
    ],
)
def test_flag_and_file_do_not_contradict_each_other_silently(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    said = complaint(capsys, "--config.file=any.yml", flag)
    assert said.startswith(f"--config.file=any.yml: contradicts {flag.partition('=')[0]}; accepted:")


def test_a_check_tells_what_is_good(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("ensembles: [{name: a, hosts: zk, trees: [{path: /a}, {path: /b}]}]")
    assert main([f"--config.file={file}", "--config.check"]) == 0
    assert capsys.readouterr() == ("The configuration is valid; ensembles: 1, trees: 2.\n", "")
    assert main([*ENOUGH, "--config.check"]) == 0


@pytest.mark.parametrize("check", [[], ["--config.check"]])
def test_everything_wrong_with_a_file_gets_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, check: list[str]
) -> None:
    file = tmp_path / "config.yml"
    file.write_text("ensembles:\n- name: a\n  host: zk\n  trees: [{path: a}]\n")
    assert main([f"--config.file={file}", *check]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert [line.partition(" accepted:")[0] for line in errors.splitlines()] == [
        f"treecache-exporter: {file}:2: ensembles[0].hosts: required;",
        f"treecache-exporter: {file}:3: ensembles[0].host: unknown key, did you mean hosts;",
        f"treecache-exporter: {file}:4: ensembles[0].trees[0].path=a: the path is not absolute;",
    ]


def test_a_check_looks_at_the_web_configuration_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: none.pem, key_file: none.pem}")
    said = complaint(capsys, *ENOUGH, f"--web.config.file={file}", "--config.check")
    assert "none.pem" in said


def test_the_packs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["packs"]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    lines = output.splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == list(NAMES)
    assert lines[lines.index("spark: Spark's standalone masters") :][3:] == [
        "  root: /spark (`spark.deploy.zookeeper.dir`)",
        "  rules: spark_initialized, spark_master, spark_workers, spark_applications, spark_drivers",
        *lines[lines.index("yarn: YARN ResourceManagers") :],
    ]
    assert all(len(line) <= 100 for line in lines)


def test_a_pack_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["packs", "kafka"]) == 0
    assert capsys.readouterr() == (load("kafka").text, "")


def test_the_alerts_of_a_pack_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["packs", "kafka", "--alerts"]) == 0
    assert capsys.readouterr() == ((ROOT / "dashboards" / "prometheus" / "packs" / "kafka.yml").read_text(), "")
    assert complaint(capsys, "packs", "--alerts").startswith("--alerts: the pack is missing; accepted: with one of ")


def test_a_pack_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "packs", "kafca").startswith("packs=kafca: unknown; accepted: bookkeeper, clickhouse, ")
    assert complaint(capsys, "packs", "kafka", "solr").startswith("solr: unexpected argument; accepted: ")


def test_defaults() -> None:
    settings = parse_settings(ENOUGH)
    assert settings.ensembles[0].name == "default"
    assert settings.web == Web((ListenAddress("", 19141),), "/metrics")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--zookeeper.hosts: required without --config.file; accepted: HOST"),
        (["--zookeeper.hosts=zk"], "--treecache.path: required without --config.file and --pack; accepted: an"),
        ([*ENOUGH, "--zookeeper.hosts=zk"], "--zookeeper.hosts=zk: the flag is given twice; accepted: once"),
        ([*ENOUGH, "--treecache.path=/a/"], "--treecache.path=/a/: /a is given twice; accepted: each path once"),
        ([*ENOUGH, "--treecache.path=b"], "--treecache.path=b: the path is not absolute; accepted: an absolute path"),
        ([*ENOUGH, "--treecache.path"], "--treecache.path: expected one argument; accepted:"),
        (["--zookeeper.hosts=zk:x", "--treecache.path=/a"], "--zookeeper.hosts=zk:x: 'x' is not a port"),
        (["--zookeeper.hosts=zk/..", "--treecache.path=/a"], "--zookeeper.hosts=zk/..: the chroot has the relative"),
        (["--zookeeper.hosts=", "--treecache.path=/a"], "--zookeeper.hosts: required without --config.file; "),
        (
            ["--zookeeper.hosts=zk", "--treecache.path="],
            "--treecache.path: required without --config.file and --pack; ",
        ),
        ([*ENOUGH, "--web.listen-address=80"], "--web.listen-address=80: the port is missing; accepted: [HOST]:PORT"),
        (
            [*ENOUGH, "--web.listen-address=:http"],
            "--web.listen-address=:http: 'http' is not a port between 0 and 65535",
        ),
        ([*ENOUGH, "--web.listen-address=192.0.2.1:0"], "--web.listen-address=192.0.2.1:0: cannot listen there: "),
        ([*ENOUGH, "--web.telemetry-path=/-/ready"], "--web.telemetry-path=/-/ready: this path is taken"),
        ([*ENOUGH, "--web.telemetry-path=/"], "--web.telemetry-path=/: this path is taken"),
        ([*ENOUGH, "--web.telemetry-path=x"], "--web.telemetry-path=x: not a valid path; accepted:"),
        ([*ENOUGH, "--web.dashboard-url=grafana"], "--web.dashboard-url=grafana: not an absolute HTTP URL; accepted:"),
        (
            [*ENOUGH, "--web.dashboard-url=https://a:b@c"],
            "--web.dashboard-url: has credentials, which everyone could read",
        ),
        ([*ENOUGH, "--web.external-url=zk.example/a"], "--web.external-url=zk.example/a: not an absolute HTTP URL;"),
        ([*ENOUGH, "--web.external-url='http://a/'"], "--web.external-url='http://a/': not an absolute HTTP URL;"),
        ([*ENOUGH, "--web.external-url=//a"], "--web.external-url=//a: not an absolute HTTP URL; accepted:"),
        (
            [*ENOUGH, "--web.external-url=http://a/?b=c"],
            "--web.external-url=http://a/?b=c: has a query or a fragment",
        ),
        (
            [*ENOUGH, "--web.external-url=http://a/b%20c"],
            "--web.external-url=http://a/b%20c: '/b%20c' is not a valid path",
        ),
        (
            [*ENOUGH, "--web.external-url=http://a:b@c/"],
            "--web.external-url: has credentials, which everyone could read;",
        ),
        (
            [*ENOUGH, "--web.route-prefix=/a/../b"],
            "--web.route-prefix=/a/../b: '/a/../b' is not a valid path;",
        ),
        ([*ENOUGH, "--web.route-prefix=http://a"], "--web.route-prefix=http://a: 'http://a' is not a valid path"),
        (
            [*ENOUGH, "--config.auto-reload"],
            "--config.auto-reload: there is no file to reload; accepted: with --config",
        ),
        ([*ENOUGH, "--config.auto-reload-interval=1ms"], "--config.auto-reload-interval=1ms: not between 1s and 1d;"),
        ([*ENOUGH, "--freshness.interval=5"], "--freshness.interval=5: not a duration; accepted: a duration such as"),
        ([*ENOUGH, "--freshness.timeout=1ms"], "--freshness.timeout=1ms: not between 0.1s and 1d; accepted:"),
        ([*ENOUGH, "--freshness.barrier=best"], "--freshness.barrier=best: accepted: quorum, sync"),
        ([*ENOUGH, "--audit.interval=1w"], "--audit.interval=1w: not a duration; accepted:"),
        ([*ENOUGH, "--zookeeper.servers=no"], "--zookeeper.servers=no: accepted: on, off"),
        ([*ENOUGH, "--audit.sample=-1"], "--audit.sample=-1: not a count; accepted: a whole number from 0 on"),
        ([*ENOUGH, "--shard.total=many"], "--shard.total=many: not a count; accepted: a whole number from 0 on"),
        ([*ENOUGH, "--shard.total=0"], "--shard.total=0: must be at least 1; accepted: the number of"),
        ([*ENOUGH, "--shard.total=2"], "--shard.total=2: this shard's ordinal is missing; accepted: with"),
        ([*ENOUGH, "--shard.ordinal=0"], "--shard.ordinal: given without --shard.total; accepted: both or neither"),
        ([*ENOUGH, "--shard.from-hostname"], "--shard.from-hostname: given without --shard.total; accepted:"),
        ([*ENOUGH, *SHARDS, "--shard.ordinal=2"], "--shard.ordinal=2: shard 2 of 2 does not exist; accepted: 0 to 1"),
        ([*ENOUGH, *SHARDS, "--shard.ordinal=-1"], "--shard.ordinal=-1: not a count; accepted:"),
        ([*ENOUGH, *SHARDS, "--shard.ordinal=1", "--shard.from-hostname"], "--shard.ordinal=1: contradicts"),
        ([*ENOUGH, "--web.enable-lifecycle", "--web.enable-lifecycle"], "--web.enable-lifecycle: the flag is given"),
        ([*ENOUGH, "--web.enable-lifecycle", "--no-web.enable-lifecycle"], "--no-web.enable-lifecycle: the flag is g"),
        ([*ENOUGH, "--no-web.config.file"], "--no-web.config.file: unknown flag"),
        ([*ENOUGH, "--no-web.enable-lifecycel"], "--no-web.enable-lifecycel: unknown flag, did you mean --no-web."),
        ([*ENOUGH, "--web.enable-lifecycle=yes"], "--web.enable-lifecycle: ignored explicit argument 'yes'; accepted:"),
        ([*ENOUGH, "--web.listen-address=:1", "--web.systemd-socket"], "--web.listen-address=:1: contradicts --web."),
        ([*ENOUGH, "--web.systemd-socket"], "--web.systemd-socket: systemd passed no sockets; accepted: with a"),
        ([*ENOUGH, "--log.level=loud"], "--log.level=loud: accepted: debug, info, warning, error"),
        ([*ENOUGH, "--log.format=xml"], "--log.format=xml: accepted: logfmt, json"),
        ([*ENOUGH, "--zookeeper.host=zk"], "--zookeeper.host=zk: unknown flag, did you mean --zookeeper.hosts;"),
        ([*ENOUGH, "--verbose"], "--verbose: unknown flag"),
        ([*ENOUGH, "--web.listen=:1"], "--web.listen=:1: unknown flag"),
        ([*ENOUGH, "stray"], "stray: unexpected argument; accepted:"),
        ([*ENOUGH, "demo"], "demo: unexpected argument; accepted:"),
        ([*ENOUGH, "--version=1"], "--version: ignored explicit argument '1'; accepted:"),
        (["--treecache.path=/a\nb", "--zookeeper.hosts=zk"], r"--treecache.path=/a\nb: the path has a character"),
        (["preview"], "--zookeeper.hosts: required without --config.file; accepted: HOST"),
        (["preview", "--zookeeper.hosts=zk"], "--treecache.path: required without --config.file and --pack; "),
        (["preview", "--zookeeper.hosts=zk", "--pack=kafca"], "--pack=kafca: unknown; accepted: bookkeeper, "),
        (["preview", *ENOUGH, "--timeout=0s"], "--timeout=0s: not between 1s and 1d; accepted: a duration such as"),
        (["preview", *ENOUGH, "--audit.sample=1"], "--audit.sample=1: unknown flag"),
        (["preview", *ENOUGH, "--config.file=a"], "--config.file=a: contradicts --zookeeper.hosts, --treecache.path;"),
        (["demo", "--treecache.path=/a"], "--treecache.path=/a: unknown flag"),
        (["demo", "--web.listen-address=x"], "--web.listen-address=x: the port is missing"),
        (["demo", "--log.level=loud"], "--log.level=loud: accepted: debug"),
    ],
)
def test_bad_input_gets_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    said = complaint(capsys, *arguments)
    assert said.startswith(line)
    assert "accepted:" in said


def test_a_file_goes_with_a_shard(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("ensembles: [{name: main, hosts: zk, trees: [{path: /a}]}]")
    settings = parse_settings([f"--config.file={file}", *SHARDS, "--shard.ordinal=1"])
    assert settings.shard == Shard(1, 2)


@pytest.mark.parametrize("host", ["exporter-1", "my-exporter-1", "exporter-1.exporter.monitoring.svc.cluster.local"])
def test_shard_from_the_host_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert parse_settings([*ENOUGH, *SHARDS, "--shard.from-hostname"]).shard == Shard(1, 2)


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("exporter", "the host name 'exporter' has no ordinal; accepted: a StatefulSet's"),
        ("exporter-7d9f.zone-1", "the host name 'exporter-7d9f.zone-1' has no ordinal; accepted: a StatefulSet's"),
        ("exporter-2", "shard 2 of 2 does not exist; accepted: 0 to 1"),
    ],
)
def test_host_name_that_tells_no_shard(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str, problem: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    said = complaint(capsys, *ENOUGH, *SHARDS, "--shard.from-hostname")
    assert said.startswith(f"--shard.from-hostname: {problem}")


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


@pytest.mark.starts
def test_python_m_exporter_tells_its_version() -> None:
    answer = subprocess.run([sys.executable, "-m", "exporter", "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"treecache-exporter {exporter.__version__} (Python 3.")
    assert answer.stderr == ""


def ended(arguments: Sequence[str], output: int | None) -> tuple[int, str]:
    """The status of the command and what it says on standard error, with this standard output; None for none."""
    closed = [] if output is not None else ["sh", "-c", 'exec "$@" >&-', "sh"]
    command = [*closed, sys.executable, "-m", "exporter", *arguments]
    end = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    return end.returncode, end.stderr


PRINTING = [
    ["--help"],
    ["--version"],
    ["packs"],
    ["packs", "kafka"],
    ["packs", "kafka", "--alerts"],
    ["preview", *ENOUGH],
    [*ENOUGH, "--config.check"],
]


@pytest.mark.starts
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_output_that_cannot_be_written_is_one_line_or_less(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        no_space = "treecache-exporter: standard output: no space left on device\n"
        assert ended(arguments, full.fileno()) == (1, no_space)
    reader, writer = os.pipe()
    os.close(reader)
    # As `| head` does when it has enough.
    assert ended(arguments, writer) == (1, "")
    os.close(writer)
    assert ended(arguments, None) == (0, "")


@pytest.mark.starts
def test_what_the_terminal_cannot_show_is_escaped() -> None:
    program = "from exporter.process.stdout import say; say('/caf\\u00e9/\\udc80')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment) == b"/caf\\xe9/\\udc80\n"


def flags_with_a_value() -> list[str]:
    """Every flag of the exporter that takes a value."""
    parser = cli._exporter_parser()
    return [action.dest for action in parser._actions if action.dest.startswith("--") and action.nargs is None]


@pytest.mark.parametrize("flag", flags_with_a_value())
def test_an_empty_value_is_as_if_the_flag_were_not_given(flag: str) -> None:
    enough = [word for word in ENOUGH if not word.startswith(f"{flag}=")]
    if len(enough) == len(ENOUGH):
        assert parse_settings([*ENOUGH, f"{flag}="]) == parse_settings(ENOUGH)
    assert parse_settings([f"{flag}=", *ENOUGH]) == parse_settings(ENOUGH)


def test_the_name_that_prometheus_has_for_warnings() -> None:
    assert main([*ENOUGH, "--config.check", "--log.level=warn"]) == 0
