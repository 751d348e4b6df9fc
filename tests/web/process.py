"""The web server in its own process, for tests that attack it and measure the cost."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from tests import plainhttp
from tests.web.certificates import Authority

#: Seconds within which a well-behaved scrape must be answered, Prometheus' default; and the bytes that memory may grow.
SCRAPE_LIMIT = 10.0
MEMORY_LIMIT = 48 * 1024 * 1024


class Server:
    """`tests.web.serve` with these arguments, logging to a file.

    `authority` issued its certificate, if it has one; `auth` are the credentials that clients need; `files` is how many
    files it may have open, by default as many as the tests.
    """

    def __init__(
        self,
        log: Path,
        arguments: Sequence[str] = (),
        *,
        authority: Authority | None = None,
        auth: tuple[str, str] | None = None,
        files: int | None = None,
    ) -> None:
        self._log = log
        self.authority, self.auth = authority, auth
        self.verify = plainhttp.TRUSTS_NOBODY if authority is None else authority.client_context()
        limit = [] if files is None else ["prlimit", f"--nofile={files}:"]
        command = [*limit, sys.executable, "-m", "tests.web.serve", *arguments]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        """The log."""
        return self._log.read_text()

    @contextlib.contextmanager
    def memory_grows_by_less_than(self, limit: int) -> Iterator[None]:
        """Compares its peak memory within the block with the memory now; `limit` is in bytes."""
        before = self._memory("VmRSS")
        # If the peak cannot be reset, it is the peak since the start, which is at least as high.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        yield
        grown = self._memory("VmHWM") - before
        assert grown < limit, f"{grown / 1024**2:.0f} MiB"

    def _memory(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def connect(self) -> socket.socket:
        """A TCP connection, without TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def scrape(self) -> float:
        """The seconds that one scrape over a new connection takes."""
        begun = time.monotonic()
        response = httpx.get(f"{self.url}/metrics", verify=self.verify, auth=self.auth, timeout=30)
        assert response.status_code == 200
        return time.monotonic() - begun

    def exchange(self, request: bytes) -> bytes:
        """The whole answer to these bytes, after which the client sends no more."""
        with self.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            return received(connection)

    def end(self) -> None:
        """Ends the process."""
        self.process.terminate()
        self.process.communicate(timeout=20)
        assert "Traceback" not in self.log, self.log[self.log.index("Traceback") :][:4000]


def received(connection: socket.socket) -> bytes:
    """Everything received until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def scrapes(server: Server, number: int = 5) -> list[float]:
    """The seconds of each of `number` scrapes, one after the other."""
    return [server.scrape() for _ in range(number)]


def assert_scrapes_are_quick(server: Server, number: int = 5) -> None:
    """Scrapes are answered in time under any other load."""
    taken = scrapes(server, number)
    assert max(taken) < SCRAPE_LIMIT, taken
