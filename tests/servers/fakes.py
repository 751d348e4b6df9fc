"""Fakes: small servers for what real ones do not do, such as garbage, endless answers and silence."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from exporter.servers.targets import Target

Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Fake:
    """A server on a loopback port that answers as `behave` does, and remembers what it was asked."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.port = 0
        self.asked: list[bytes] = []
        #: Connections that are open now.
        self.open = 0

    @property
    def target(self) -> Target:
        """The server as a target."""
        return Target(f"127.0.0.1:{self.port}", "127.0.0.1", self.port, ("127.0.0.1",))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        self.open += 1
        try:
            first = await reader.read(4096)
            self.asked.append(first)
            await self.behave(first, writer)
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def faking(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Fake]:
    """A server for the duration of the block."""
    fake = Fake(behave)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()


def words(answers: Mapping[str, str | bytes]) -> Behaviour:
    """Answers four-letter words, and says of others that they are not in the whitelist."""

    async def behave(word: bytes, writer: asyncio.StreamWriter) -> None:
        answer = answers.get(word.decode(), f"{word.decode()} is not executed because it is not in the whitelist.\n")
        writer.write(answer if isinstance(answer, bytes) else answer.encode())
        await writer.drain()

    return behave


def http(body: bytes, status: str = "200 OK", headers: str = "") -> Behaviour:
    """Answers each request with this body."""

    async def behave(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        await writer.drain()

    return behave


async def silence(_first: bytes, _writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def hang_up(_first: bytes, writer: asyncio.StreamWriter) -> None:
    """Closes the connection at once."""
    writer.transport.abort()


async def endless(_first: bytes, writer: asyncio.StreamWriter) -> None:
    """Never stops answering."""
    while True:
        writer.write(b"zk_number\t1\n" * 10_000)
        await writer.drain()


async def trickle(_first: bytes, writer: asyncio.StreamWriter) -> None:
    """Sends a byte now and then, forever."""
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.02)
