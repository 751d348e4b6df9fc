"""Settings: what the daemon watches and where it serves, checked before anything starts."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from exporter.treecache import Shard
from exporter.treecache.options import CacheOptions
from exporter.views.limits.view import Limits
from exporter.views.rules.rule import Rule
from exporter.zookeeper.frames import MAX_FRAME

HOSTS_ACCEPTED = "accepted: HOST[:PORT][,HOST[:PORT]...][/CHROOT], an IPv6 address in brackets"
PATH_ACCEPTED = "accepted: an absolute path such as /services"
LISTEN_ACCEPTED = "accepted: [HOST]:PORT, an IPv6 address in brackets, port 0 for a free one; or unix:///PATH"
TELEMETRY_PATH_ACCEPTED = "accepted: an absolute path such as /metrics, with letters, digits and . _ ~ -"
EXTERNAL_URL_ACCEPTED = (
    "accepted: an absolute URL such as https://monitor.example/zk/, or its path alone, with letters, digits and . _ ~ -"
)
ROUTE_PREFIX_ACCEPTED = "accepted: / for none, or a path such as /zk, with letters, digits and . _ ~ -"
DASHBOARD_ACCEPTED = "accepted: an absolute URL such as https://grafana.example/dashboards, without credentials"
ADMIN_ACCEPTED = "accepted: http://{host}:8080, https://{host}:8443 or the like, with {host} for each server"
NAME_ACCEPTED = "accepted: any printable text"
DURATION_ACCEPTED = "accepted: a duration such as 500ms, 10s, 5m or 1h30m"
COUNT_ACCEPTED = "accepted: a whole number from 0 on"
HOST_NAME_ACCEPTED = "accepted: a StatefulSet's host name, which ends in a hyphen and a number, such as exporter-0"

#: Seconds; a longer duration is taken for a mistake.
LONGEST_DURATION = 86_400.0

DEFAULT_ZOOKEEPER_PORT = 2181

#: The maximum length of a Unix socket's path on Linux, in bytes: unix(7).
_LONGEST_SOCKET_PATH = 107

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")
# The characters that ZooKeeper's own PathUtils.validatePath refuses.
_NOT_IN_ZNODE_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff]")
# Prometheus' own syntax of durations.
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in ("d", "h", "m", "s", "ms")))
_DURATION_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_ORDINAL = re.compile(r"[^.]*-(?P<ordinal>[0-9]{1,9})(?:\..*)?")
_ADMIN_URL = re.compile(r"https?://\{host\}(?::(?P<port>[0-9]+))?(?:/[A-Za-z0-9._~-]+)*/?")
_SERVED_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class SettingsError(ValueError):
    """A setting cannot be used; the text is one line that names the setting, its value and what is accepted."""

    def __init__(self, setting: str, value: str | None, problem: str) -> None:
        named = setting if value is None else f"{setting}={value}"
        super().__init__(one_line(f"{named}: {problem}"))

    @property
    def lines(self) -> list[str]:
        """The complaints, one for each problem."""
        return str(self).split("\n")


#: The default options of a tree's cache.
OPTIONS = CacheOptions(
    create_root=False, keep_data=False, freshness_interval=5.0, audit_interval=300.0, audit_sample=1000
)

#: What the sizes of a tree are compared with by default.
LIMITS = Limits()


@dataclass(frozen=True)
class Tree:
    """One subtree to watch.

    `path` is its root inside the ensemble's chroot, `name` its value of the label `tree`. `include` and `exclude` are
    globs (see `exporter.config.globs`), `rules` the metrics made from its znodes, `limits` what its sizes are compared
    with, `options` those of its cache.
    """

    name: str
    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    limits: Limits = LIMITS
    options: CacheOptions = OPTIONS


@dataclass(frozen=True)
class Digest:
    """A user of ZooKeeper's digest scheme."""

    username: str
    password: SecretStr


@dataclass(frozen=True)
class DigestMd5:
    """A user who authenticates by SASL's DIGEST-MD5."""

    username: str
    password: SecretStr


@dataclass(frozen=True)
class Gssapi:
    """Kerberos: the service's name, and the principal whose tickets to use, None for the process's own."""

    service: str = "zookeeper"
    principal: str | None = None


@dataclass(frozen=True)
class Tls:
    """How to speak TLS with an ensemble; files are PEM. `ca_file` is trusted besides the system's authorities."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: SecretStr | None = None
    check_hostname: bool = True
    insecure_skip_verify: bool = False


@dataclass(frozen=True)
class Servers:
    """How to ask the servers of an ensemble for their own numbers.

    Attributes:
        interval: seconds from the beginning of a poll to that of the next.
        timeout: seconds that the poll of one server may take.
        admin: the address of AdminServer, with `{host}` for the server; None if there is none.
        all_names: whether to give every number, not only those of the list.
        discover: whether to ask the servers of the dynamic configuration instead of those of the connection string.
    """

    interval: float = 15.0
    timeout: float = 3.0
    admin: str | None = None
    all_names: bool = False
    discover: bool = False


@dataclass(frozen=True)
class Ensemble:
    """One ZooKeeper ensemble: how to connect and authenticate, the trees to watch, and how to ask its servers.

    `name` is its value of the label `ensemble`; `session_timeout` the timeout to request, in seconds;
    `max_reply_bytes` the limit of one reply; `quotas` whether to read the ensemble's quotas. `servers` is None if the
    servers are not asked.
    """

    name: str
    hosts: str
    trees: tuple[Tree, ...]
    session_timeout: float = 10.0
    digest: tuple[Digest, ...] = ()
    sasl: DigestMd5 | Gssapi | None = None
    tls: Tls | None = None
    max_reply_bytes: int = MAX_FRAME
    quotas: bool = True
    servers: Servers | None = Servers()


@dataclass(frozen=True)
class ListenAddress:
    """A TCP address to listen on: an empty host means every address of the machine, port 0 a free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{in_brackets(self.host)}:{self.port}"


@dataclass(frozen=True)
class UnixAddress:
    """A Unix socket to listen on, by its absolute path."""

    path: Path

    def __str__(self) -> str:
        return f"unix://{self.path}"


Address = ListenAddress | UnixAddress

DEFAULT_LISTEN_ADDRESS = ListenAddress("", 19141)


@dataclass(frozen=True)
class Web:
    """How to serve.

    Attributes:
        listen_addresses: where to listen, unless systemd passes sockets.
        telemetry_path: the path that Prometheus scrapes.
        config_file: a web configuration in exporter-toolkit's format.
        route_prefix: the prefix of every path, empty for none.
        enable_lifecycle: whether `POST /-/reload` is allowed.
        systemd_socket: whether to serve on the sockets that systemd passes.
        expose_data: whether pages show the data of znodes.
        dashboard_url: address of the dashboards, which the pages link to.
        probe_any_target: whether `/probe` asks any server, not only those of the configuration.
    """

    listen_addresses: tuple[Address, ...] = (DEFAULT_LISTEN_ADDRESS,)
    telemetry_path: str = "/metrics"
    config_file: Path | None = None
    route_prefix: str = ""
    enable_lifecycle: bool = False
    systemd_socket: bool = False
    expose_data: bool = False
    dashboard_url: str | None = None
    probe_any_target: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings of a daemon, which watches the share of each tree that belongs to `shard`."""

    ensembles: tuple[Ensemble, ...]
    web: Web = Web()
    shard: Shard = field(default_factory=Shard)


def parse_hosts(text: str) -> str:
    """A connection string in kazoo's syntax, with every port spelled out and the chroot normalised.

    Raises ValueError, saying which part is wrong and what is accepted.
    """
    addresses, slash, chroot = text.partition("/")
    hosts = ",".join(_parse_zookeeper_host(address.strip()) for address in addresses.split(","))
    return hosts + (_normalised(slash + chroot, "chroot", HOSTS_ACCEPTED).rstrip("/") if slash else "")


def parse_path(text: str) -> str:
    """The absolute path of a znode, without repeated or trailing slashes.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    return _normalised(text, "path", PATH_ACCEPTED)


def parse_trees(paths: Iterable[str], options: CacheOptions = OPTIONS) -> tuple[Tree, ...]:
    """One tree for each path of `--treecache.path`, with the path as its name.

    Raises SettingsError for a path that cannot be used or is given twice.
    """
    trees: dict[str, Tree] = {}
    for text in paths:
        try:
            path = parse_path(text)
        except ValueError as error:
            raise SettingsError("--treecache.path", text, str(error)) from None
        if path in trees:
            raise SettingsError("--treecache.path", text, f"{path} is given twice; accepted: each path once")
        trees[path] = Tree(name=path, path=path, options=options)
    return tuple(trees.values())


def parse_name(text: str) -> str:
    """The name of an ensemble, as it appears in the label `ensemble`.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    if not text.strip():
        raise ValueError(f"the name is empty; {NAME_ACCEPTED}")
    if not text.isprintable():
        raise ValueError(f"the name has a character that cannot be printed; {NAME_ACCEPTED}")
    return text


def parse_duration(text: str, least: float = 0.0) -> float:
    """A duration in Prometheus' syntax, for example `1m30s`, in seconds; at least `least`, at most a day.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    match = _DURATION.fullmatch(text)
    if not text or (match is None and text != "0"):
        raise ValueError(f"not a duration; {DURATION_ACCEPTED}")
    parts = match.groups() if match else ()
    duration = sum(int(number) * unit for number, unit in zip(parts, _DURATION_UNITS, strict=False) if number)
    if not least <= duration <= LONGEST_DURATION:
        raise ValueError(f"not between {least:g}s and 1d; {DURATION_ACCEPTED}")
    return duration


def parse_count(text: str) -> int:
    """A whole number from 0 on.

    Raises ValueError, saying what is accepted.
    """
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"not a count; {COUNT_ACCEPTED}")
    return int(text)


def parse_ordinal_of_host(name: str) -> int:
    """The ordinal in the name of a StatefulSet's host.

    Raises ValueError, saying what is accepted.
    """
    match = _ORDINAL.fullmatch(name)
    if match is None:
        raise ValueError(f"the host name {name!r} has no ordinal; {HOST_NAME_ACCEPTED}")
    return int(match["ordinal"])


def parse_listen_address(text: str) -> Address:
    """`[HOST]:PORT` as a ListenAddress, `unix:///PATH` as a UnixAddress.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    if text.startswith("unix:"):
        return UnixAddress(_checked_socket_path(text.removeprefix("unix:").removeprefix("//")))
    host, port = _split_host_port(text, LISTEN_ACCEPTED)
    if port is None:
        raise ValueError(f"the port is missing; {LISTEN_ACCEPTED}")
    return ListenAddress(
        host=_checked_host(host, LISTEN_ACCEPTED) if host else "",
        port=_checked_port(port, range(65536), LISTEN_ACCEPTED),
    )


def parse_telemetry_path(text: str, reserved: Iterable[str] = ()) -> str:
    """The path that Prometheus scrapes; `reserved` are the paths that are already taken.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    if text in reserved:
        raise ValueError(f"this path is taken by another page; {TELEMETRY_PATH_ACCEPTED}")
    if not _is_served_path(text):
        raise ValueError(f"not a valid path; {TELEMETRY_PATH_ACCEPTED}")
    return text


def parse_external_url(text: str) -> str:
    """The path of the exporter's URL for browsers, without a trailing slash; empty for none.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    if text.startswith("/") and not text.startswith("//"):
        path = text
    elif _is_absolute_url(text):
        url = urlsplit(text)
        if url.query or url.fragment:
            raise ValueError(f"has a query or a fragment; {EXTERNAL_URL_ACCEPTED}")
        path = url.path
    else:
        raise ValueError(f"not an absolute HTTP URL; {EXTERNAL_URL_ACCEPTED}")
    return _prefix(path, EXTERNAL_URL_ACCEPTED)


def parse_route_prefix(text: str) -> str:
    """The prefix of every path that is served, without a trailing slash; empty for none.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    return _prefix(text, ROUTE_PREFIX_ACCEPTED)


def parse_dashboard_url(text: str) -> str:
    """An absolute HTTP URL for the pages to link to.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    if not _is_absolute_url(text):
        raise ValueError(f"not an absolute HTTP URL; {DASHBOARD_ACCEPTED}")
    return text


def parse_admin_url(text: str) -> str:
    """The address of AdminServer, with `{host}` for the server, without a trailing slash.

    Raises ValueError, saying what is wrong and what is accepted.
    """
    match = _ADMIN_URL.fullmatch(text)
    if match is None:
        raise ValueError(f"not such an address; {ADMIN_ACCEPTED}")
    if match["port"] is not None:
        _checked_port(match["port"], range(1, 65536), ADMIN_ACCEPTED)
    return text.rstrip("/")


def in_brackets(host: str) -> str:
    """A host as it is written before a colon and a port: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host else host


def one_line(text: str) -> str:
    """The text with every character escaped that cannot be printed on one line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _is_absolute_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_absolute = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_absolute = False
    return is_absolute and re.fullmatch("[!-~]+", text) is not None


def _prefix(path: str, accepted: str) -> str:
    """A path as a prefix. As in Prometheus, slashes at either end make no difference."""
    prefix = "/" + path.strip("/")
    if prefix == "/":
        return ""
    if not _is_served_path(prefix):
        raise ValueError(f"{path!r} is not a valid path; {accepted}")
    return prefix


def _is_served_path(text: str) -> bool:
    return _SERVED_PATH.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def _parse_zookeeper_host(text: str) -> str:
    host, port = _split_host_port(text, HOSTS_ACCEPTED)
    if not host:
        raise ValueError(f"a host is empty; {HOSTS_ACCEPTED}")
    host = _checked_host(host, HOSTS_ACCEPTED)
    number = DEFAULT_ZOOKEEPER_PORT if port is None else _checked_port(port, range(1, 65536), HOSTS_ACCEPTED)
    return f"{in_brackets(host)}:{number}"


def _split_host_port(text: str, accepted: str) -> tuple[str, str | None]:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not HOST:PORT; {accepted}")
    return match["host"], match["port"]


def _checked_host(host: str, accepted: str) -> str:
    """A host name, an IPv4 address or an IPv6 address, the last without its brackets."""
    try:
        if host.startswith("["):
            address = ipaddress.IPv6Address(host[1:-1])
            # No socket listens on, or connects from, an IPv4 address in IPv6 notation.
            return str(address.ipv4_mapped or address)
        if re.fullmatch("[0-9.]+", host):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address; {accepted}") from None
    if len(host) > 253 or not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name; {accepted}")
    return host


def _checked_socket_path(text: str) -> Path:
    if not text.startswith("/") or text.endswith("/"):
        raise ValueError(f"{text!r} is not the absolute path of a file; {LISTEN_ACCEPTED}")
    if len(os.fsencode(text)) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the path has more than {_LONGEST_SOCKET_PATH} bytes; {LISTEN_ACCEPTED}")
    return Path(text)


def _checked_port(text: str, allowed: range, accepted: str) -> int:
    # int() alone would also accept signs, spaces, underscores and digits of other scripts.
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) not in allowed:
        problem = f"{text!r} is not a port between {allowed.start} and {allowed.stop - 1}"
        raise ValueError(f"{problem}; {accepted}")
    return int(text)


def _normalised(path: str, what: str, accepted: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"the {what} is not absolute; {accepted}")
    names = [name for name in path.split("/") if name]
    for name in names:
        if name in (".", ".."):
            raise ValueError(f"the {what} has the relative part {name!r}; {accepted}")
        if _NOT_IN_ZNODE_NAMES.search(name):
            raise ValueError(f"the {what} has a character that ZooKeeper refuses in {name!r}; {accepted}")
    return "/" + "/".join(names)
