"""systemd: how the service manager is told of the daemon's state, and how it hands over a listening socket.

The protocols are those of sd_notify(3) and sd_listen_fds(3): one datagram, two environment variables.
"""

from __future__ import annotations

import os
import socket
import time

from exporter.settings import SettingsError

FIRST_DESCRIPTOR = 3

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str) -> None:
    """Tells systemd, if it is what started the process. Never raises: nobody's absence may stop the daemon."""
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
    """The state to tell when a reload begins; afterwards it is READY again."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def passed_socket() -> socket.socket:
    """The one listening socket that systemd opened for the process.

    Raises SettingsError if there is none, or more than one, or one of another kind.
    """
    accepted = "accepted: with one ListenStream= for an address and port in the socket unit"
    count = os.environ.get("LISTEN_FDS", "0") if os.environ.get("LISTEN_PID") == str(os.getpid()) else "0"
    if count != "1":
        raise SettingsError("--web.systemd-socket", None, f"systemd passed {count} sockets; {accepted}")
    try:
        passed = socket.socket(fileno=FIRST_DESCRIPTOR)
    except OSError as error:
        problem = f"systemd passed no socket: {error.strerror}; {accepted}"
        raise SettingsError("--web.systemd-socket", None, problem) from None
    os.set_inheritable(FIRST_DESCRIPTOR, False)
    is_listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if passed.family not in (socket.AF_INET, socket.AF_INET6) or not is_listening:
        passed.close()
        raise SettingsError("--web.systemd-socket", None, f"systemd passed another kind of socket; {accepted}")
    return passed
