"""CLI: turns flags into settings, and reports each mistake in one line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import gc
import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from exporter import __version__
from exporter.config import web as web_config
from exporter.config.packed import packed
from exporter.config.settings import (
    DASHBOARD_ACCEPTED,
    DEFAULT_LISTEN_ADDRESS,
    EXTERNAL_URL_ACCEPTED,
    HOSTS_ACCEPTED,
    OPTIONS,
    PATH_ACCEPTED,
    Address,
    Ensemble,
    Servers,
    Settings,
    SettingsError,
    Web,
    parse_count,
    parse_dashboard_url,
    parse_duration,
    parse_external_url,
    parse_hosts,
    parse_listen_address,
    parse_name,
    parse_ordinal_of_host,
    parse_route_prefix,
    parse_telemetry_path,
)
from exporter.config.source import Source
from exporter.daemon import healthcheck, logs, preview, tracing
from exporter.daemon.autoreload import AutoReload
from exporter.daemon.run import run as run_daemon
from exporter.demo.command import run as run_demo
from exporter.packs import listing as packs
from exporter.packs.alerts import rule_file
from exporter.packs.library import NAMES as PACKS
from exporter.packs.library import load as load_pack
from exporter.process import signals
from exporter.process.logs import FORMATS, LEVELS
from exporter.process.stdout import OutputError, say
from exporter.treecache import Shard
from exporter.treecache.options import CacheOptions
from exporter.web.app import RESERVED_PATHS
from exporter.web.current import CurrentConfig
from exporter.zookeeper.messages import BARRIERS

PROGRAM = "treecache-exporter"
#: The flags that a configuration file replaces.
_OF_ONE_ENSEMBLE = (
    "--zookeeper.hosts",
    "--zookeeper.name",
    "--zookeeper.servers",
    "--treecache.path",
    "--pack",
    "--freshness.interval",
    "--freshness.timeout",
    "--freshness.barrier",
    "--audit.interval",
    "--audit.sample",
)
_MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=str)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with `arguments` (by default the process's) and returns its exit status.

    Output that cannot be written is 1, bad input 2; to `healthcheck` it is 1, as Docker reserves 2:
    https://docs.docker.com/reference/dockerfile/#healthcheck
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    # Process-wide providers are shut down only when this is the process's own command.
    ending = tracing.ending_in_time() if arguments is None else contextlib.nullcontext()
    with signals.ending_at_once(), ending:
        try:
            return _run(words)
        except SettingsError as error:
            for line in error.lines:
                print(f"{PROGRAM}: {line}", file=sys.stderr)
            return 1 if words[:1] == ["healthcheck"] else 2
        except OutputError as error:
            if not error.reader_is_gone:
                print(f"{PROGRAM}: standard output: {error}", file=sys.stderr)
            return 1


def parse_settings(arguments: Sequence[str]) -> Settings:
    """The settings that the daemon's flags ask for.

    Raises SettingsError if a flag cannot be used.
    """
    given = _given(_exporter_parser(), arguments)
    return _settings(given, _source(given))


def refuse_multiprocess_mode() -> None:
    """Raises SettingsError when the environment asks prometheus_client for its multiprocess mode."""
    for variable in _MULTIPROCESS_VARIABLES:
        if variable in os.environ:
            problem = "prometheus_client's multiprocess mode is not supported: this is one process; unset the variable"
            raise SettingsError(variable, os.environ[variable], problem)


def _run(words: Sequence[str]) -> int:
    refuse_multiprocess_mode()
    if words[:1] == ["demo"]:
        return _demo(words[1:])
    if words[:1] == ["healthcheck"]:
        return _healthcheck(words[1:])
    if words[:1] == ["preview"]:
        return _preview(words[1:])
    if words[:1] == ["packs"]:
        return _packs(words[1:])
    return _export(words)


def _export(arguments: Sequence[str]) -> int:
    given = _given(_exporter_parser(), arguments)
    _configure_logs(given)
    source = _source(given)
    settings = _settings(given, source)
    auto_reload = _auto_reload(given, source)
    if given["--config.check"]:
        return _report_good(settings)
    status = run_daemon(settings, load=None if source is None else source.load, auto_reload=auto_reload)
    # Without this, Python runs the garbage collector over the whole heap at exit, which takes longer than stopping.
    gc.freeze()
    return status


def _report_good(settings: Settings) -> int:
    if settings.web.config_file is not None:
        CurrentConfig(web_config.load(settings.web.config_file))
    trees = sum(len(ensemble.trees) for ensemble in settings.ensembles)
    say(f"The configuration is valid; ensembles: {len(settings.ensembles)}, trees: {trees}.")
    return 0


def _demo(arguments: Sequence[str]) -> int:
    given = _given(_demo_parser(), arguments)
    _configure_logs(given)
    address = _parsed(given, "--web.listen-address", parse_listen_address)
    return run_demo(address, zookeeper_home=given["--zookeeper.home"])


def _healthcheck(arguments: Sequence[str]) -> int:
    given = _given(_healthcheck_parser(), arguments)
    file, cert, key = (given[flag] for flag in ("--web.config.file", "--tls.cert-file", "--tls.key-file"))
    if (cert is None) != (key is None):
        alone, missing = ("--tls.cert-file", "--tls.key-file") if key is None else ("--tls.key-file", "--tls.cert-file")
        raise SettingsError(alone, given[alone], f"given without {missing}; accepted: both or neither")
    return healthcheck.run(
        _listen_addresses(given),
        None if file is None else web_config.load(file),
        route_prefix=_route_prefix(given),
        ready=given["--ready"],
        certificate=None if cert is None else healthcheck.Certificate(Path(cert), Path(key)),
    )


def _preview(arguments: Sequence[str]) -> int:
    given = _given(_preview_parser(), arguments)
    _configure_logs(given)
    source = _source(given)
    ensembles = (_ensemble(given, OPTIONS),) if source is None else _ensembles_of_file(given, source)
    return preview.run(ensembles, _parsed(given, "--timeout", lambda text: parse_duration(text, least=1.0)))


def _packs(arguments: Sequence[str]) -> int:
    given = _given(_packs_parser(), arguments)
    name = given["NAME"]
    if name is not None and name not in PACKS:
        raise SettingsError("packs", name, f"unknown; accepted: {', '.join(PACKS)}")
    if name is None and given["--alerts"]:
        raise SettingsError("--alerts", None, f"the pack is missing; accepted: with one of {', '.join(PACKS)}")
    if name is None:
        say("\n".join(packs.lines()))
    else:
        pack = load_pack(name)
        say(rule_file(pack) if given["--alerts"] else pack.text, end="")
    return 0


def _settings(given: Mapping[str, Any], source: Source | None) -> Settings:
    ensembles = (_observed_ensemble(given),) if source is None else _ensembles_of_file(given, source)
    return Settings(ensembles=ensembles, web=_web(given), shard=_shard(given))


def _source(given: Mapping[str, Any]) -> Source | None:
    return None if given["--config.file"] is None else Source(Path(given["--config.file"]))


def _auto_reload(given: Mapping[str, Any], source: Source | None) -> AutoReload | None:
    interval = _parsed(given, "--config.auto-reload-interval", lambda text: parse_duration(text, least=1.0))
    if not given["--config.auto-reload"]:
        return None
    if source is None:
        raise SettingsError("--config.auto-reload", None, "there is no file to reload; accepted: with --config.file")
    return AutoReload(source, interval)


def _ensembles_of_file(given: Mapping[str, Any], source: Source) -> tuple[Ensemble, ...]:
    others = [flag for flag in _OF_ONE_ENSEMBLE if flag in given["given"]]
    if others:
        problem = f"contradicts {', '.join(others)}; accepted: ensembles and trees from a file or from flags, not both"
        raise SettingsError("--config.file", given["--config.file"], problem)
    return source.load()


def _observed_ensemble(given: Mapping[str, Any]) -> Ensemble:
    """The ensemble of the daemon's flags, which also say how to check and audit trees, and whether to ask servers."""
    options = replace(
        OPTIONS,
        keep_data=given["--web.expose-data"],
        freshness_interval=_parsed(given, "--freshness.interval", parse_duration) or None,
        freshness_timeout=_parsed(given, "--freshness.timeout", lambda text: parse_duration(text, least=0.1)),
        freshness_barrier=_parsed(given, "--freshness.barrier", _one_of(BARRIERS)),
        audit_interval=_parsed(given, "--audit.interval", parse_duration) or None,
        audit_sample=_parsed(given, "--audit.sample", parse_count),
    )
    is_polled = _parsed(given, "--zookeeper.servers", _one_of(("on", "off"))) == "on"
    return replace(_ensemble(given, options), servers=Servers() if is_polled else None)


def _ensemble(given: Mapping[str, Any], options: CacheOptions) -> Ensemble:
    if given["--zookeeper.hosts"] is None:
        raise SettingsError("--zookeeper.hosts", None, f"required without --config.file; {HOSTS_ACCEPTED}")
    if not given["--treecache.path"] and not given["--pack"]:
        raise SettingsError("--treecache.path", None, f"required without --config.file and --pack; {PATH_ACCEPTED}")
    return Ensemble(
        name=_parsed(given, "--zookeeper.name", parse_name),
        hosts=_parsed(given, "--zookeeper.hosts", parse_hosts),
        trees=packed(given["--treecache.path"], given["--pack"], options),
    )


def _web(given: Mapping[str, Any]) -> Web:
    if given["--web.systemd-socket"] and "--web.listen-address" in given["given"]:
        problem = "contradicts --web.systemd-socket; accepted: one of the two"
        raise SettingsError("--web.listen-address", given["--web.listen-address"][0], problem)
    return Web(
        listen_addresses=_listen_addresses(given),
        telemetry_path=_parsed(given, "--web.telemetry-path", lambda path: parse_telemetry_path(path, RESERVED_PATHS)),
        config_file=None if given["--web.config.file"] is None else Path(given["--web.config.file"]),
        route_prefix=_route_prefix(given),
        enable_lifecycle=given["--web.enable-lifecycle"],
        expose_data=given["--web.expose-data"],
        dashboard_url=_parsed_url(given, "--web.dashboard-url", parse_dashboard_url, DASHBOARD_ACCEPTED),
        systemd_socket=given["--web.systemd-socket"],
        probe_any_target=given["--probe.any-target"],
    )


def _listen_addresses(given: Mapping[str, Any]) -> tuple[Address, ...]:
    flag = "--web.listen-address"
    return tuple(_parsed({flag: text}, flag, parse_listen_address) for text in given[flag])


def _route_prefix(given: Mapping[str, Any]) -> str:
    """By default the path of the external URL, as with Prometheus."""
    external = _parsed_url(given, "--web.external-url", parse_external_url, EXTERNAL_URL_ACCEPTED)
    if given["--web.route-prefix"] is not None:
        return _parsed(given, "--web.route-prefix", parse_route_prefix)
    return external or ""


def _parsed_url(given: Mapping[str, Any], flag: str, parse: Callable[[str], str], accepted: str) -> str | None:
    url = given[flag]
    if url is not None and "@" in url:
        # The value is not shown: it may hold a password.
        raise SettingsError(flag, None, f"has credentials, which everyone could read; {accepted}")
    return None if url is None else _parsed(given, flag, parse)


def _shard(given: Mapping[str, Any]) -> Shard:
    total = _parsed(given, "--shard.total", parse_count)
    if total == 0:
        raise SettingsError(
            "--shard.total", "0", "must be at least 1; accepted: the number of exporters that share the trees"
        )
    flags = [flag for flag in ("--shard.ordinal", "--shard.from-hostname") if flag in given["given"]]
    if len(flags) == 2:
        problem = "contradicts --shard.from-hostname; accepted: one of the two"
        raise SettingsError("--shard.ordinal", given["--shard.ordinal"], problem)
    if flags and "--shard.total" not in given["given"]:
        raise SettingsError(flags[0], None, "given without --shard.total; accepted: both or neither")
    if not flags:
        if total > 1:
            problem = "this shard's ordinal is missing; accepted: with --shard.ordinal or --shard.from-hostname"
            raise SettingsError("--shard.total", given["--shard.total"], problem)
        return Shard()
    (flag,) = flags
    ordinal = _ordinal_of_this_host() if flag == "--shard.from-hostname" else _parsed(given, flag, parse_count)
    if ordinal >= total:
        problem = f"shard {ordinal} of {total} does not exist; accepted: 0 to {total - 1}, less than --shard.total"
        raise SettingsError(flag, given[flag] if flag == "--shard.ordinal" else None, problem)
    return Shard(ordinal, total)


def _ordinal_of_this_host() -> int:
    try:
        return parse_ordinal_of_host(socket.gethostname())
    except ValueError as error:
        raise SettingsError("--shard.from-hostname", None, str(error)) from None


def _parsed(given: Mapping[str, Any], flag: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(given[flag])
    except ValueError as error:
        raise SettingsError(flag, given[flag], str(error)) from None


def _one_of(accepted: Sequence[Choice]) -> Callable[[str], Choice]:
    def parse(text: str) -> Choice:
        for choice in accepted:
            if choice == text:
                return choice
        raise ValueError(f"accepted: {', '.join(accepted)}")

    return parse


def _log_level(text: str) -> str:
    # Prometheus and its exporters spell it `warn`: github.com/prometheus/common, promslog.
    return LEVELS[2] if text == "warn" else _one_of(LEVELS)(text)


def _configure_logs(given: Mapping[str, Any]) -> None:
    logs.configure(
        level=_parsed(given, "--log.level", _log_level),
        format=_parsed(given, "--log.format", _one_of(FORMATS)),
    )


# The grammar: argparse splits words into flags and values. The code above checks the values, so that every complaint
# has the same form.


class _Once(argparse.Action):
    """Stores a value, and refuses a second one; an empty value counts as none."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: Any, _option: object = None) -> None:
        if self.dest in namespace.given:
            raise SettingsError(self.dest, value, "the flag is given twice; accepted: once")
        if value == "":
            # A template that has no value for the flag renders an empty one.
            return
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, value)


class _Switch(argparse.Action):
    """Stores whether a flag or its negation was given, and refuses a second one; a negated flag counts as not given."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, _value: object, option: Any = None) -> None:
        if namespace.given & set(self.option_strings):
            raise SettingsError(option, None, "the flag is given twice, or together with its negation; accepted: once")
        namespace.given.add(option)
        setattr(namespace, self.dest, option == self.dest)


class _Version(argparse.Action):
    """Prints the version, as a command prints anything, and ends."""

    def __call__(self, *_: object) -> None:
        say(f"{PROGRAM} {__version__} (Python {platform.python_version()})")
        sys.exit()


class _Repeatable(argparse.Action):
    """Collects values, which replace the default; ignores empty ones."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: Any, _option: object = None) -> None:
        if value == "":
            return
        before = getattr(namespace, self.dest) if self.dest in namespace.given else []
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, [*before, value])


class _Parser(argparse.ArgumentParser):
    """Accepts full flag names only, and complains in one line."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            usage="%(prog)s [--FLAG=VALUE ...]",
            allow_abbrev=False,
            exit_on_error=False,
        )
        self.flags: list[str] = []

    def flag(
        self, name: str, metavar: str, help: str, default: str | list[str] | None = None, action: Any = _Once
    ) -> None:
        """Adds a flag; its value is stored under the flag's name."""
        by_default = ", ".join(default) if isinstance(default, list) else default
        shown = f"{help} (default: {by_default})" if by_default else help
        self.add_argument(name, dest=name, metavar=metavar, help=shown, default=default, action=action)
        self.flags.append(name)

    def switch(self, name: str, help: str) -> None:
        """Adds a flag without a value, and its negation `--no-...`, as Prometheus has them."""
        negation = f"--no-{name[2:]}"
        self.add_argument(name, negation, dest=name, help=help, default=False, nargs=0, action=_Switch)
        self.flags += [name, negation]

    def print_help(self, _file: Any = None) -> None:
        """Prints the help as a command prints anything."""
        say(self.format_help(), end="")

    def error(self, message: str) -> NoReturn:
        raise SettingsError(self.prog, None, f"{message}; {_listed(self)}")


def _given(parser: _Parser, arguments: Sequence[str]) -> dict[str, Any]:
    """The value of each flag by the flag's name, and under `given` the flags that were given.

    Raises SettingsError for a word that is not a flag, and for a flag without a value.
    """
    try:
        namespace, unknown = parser.parse_known_args(arguments, argparse.Namespace(given=set()))
    except argparse.ArgumentError as error:
        # For a switch, argparse names the negation too.
        flag = (error.argument_name or "arguments").partition("/")[0]
        raise SettingsError(flag, None, f"{error.message}; {_listed(parser)}") from None
    if unknown:
        raise SettingsError(unknown[0], None, f"{_unknown(parser, unknown[0])}; {_listed(parser)}")
    return vars(namespace)


def _unknown(parser: _Parser, word: str) -> str:
    if not word.startswith("-"):
        return "unexpected argument"
    close = difflib.get_close_matches(word.partition("=")[0], parser.flags, n=1)
    return f"unknown flag, did you mean {close[0]}" if close else "unknown flag"


def _listed(parser: _Parser) -> str:
    return f"accepted: the flags that {parser.prog} --help lists, as --FLAG=VALUE"


def _exporter_parser() -> _Parser:
    parser = _Parser(
        PROGRAM,
        "Keeps ZooKeeper subtrees in memory and exports metrics about these caches to Prometheus.",
        epilog=f"To try it out: `{PROGRAM} demo` starts a real ZooKeeper with a changing tree, and the exporter on it.",
    )
    _add_ensemble_flags(parser)
    parser.flag("--zookeeper.servers", "ON|OFF", "whether to ask its servers for their own numbers: on or off", "on")
    _add_proof_flags(parser)
    parser.switch("--config.check", "check the configuration and the files it names, then exit with status 0 or 2")
    parser.switch("--config.auto-reload", "reload automatically when the file, or a file it names, changes")
    parser.flag("--config.auto-reload-interval", "DURATION", "how often to check for changes, at least 1s", "30s")
    parser.flag("--shard.total", "SHARDS", "number of exporters that share each tree, by its root's children", "1")
    parser.flag("--shard.ordinal", "ORDINAL", "number of this exporter among them, counted from 0")
    parser.switch("--shard.from-hostname", "take the ordinal from the host name, as in a StatefulSet: exporter-0")
    _add_listen_flag(parser, "where to serve, or unix:///PATH; port 0 picks a free one; may be repeated")
    parser.switch("--web.systemd-socket", "serve on the sockets that systemd passes, instead of on listen addresses")
    _add_prefix_flags(parser)
    parser.flag("--web.telemetry-path", "PATH", "path that Prometheus scrapes", "/metrics")
    parser.flag("--web.config.file", "FILE", "file with TLS, users and headers, in exporter-toolkit's format")
    parser.switch("--web.enable-lifecycle", "allow POST /-/reload")
    parser.switch(
        "--web.expose-data", "show znodes' data on the pages; trees of a configuration file also need keep_data"
    )
    parser.flag("--web.dashboard-url", "URL", "address of the Grafana dashboards, which the pages link to")
    parser.switch("--probe.any-target", "let /probe ask any address for ZooKeeper's numbers, not only polled servers")
    _add_common_flags(parser)
    return parser


def _add_ensemble_flags(parser: _Parser) -> None:
    """Adds the flags that say which ensembles, trees and packs are meant."""
    parser.flag("--config.file", "FILE", "YAML file with ensembles and trees; replaces the flags for one ensemble")
    parser.flag("--zookeeper.hosts", "HOSTS", f"the ensemble to connect to; {HOSTS_ACCEPTED}")
    parser.flag("--zookeeper.name", "NAME", "value of the label `ensemble`", "default")
    parser.flag(
        "--treecache.path",
        "PATH",
        "root of a tree to watch, inside the chroot; may be repeated; by default the roots of the packs",
        [],
        action=_Repeatable,
    )
    parser.flag(
        "--pack",
        "NAME",
        f"metrics of a known system in the tree, see `{PROGRAM} packs`; may be repeated",
        [],
        action=_Repeatable,
    )


def _add_proof_flags(parser: _Parser) -> None:
    interval, timeout = f"{OPTIONS.freshness_interval:g}s", f"{OPTIONS.freshness_timeout:g}s"
    parser.flag(
        "--freshness.interval", "DURATION", "time between two freshness checks of a session, 0 for no checks", interval
    )
    parser.flag("--freshness.timeout", "DURATION", "time after which an unanswered freshness check fails", timeout)
    parser.flag(
        "--freshness.barrier",
        "BARRIER",
        "request of a freshness check: quorum commits an empty transaction, sync commits nothing",
        OPTIONS.freshness_barrier,
    )
    parser.flag(
        "--audit.interval", "DURATION", "time between two audits, 0 for no audits", f"{OPTIONS.audit_interval:g}s"
    )
    parser.flag("--audit.sample", "ZNODES", "number of znodes an audit compares, 0 for all", str(OPTIONS.audit_sample))


def _demo_parser() -> _Parser:
    parser = _Parser(f"{PROGRAM} demo", "Starts a real ZooKeeper with a changing tree, and the exporter on it.")
    parser.flag(
        "--zookeeper.home", "FOLDER", "a ZooKeeper installation; by default ZOOKEEPER_HOME or the system's jars"
    )
    parser.flag("--web.listen-address", "[HOST]:PORT", "where to serve; port 0 picks a free one", "127.0.0.1:19141")
    _add_common_flags(parser)
    return parser


def _healthcheck_parser() -> _Parser:
    parser = _Parser(
        f"{PROGRAM} healthcheck",
        "Asks the exporter on this machine whether it is healthy, and exits with status 0 or 1.",
    )
    _add_listen_flag(parser, "where the exporter serves; of several, the first that accepts a connection is asked")
    parser.flag("--web.config.file", "FILE", "the exporter's own file, for its TLS and the certificate to present")
    _add_prefix_flags(parser)
    parser.switch("--ready", "ask whether it is ready: every tree was loaded once and none has failed")
    parser.flag("--tls.cert-file", "FILE", "PEM file with another client certificate to present, where one is required")
    parser.flag("--tls.key-file", "FILE", "PEM file with its private key")
    _add_version(parser)
    return parser


def _preview_parser() -> _Parser:
    parser = _Parser(
        f"{PROGRAM} preview",
        "Loads the trees, prints the series that each rule makes of them and the znodes that it cannot use, and ends.",
    )
    _add_ensemble_flags(parser)
    parser.flag("--timeout", "DURATION", "how long to wait for the trees, at least 1s", "30s")
    _add_common_flags(parser, level="error")
    return parser


def _packs_parser() -> _Parser:
    parser = _Parser(
        f"{PROGRAM} packs",
        "Lists the shipped metrics of known systems, or prints one pack: its rules, with the sources of their paths.",
    )
    parser.usage = "%(prog)s [NAME [--alerts]]"
    parser.add_argument("NAME", nargs="?", help="the pack to print")
    parser.switch("--alerts", "print its alerts, as a rule file for Prometheus")
    _add_version(parser)
    return parser


def _add_listen_flag(parser: _Parser, help: str) -> None:
    by_default = [str(DEFAULT_LISTEN_ADDRESS)]
    parser.flag("--web.listen-address", "[HOST]:PORT", help, by_default, action=_Repeatable)


def _add_prefix_flags(parser: _Parser) -> None:
    parser.flag("--web.external-url", "URL", "address of the exporter for browsers, for example behind a proxy")
    parser.flag("--web.route-prefix", "PATH", "prefix of every served path; by default the path of the external URL")


def _add_common_flags(parser: _Parser, level: str = "info") -> None:
    parser.flag("--log.level", "LEVEL", f"lowest level to log: {', '.join(LEVELS)}", level)
    parser.flag("--log.format", "FORMAT", f"format of the log: {' or '.join(FORMATS)}", "logfmt")
    _add_version(parser)


def _add_version(parser: _Parser) -> None:
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
