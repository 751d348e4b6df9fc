"""Accepting: what every accepted connection has."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from exporter.config.settings import ListenAddress
from exporter.web.accepting import Acceptor
from exporter.web.listening import listen


class Noting(asyncio.Protocol):
    """Notes the socket of its connection."""

    def __init__(self, made: Callable[[socket.socket], object]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made(transport.get_extra_info("socket"))


async def accepted_at(host: str) -> tuple[int, int]:
    """Whether a connection delays small messages, and the size of its send buffer."""
    connected: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    with listen(ListenAddress(host, 0)) as listener, socket.socket() as client:
        acceptor = Acceptor([listener], lambda: Noting(connected.set_result), lambda: None, at_once=1)
        client.connect(("127.0.0.1", listener.getsockname()[1]))
        server_side = await asyncio.wait_for(connected, 20)
        acceptor.close()
        return (
            server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
            server_side.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
        )


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_an_answer_does_not_wait_for_an_acknowledgement_and_has_a_small_buffer(host: str) -> None:
    no_delay, buffer = asyncio.run(accepted_at(host))
    assert no_delay
    # Linux doubles it.
    assert buffer <= 2 * 128 * 1024
