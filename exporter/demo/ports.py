"""Port: a loopback port that stays reserved while the server on it is down.

A server that is killed and restarted needs the port that its clients know. The kernel does not reserve it, so another
of our servers, in this process or another, could take it meanwhile. So every port is locked before it is used.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from exporter.demo.java import LaunchError

#: Below every system's range of ephemeral ports: so no outgoing connection takes the port while the server is down, and
#: a client that keeps reconnecting cannot connect to itself.
PORTS = range(20000, 30000)


#: Ports that are released only when the process ends.
_kept: list[Port] = []


class Port:
    """One reserved port, locked until `release` or the end of the process."""

    def __init__(self, number: int, lock: int) -> None:
        self.number = number
        self._lock = lock

    @classmethod
    def reserve(cls) -> Port:
        """A random port of `PORTS` that nobody listens on and no other `Port` has reserved.

        Raises LaunchError if there is none.
        """
        folder = Path(tempfile.gettempdir(), f"treecache-ports-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in random.sample(PORTS, len(PORTS)):
            lock = os.open(folder / str(number), os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            if _is_free(number):
                return cls(number, lock)
            os.close(lock)
        raise LaunchError(f"no free loopback port between {PORTS.start} and {PORTS.stop - 1}")

    def release(self) -> None:
        """Releases the port."""
        os.close(self._lock)


def free_port() -> int:
    """A loopback port that nobody listens on, reserved until this process ends; see `Port.reserve`."""
    port = Port.reserve()
    _kept.append(port)
    return port.number


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
