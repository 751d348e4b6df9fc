"""Asking: one question on a connection of its own, over TCP, TLS or HTTP, and the whole answer, bounded in bytes.

ZooKeeper closes the connection after it has answered a four-letter word. The time is bounded by the caller: each
function may be cancelled, and then closes its connection at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from exporter.servers.clock import clock_offset
from exporter.servers.failures import HUNG_UP, PollError
from exporter.servers.targets import Target

#: The maximum size of an answer in bytes. `mntr` has 20 KB, and half a kilobyte more for each znode below the root, by
#: which ZooKeeper counts reads and writes.
LIMIT = 4 * 1024 * 1024
#: The same of a list of connections: `cons` has 200 bytes for each, AdminServer 600, and JSON takes longer to read.
LIMIT_OF_CONS, LIMIT_OF_CONNECTIONS = 32 * 1024 * 1024, 8 * 1024 * 1024
_CHUNK = 64 * 1024
#: Seconds to connect to an address of a server that has another.
_CONNECTING = 1.0
#: Seconds that a server may take to close a connection after its answer.
_CLOSING = 0.5


class HttpAnswer(NamedTuple):
    """An answer over HTTP; `clock_offset` is None if its header `Date` is missing or malformed."""

    status: int
    body: bytes
    clock_offset: float | None


async def four_letter_word(target: Target, word: str, tls: ssl.SSLContext | None, limit: int | None = None) -> str:
    """The answer to a four-letter word, of at most `limit` bytes, by default LIMIT.

    Raises OSError if the server does not answer, PollError if the answer is too long.
    """
    async with _connected(target, target.port, tls) as (reader, writer):
        writer.write(word.encode())
        answer = bytearray()
        while chunk := await reader.read(_CHUNK):
            answer += chunk
            _check_size(answer, limit)
    return answer.decode(errors="replace")


async def http_get(target: Target, url: str, tls: ssl.SSLContext | None, limit: int | None = None) -> HttpAnswer:
    """The answer to a GET of `url` at the server, at most `limit` bytes (LIMIT); `tls` is for an https URL.

    Raises OSError if the server does not answer, PollError if the answer is too long or is not HTTP.
    """
    parts = urlsplit(url)
    is_https = parts.scheme == "https"
    request = h11.Request(
        method="GET",
        target=parts.path or "/",
        headers=[("Host", parts.netloc), ("Accept", "application/json"), ("Connection", "close")],
    )
    async with _connected(target, parts.port or (443 if is_https else 80), tls if is_https else None) as (
        reader,
        writer,
    ):
        connection, asked = h11.Connection(h11.CLIENT), time.time()
        try:
            writer.write(connection.send(request) + connection.send(h11.EndOfMessage()))
            return await _response(connection, reader, asked, limit)
        except h11.ProtocolError as error:
            raise PollError("other", f"the answer is not HTTP: {error}") from None


async def _response(
    connection: h11.Connection, reader: asyncio.StreamReader, asked: float, limit: int | None
) -> HttpAnswer:
    status, body, is_answering, offset = 0, bytearray(), False, None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            chunk = await reader.read(_CHUNK)
            if not chunk and not is_answering:
                raise PollError("not_serving", HUNG_UP)
            is_answering = True
            connection.receive_data(chunk)
        elif isinstance(event, h11.Response):
            status = event.status_code
            offset = clock_offset(dict(event.headers).get(b"date", b""), asked, time.time())
        elif isinstance(event, h11.Data):
            body += event.data
            _check_size(body, limit)
        elif not isinstance(event, h11.InformationalResponse):
            return HttpAnswer(status, bytes(body), offset)


def _check_size(answer: bytearray, limit: int | None) -> None:
    most = LIMIT if limit is None else limit
    if len(answer) > most:
        raise PollError("other", f"the answer has more than {most} bytes")


@contextlib.asynccontextmanager
async def _connected(
    target: Target, port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server, which is closed at the end of the block; after an error, without a farewell."""
    reader, writer = await _open(target, port, tls)
    try:
        yield reader, writer
        writer.close()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSING):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


async def _open(
    target: Target, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    *others, last = target.addresses
    for address in others:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CONNECTING):
                return await _open_at(address, target, port, tls)
    return await _open_at(last, target, port, tls)


async def _open_at(
    address: str, target: Target, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if tls is None:
        return await asyncio.open_connection(address, port, limit=_CHUNK)
    return await asyncio.open_connection(
        address, port, limit=_CHUNK, ssl=tls, server_hostname=target.host, ssl_shutdown_timeout=_CLOSING
    )
