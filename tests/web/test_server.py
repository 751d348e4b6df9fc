"""What the HTTP server sends and refuses without the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from exporter.config.settings import ListenAddress
from exporter.web.listening import base_url, listen
from exporter.web.server import serving
from tests import plainhttp

pytestmark = pytest.mark.starts

T = TypeVar("T")


def greet(_request: Request) -> Response:
    return PlainTextResponse("hello")


def talk(to: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """Runs `to` with a client of a server whose app sends a greeting, and returns its result."""

    async def converse() -> T:
        listener = listen(ListenAddress("127.0.0.1", 0))
        async with (
            serving(Starlette(routes=[Route("/", greet)]), [listener]),
            plainhttp.AsyncClient(base_url=base_url(listener)) as client,
        ):
            return await to(client)

    return asyncio.run(converse())


def test_it_serves() -> None:
    assert talk(lambda client: client.get("/")).text == "hello"


def test_head_has_the_headers_alone() -> None:
    response = talk(lambda client: client.head("/"))
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "5", b"")


def test_it_does_not_tell_what_it_runs_on() -> None:
    assert "server" not in talk(lambda client: client.get("/")).headers


def test_headers_without_end_are_refused() -> None:
    async def send_headers(client: httpx.AsyncClient) -> bytes:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nX-Huge: " + b"x" * 20_000)
        answer = await reader.readline()
        writer.close()
        return answer

    assert talk(send_headers).startswith(b"HTTP/1.1 400 ")


def test_a_connection_that_stays_open_does_not_hold_up_the_end() -> None:
    async def serve_and_end() -> None:
        listener = listen(ListenAddress("127.0.0.1", 0))
        async with serving(Starlette(), [listener]):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\n")
            await writer.drain()
        writer.close()

    asyncio.run(asyncio.wait_for(serve_and_end(), 5))


@pytest.mark.parametrize("answers_first", [False, True], ids=["no answer", "half an answer"])
def test_a_request_that_does_not_end_is_cut_without_an_error(
    caplog: pytest.LogCaptureFixture, answers_first: bool
) -> None:
    begun = asyncio.Event()

    async def answer_never(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Starlette()(scope, receive, send)
            return
        if answers_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        begun.set()
        # It does not even notice that its client is gone.
        await asyncio.Event().wait()

    async def serve_and_end() -> None:
        listener = listen(ListenAddress("127.0.0.1", 0))
        async with serving(answer_never, [listener]):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.wait()
        writer.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(asyncio.wait_for(serve_and_end(), 60))
    assert not caplog.records
