"""Listening: opens the sockets of the listen addresses, and removes the files of Unix sockets."""

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
    """Sockets that listen on these addresses; closed at the end of the block, with the files of Unix sockets removed.

    Raises SettingsError if it cannot listen on one of the addresses.
    """
    with contextlib.ExitStack() as open_ones:
        yield [open_ones.enter_context(_listening_at(address)) for address in addresses]


def listen(address: Address) -> socket.socket:
    """A socket that listens on `address`; as in Go, an empty host and `::` mean all addresses, IPv6 and IPv4.

    Raises SettingsError if it cannot listen on the address.
    """
    try:
        if isinstance(address, UnixAddress):
            return _listen_at_path(address.path)
        return _listen_everywhere(address.port) if address.host in ("", "::") else _listen_on(address)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        accepted = (
            "a path in a writable folder, where there is no file, or a socket that nobody listens on"
            if isinstance(address, UnixAddress)
            else "[HOST]:PORT, an address of this machine and a free, permitted port, or port 0"
        )
        problem = f"cannot listen there: {reason}; accepted: {accepted}"
        raise SettingsError("--web.listen-address", str(address), problem) from None


def base_url(listener: socket.socket, config: WebConfig | None = None) -> str:
    """The URL of the socket for a browser on this machine, without a trailing slash.

    For a Unix socket it is `unix://` and the path.
    """
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        # systemd's notation for abstract sockets.
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
            # Another process may have replaced the socket; its file stays.
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
        # Before listen(), so that nobody can connect with the wrong mode.
        path.chmod(_UNIX_MODE)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Removes the socket of a process that ended without removing it."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError(errno.EEXIST, "")
    with socket.socket(socket.AF_UNIX) as probe:
        # If the queue is full, connecting would block; that socket has a listener too.
        probe.setblocking(False)
        if probe.connect_ex(os.fsencode(path)) == errno.ECONNREFUSED:
            path.unlink()


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    return socket.create_server(("", port), backlog=BACKLOG)


def _listen_on(address: ListenAddress) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As Go's servers do, prefers IPv4 if a name has several addresses.
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(where, family=family, backlog=BACKLOG)
