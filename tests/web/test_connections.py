"""The data buffered for clients that do not read has a limit, for all of them together."""

from __future__ import annotations

import contextlib
import select
import socket

import pytest

from exporter.telemetry.sources import EnsembleSource
from exporter.web import lobby
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, Source
from tests.web.process import received
from tests.web.running import running

pytestmark = pytest.mark.starts

ASKING = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 2 + b"GET /-/healthy HTTP/1.0\r\nHost: a\r\n\r\n"


def test_those_go_who_have_not_read_for_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "UNREAD_LIMIT", 512 * 1024)
    trees = {f"tree-{number}": Source(BUSY_CACHE) for number in range(40)}
    with running(EnsembleSource("main", Source(BUSY_CLIENT), trees)) as server, contextlib.ExitStack() as opened:
        clients = []
        for _ in range(12):
            client = opened.enter_context(socket.socket())
            # The smaller the receive buffer, the more data stays with the server.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.connect(("127.0.0.1", server.port))
            client.sendall(ASKING)
            assert select.select([client], [], [], 10)[0]
            clients.append(client)
        got_everything = [b"\r\n\r\nHealthy.\n" in received(client) for client in clients]
    assert got_everything[-1]
    assert 1 <= sum(got_everything) <= 6
    # Exactly the last ones are left.
    assert got_everything == sorted(got_everything)
