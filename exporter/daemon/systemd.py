"""systemd: notifies the service manager of the daemon's state, and takes over the listening sockets that it opened.

Implements sd_notify(3), one datagram, and sd_listen_fds(3), two environment variables.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator

from exporter.config.settings import SettingsError

FIRST_DESCRIPTOR = 3

READY = "READY=1"
STOPPING = "STOPPING=1"

_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_ACCEPTED = "accepted: with a socket unit whose ListenStream= are addresses with ports, or paths"


def notify(state: str) -> None:
    """Notifies systemd, if it started the process. Never raises: a missing systemd must not stop the daemon."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
    except OSError:
        pass


def reloading() -> str:
    """The state to notify when a reload begins; READY follows it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


@contextlib.contextmanager
def passed_sockets() -> Iterator[list[socket.socket]]:
    """The listening sockets that systemd opened for the process; closed at the end of the block.

    Raises SettingsError if there is none, or one of another kind.
    """
    count = os.environ.get("LISTEN_FDS", "") if os.environ.get("LISTEN_PID") == str(os.getpid()) else ""
    if not re.fullmatch("[1-9][0-9]{0,4}", count):
        raise SettingsError("--web.systemd-socket", None, f"systemd passed no sockets; {_ACCEPTED}")
    with contextlib.ExitStack() as open_ones:
        descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
        yield [open_ones.enter_context(_passed(descriptor)) for descriptor in descriptors]


def _passed(descriptor: int) -> socket.socket:
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError as error:
        problem = f"systemd passed a file that is not a socket: {error.strerror}; {_ACCEPTED}"
        raise SettingsError("--web.systemd-socket", None, problem) from None
    os.set_inheritable(descriptor, False)
    is_listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if passed.family not in _FAMILIES or passed.type != socket.SOCK_STREAM or not is_listening:
        passed.close()
        raise SettingsError("--web.systemd-socket", None, f"systemd passed another kind of socket; {_ACCEPTED}")
    return passed
