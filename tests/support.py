"""Helpers of tests: waiting for conditions, running processes, and reading a tree directly."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.hosts import collect_hosts
from kazoo.protocol.serialization import Close, Connect
from kazoo.protocol.states import ZnodeStat

T = TypeVar("T")

#: A server's configuration: even with a short tick, sessions may be as long as clients ask for. So sessions that are
#: not meant to end survive when the machine stalls for some seconds.
LONG_SESSIONS = {"maxSessionTimeout": "60000"}
#: Seconds that `eventually` waits at most after a look that took long.
_LONGEST_REST = 0.2


def eventually(predicate: Callable[[], T], timeout: float = 60.0, interval: float = 0.01) -> T:
    """The first true value that `predicate` returns; fails with the last one after `timeout` seconds.

    An AssertionError that `predicate` raises counts as not yet true, and is the failure at the deadline. Between two
    looks it waits for `interval` seconds, longer after a look that took long: what it waits for needs the machine too.
    """
    deadline = time.monotonic() + timeout
    while True:
        begun = time.monotonic()
        late = begun >= deadline
        try:
            value = predicate()
        except AssertionError:
            if late:
                raise
        else:
            if value:
                return value
            if late:
                raise AssertionError(f"not true within {timeout:g} s; last value: {value!r}")
        time.sleep(max(interval, min(_LONGEST_REST, 4 * (time.monotonic() - begun))))


@contextlib.contextmanager
def being_read(fifo: Path) -> Iterator[None]:
    """Begins when a reader has opened a named pipe, and keeps the reader waiting for its content."""

    def open_once_it_is_read() -> int | None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None

    descriptor = eventually(open_once_it_is_read)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def walk(client: KazooClient, root: str) -> dict[str, ZnodeStat]:
    """The stat of every znode at and below `root` by path, parents first, read with nothing but kazoo's own calls."""
    found: dict[str, ZnodeStat] = {}
    level = [root]
    while level:
        replies = [(path, client.exists_async(path), client.get_children_async(path)) for path in level]
        level = []
        for path, stat, children in replies:
            with contextlib.suppress(NoNodeError):
                level += [f"{path.rstrip('/')}/{name}" for name in children.get()]
                if stat.get() is not None:
                    found[path] = stat.get()
    return found


def wipe(client: KazooClient, root: str) -> None:
    """Deletes `root` and everything below it."""
    deletions = [client.delete_async(path) for path in reversed(walk(client, root))]
    for deletion in deletions:
        with contextlib.suppress(NoNodeError):
            deletion.get()


def expire(client_id: tuple[int, bytes], hosts: str) -> None:
    """Ends a session as the server does when it has heard nothing for too long; returns when it is over.

    It is taken over and closed in one breath: a client that was only taken over might reconnect before the close, and
    would have the session back.
    """
    servers, _ = collect_hosts(hosts)
    eventually(lambda: any(_closes_session(client_id, address) for address in servers), timeout=60, interval=0.05)


def _closes_session(client_id: tuple[int, bytes], address: tuple[str, int]) -> bool:
    connect = Connect(0, 0, 10_000, *client_id, False).serialize()
    close = struct.pack("!ii", 1, Close.type)
    try:
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(b"".join(struct.pack("!i", len(frame)) + frame for frame in (connect, close)))
            replies = connection.makefile("rb")
            (length,) = struct.unpack("!i", replies.read(4))
            _, timeout = struct.unpack_from("!ii", replies.read(length))
            # No time is granted to a session that is over. Else the close is answered before the connection ends.
            return timeout <= 0 or len(replies.read(4 + 16)) == 20
    except (OSError, struct.error):
        return False
