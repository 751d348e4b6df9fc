"""Listening: sockets at the addresses where the daemon serves, and what they leave behind."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from exporter.config.settings import Address, ListenAddress, SettingsError, UnixAddress, in_brackets
from exporter.config.web import WebConfig
from exporter.web.accepting import BACKLOG

#: Who may connect to a Unix socket: its owner and group.
_UNIX_MODE = 0o660


@contextlib.contextmanager
def listening(addresses: Sequence[Address]) -> Iterator[list[socket.socket]]:
    """Sockets that listen at these addresses; in the end they are closed, and the files of Unix sockets removed.

    Raises SettingsError if one of the addresses cannot be had.
    """
    with contextlib.ExitStack() as open_ones:
        yield [open_ones.enter_context(_listening_at(address)) for address in addresses]


def listen(address: Address) -> socket.socket:
    """A socket that listens on `address`; an empty host and `::` mean every one, IPv6 and IPv4, as in Go.

    Raises SettingsError if the address cannot be had.
    """
    try:
        if isinstance(address, UnixAddress):
            return _listen_at_path(address.path)
        return _listen_everywhere(address.port) if address.host in ("", "::") else _listen_on(address)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        accepted = (
            "a path in a folder that may be written to, where there is nothing or a socket that nobody listens on"
            if isinstance(address, UnixAddress)
            else "[HOST]:PORT, an address of this machine and a port that is free and allowed, or port 0"
        )
        problem = f"cannot listen there: {reason}; accepted: {accepted}"
        raise SettingsError("--web.listen-address", str(address), problem) from None


def base_url(listener: socket.socket, config: WebConfig | None = None) -> str:
    """The URL under which a browser on this machine reaches the socket, without a slash at the end.

    Of a Unix socket it is `unix://` and the path.
    """
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        # As systemd writes those without a file.
        return "unix://" + os.fsdecode(name).replace("\0", "@", 1)
    scheme = "https" if config is not None and config.tls is not None else "http"
    host, port = name[:2]
    return f"{scheme}://{'localhost' if host in ('::', '0.0.0.0') else in_brackets(host)}:{port}"


@contextlib.contextmanager
def _listening_at(address: Address) -> Iterator[socket.socket]:
    with listen(address) as listener:
        made = _file(address.path) if isinstance(address, UnixAddress) else None
        try:
            yield listener
        finally:
            # Not that of another process which has taken its place.
            if isinstance(address, UnixAddress) and made is not None and _file(address.path) == made:
                with contextlib.suppress(OSError):
                    address.path.unlink()


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _listen_at_path(path: Path) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(os.fsencode(path))
        # Before it listens, nobody can connect.
        path.chmod(_UNIX_MODE)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Removes the socket of a process that ended without doing so."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError(errno.EEXIST, "")
    with socket.socket(socket.AF_UNIX) as probe:
        # One whose queue is full has somebody who listens, too.
        probe.setblocking(False)
        if probe.connect_ex(os.fsencode(path)) == errno.ECONNREFUSED:
            path.unlink()


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    return socket.create_server(("", port), backlog=BACKLOG)


def _listen_on(address: ListenAddress) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As Go's servers: of a name's addresses the IPv4 one.
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(where, family=family, backlog=BACKLOG)
