"""CLI: flags to settings, and one clear line for whatever is wrong with them."""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from exporter import __version__, daemon, demo, logs
from exporter.settings import (
    HOSTS_ACCEPTED,
    PATH_ACCEPTED,
    Ensemble,
    Settings,
    SettingsError,
    Web,
    parse_hosts,
    parse_listen_address,
    parse_name,
    parse_telemetry_path,
    parse_trees,
)
from exporter.web.app import RESERVED_PATHS

PROGRAM = "treecache-exporter"
_MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

Value = TypeVar("Value")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with `arguments` (by default the process's) and gives its exit status, 2 for bad input."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        refuse_multiprocess_mode()
        if words[:1] == ["demo"]:
            return _demo(words[1:])
        return _export(words)
    except SettingsError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2


def parse_settings(arguments: Sequence[str]) -> Settings:
    """The settings that the daemon's flags ask for.

    Raises SettingsError for anything that is wrong with them.
    """
    return _settings(_given(_exporter_parser(), arguments))


def refuse_multiprocess_mode() -> None:
    """Raises SettingsError when the environment asks prometheus_client for its multiprocess mode."""
    for variable in _MULTIPROCESS_VARIABLES:
        if variable in os.environ:
            problem = "prometheus_client's multiprocess mode is not supported: this is one process; unset the variable"
            raise SettingsError(variable, os.environ[variable], problem)


def _export(arguments: Sequence[str]) -> int:
    given = _given(_exporter_parser(), arguments)
    _configure_logs(given)
    return daemon.run(_settings(given))


def _demo(arguments: Sequence[str]) -> int:
    given = _given(_demo_parser(), arguments)
    _configure_logs(given)
    address = _parsed(given, "--web.listen-address", parse_listen_address)
    return demo.run(address, zookeeper_home=given["--zookeeper.home"])


def _settings(given: Mapping[str, Any]) -> Settings:
    if given["--zookeeper.hosts"] is None:
        raise SettingsError("--zookeeper.hosts", None, f"required; {HOSTS_ACCEPTED}")
    if not given["--treecache.path"]:
        raise SettingsError("--treecache.path", None, f"required; {PATH_ACCEPTED}")
    ensemble = Ensemble(
        name=_parsed(given, "--zookeeper.name", parse_name),
        hosts=_parsed(given, "--zookeeper.hosts", parse_hosts),
        trees=parse_trees(given["--treecache.path"]),
    )
    web = Web(
        listen_address=_parsed(given, "--web.listen-address", parse_listen_address),
        telemetry_path=_parsed(given, "--web.telemetry-path", lambda path: parse_telemetry_path(path, RESERVED_PATHS)),
    )
    return Settings(ensembles=(ensemble,), web=web)


def _parsed(given: Mapping[str, Any], flag: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(given[flag])
    except ValueError as error:
        raise SettingsError(flag, given[flag], str(error)) from None


def _one_of(accepted: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in accepted:
            raise ValueError(f"accepted: {', '.join(accepted)}")
        return text

    return parse


def _configure_logs(given: Mapping[str, Any]) -> None:
    logs.configure(
        level=_parsed(given, "--log.level", _one_of(logs.LEVELS)),
        format=_parsed(given, "--log.format", _one_of(logs.FORMATS)),
    )


# The grammar: argparse splits words into flags and values; what the values mean is checked above, so that every
# complaint has the same form.


class _Once(argparse.Action):
    """Stores a value, and refuses a second one."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: Any, _option: object = None) -> None:
        given = namespace.__dict__.setdefault("given", set())
        if self.dest in given:
            raise SettingsError(self.dest, value, "the flag is given twice; accepted: once")
        given.add(self.dest)
        setattr(namespace, self.dest, value)


class _Parser(argparse.ArgumentParser):
    """Takes whole flag names only, and complains in one line."""

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
        """Adds a flag whose value is found under its own name."""
        shown = f"{help} (default: {default})" if default else help
        self.add_argument(name, dest=name, metavar=metavar, help=shown, default=default, action=action)
        self.flags.append(name)

    def error(self, message: str) -> NoReturn:
        raise SettingsError(self.prog, None, f"{message}; {_listed(self)}")


def _given(parser: _Parser, arguments: Sequence[str]) -> dict[str, Any]:
    """The value of each flag, by the flag's name.

    Raises SettingsError for words that are no flag and for flags without a value.
    """
    try:
        namespace, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise SettingsError(error.argument_name or "arguments", None, f"{error.message}; {_listed(parser)}") from None
    if unknown:
        raise SettingsError(unknown[0], None, f"{_unknown(parser, unknown[0])}; {_listed(parser)}")
    return vars(namespace)


def _unknown(parser: _Parser, word: str) -> str:
    if not word.startswith("-"):
        return "unexpected argument"
    close = difflib.get_close_matches(word.partition("=")[0], parser.flags, n=1)
    return f"unknown flag, perhaps meant as {close[0]}" if close else "unknown flag"


def _listed(parser: _Parser) -> str:
    return f"accepted: the flags that {parser.prog} --help lists, as --FLAG=VALUE"


def _exporter_parser() -> _Parser:
    parser = _Parser(
        PROGRAM,
        "Holds ZooKeeper subtrees in memory and exposes what is true of that copy to Prometheus.",
        epilog=f"To try it out: `{PROGRAM} demo` starts a real ZooKeeper with a living tree and the exporter on it.",
    )
    parser.flag("--zookeeper.hosts", "HOSTS", f"the ensemble to connect to; {HOSTS_ACCEPTED}")
    parser.flag("--zookeeper.name", "NAME", "value of the label `ensemble`", "default")
    parser.flag(
        "--treecache.path", "PATH", "root of a tree to watch, inside the chroot; may be repeated", [], action="append"
    )
    parser.flag("--web.listen-address", "[HOST]:PORT", "where to serve; port 0 picks a free one", ":19141")
    parser.flag("--web.telemetry-path", "PATH", "what Prometheus scrapes", "/metrics")
    _add_common_flags(parser)
    return parser


def _demo_parser() -> _Parser:
    parser = _Parser(f"{PROGRAM} demo", "Starts a real ZooKeeper with a living tree, and the exporter on it.")
    parser.flag(
        "--zookeeper.home", "FOLDER", "a ZooKeeper installation; by default ZOOKEEPER_HOME or the system's jars"
    )
    parser.flag("--web.listen-address", "[HOST]:PORT", "where to serve; port 0 picks a free one", "127.0.0.1:19141")
    _add_common_flags(parser)
    return parser


def _add_common_flags(parser: _Parser) -> None:
    parser.flag("--log.level", "LEVEL", f"least severe messages to log: {', '.join(logs.LEVELS)}", "info")
    parser.flag("--log.format", "FORMAT", f"form of the log: {' or '.join(logs.FORMATS)}", "logfmt")
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__} (Python {platform.python_version()})"
    )
