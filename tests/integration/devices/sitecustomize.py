"""Devices for tests: replace DNS and the clock of a process under test, and limit its open files.

Python imports this module when it starts in a process whose PYTHONPATH names this folder. The variables are:

- `TEST_HOSTS`, a file like /etc/hosts that is read again for each name. It alone resolves names below `.test`.
  Instead of an address, `hang` is a resolver that does not answer, and a number is the error that it fails with.
- `TEST_CLOCK`, a file with the offset of the wall clock in seconds.
- `TEST_OPEN_FILES`, the limit of open files.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path
from typing import Any

if "TEST_HOSTS" in os.environ:
    hosts = Path(os.environ["TEST_HOSTS"])
    getaddrinfo = socket.getaddrinfo

    def resolve(name: Any, *rest: Any, **more: Any) -> Any:
        """Replaces socket.getaddrinfo."""
        if not str(name).endswith(".test"):
            return getaddrinfo(name, *rest, **more)
        lines = [line.split() for line in hosts.read_text().splitlines()]
        address = next((address for address, of in lines if of == name), None)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if address == "hang":
            time.sleep(3600)
        if address.isdigit():
            raise OSError(int(address), os.strerror(int(address)))
        return getaddrinfo(address, *rest, **more)

    socket.getaddrinfo = resolve  # type: ignore[assignment]

if "TEST_CLOCK" in os.environ:
    clock = Path(os.environ["TEST_CLOCK"])
    of_the_machine = time.time

    def of_the_test() -> float:
        """Replaces time.time."""
        return of_the_machine() + float(clock.read_text())

    time.time = of_the_test

if "TEST_OPEN_FILES" in os.environ:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(os.environ["TEST_OPEN_FILES"]),) * 2)
