"""Server: the listening socket, and uvicorn without what the daemon does itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from exporter.settings import ListenAddress, SettingsError, in_brackets

_BACKLOG = 128
_HEADER_LIMIT = 16 * 1024
#: Longer than Prometheus waits between scrapes as a rule, so that its connection lives on.
_KEEP_ALIVE = 75
_GRACE = 1


def listen(address: ListenAddress) -> socket.socket:
    """A socket that listens on `address`; an empty host means every address, IPv6 and IPv4.

    Raises SettingsError if the address cannot be had.
    """
    try:
        return _listen_everywhere(address.port) if not address.host else _listen_on(address)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise SettingsError(
            "--web.listen-address",
            str(address),
            f"cannot listen there: {reason}; accepted: [HOST]:PORT, an address of this machine and a port that is "
            "free and allowed, or port 0",
        ) from None


def base_url(listener: socket.socket) -> str:
    """The URL under which a browser on this machine reaches the socket, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://{'localhost' if host in ('::', '0.0.0.0') else in_brackets(host)}:{port}"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serves `app` on `listener` for as long as the body runs, then lets running requests end within a second."""
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_HEADER_LIMIT,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
        )
    )
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the daemon."""
        yield


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return socket.create_server(("", port), backlog=_BACKLOG)


def _listen_on(address: ListenAddress) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = found[0]
    return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
