"""Clients that leave at odd moments, and running out of file descriptors, cause no unhandled errors."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from exporter.config.web import load
from exporter.pages import documents
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource
from exporter.web.app import create_app
from exporter.web.connections import HttpProtocol, TlsGate
from exporter.web.lobby import Lobby
from exporter.web.tls import server_context
from tests import plainhttp
from tests.pages.znodes import STAT, Znodes
from tests.support import eventually
from tests.telemetry.known import BUSY_CLIENT, Source
from tests.web.certificates import Authority


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    Authority(folder).issue("server", "127.0.0.1")
    config = folder / "web.yml"
    config.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    made = server_context(load(config))
    assert made is not None
    return made


def hello() -> bytes:
    """The first bytes of a client's TLS handshake."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def never() -> HttpProtocol:
    raise AssertionError("the handshake was completed")


@pytest.mark.starts
@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("first", [0, 1, 100, 10_000])
def test_a_connection_that_ends_during_its_handshake(context: ssl.SSLContext, turns: int, first: int) -> None:
    """It ends this many turns of the event loop after this many bytes, whichever side ends it."""

    async def shake_hands_and_end(end: Callable[[asyncio.Transport, socket.socket], None]) -> list[dict[str, Any]]:
        loop, wrong, lobby = asyncio.get_running_loop(), list[dict[str, Any]](), Lobby(16)
        loop.set_exception_handler(lambda _loop, told: wrong.append(told))
        server, client = socket.socketpair()
        server.setblocking(False)
        before = asyncio.all_tasks()
        transport, _ = await loop.connect_accepted_socket(
            lambda: TlsGate(lobby, lambda: context, tuple[str, ...], never), server
        )
        client.sendall(hello()[:first])
        for _ in range(turns):
            await asyncio.sleep(0)
        end(transport, client)
        deadline = loop.time() + 20
        while len(lobby) or asyncio.all_tasks() - before:
            assert loop.time() < deadline
            await asyncio.sleep(0.01)
        client.close()
        gc.collect()
        return wrong

    for end in (lambda transport, _client: transport.abort(), lambda _transport, client: client.close()):
        assert asyncio.run(shake_hands_and_end(end)) == []


@contextmanager
def no_more_files() -> Iterator[None]:
    """Within the block, no file can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/dev/null", os.O_RDONLY)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/browse", 200),
        ("/browse?ensemble=main&tree=tree", 200),
        ("/browse?ensemble=main&tree=nope", 404),
        ("/docs", 200),
        ("/docs/runbooks", 200),
        ("/docs/nothing", 404),
        ("/-/page.css", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/metrics", 200),
    ],
)
def test_pages_are_made_without_opening_files(path: str, status: int) -> None:
    known = EnsembleSource("main", Source(BUSY_CLIENT), {"tree": Znodes("/", {"/": STAT})})
    app = create_app(build_registry([known], "1"), [known], telemetry_path="/metrics", version="1")

    documents.renderer.cache_clear()

    def is_loaded() -> bool:
        return documents.renderer.cache_info().currsize == 1

    async def ask() -> int:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client,
        ):
            await asyncio.to_thread(eventually, is_loaded)
            assert (await client.get("/-/ready")).status_code == 200
            with no_more_files():
                return (await client.get(path)).status_code

    assert asyncio.run(ask()) == status
