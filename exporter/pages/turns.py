"""Turns: limits the concurrent requests of a kind, so that many of one kind leave room for others.

Threads compete for one interpreter: more of them at once slow down each other and the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


class TooManyError(Exception):
    """The maximum number of requests is already waiting."""


class Turns:
    """Lets `at_once` requests run concurrently, in order of arrival, and `waiting` more wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._limit = at_once + waiting
        self._present = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a free slot and takes it. Raises TooManyError."""
        if self._present >= self._limit:
            raise TooManyError
        self._present += 1
        try:
            async with self._free:
                yield
        finally:
            self._present -= 1

    def taking(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Wraps `answer` to run on a worker thread, and to answer 503 when too many requests wait."""

        async def respond(request: Request) -> Response:
            try:
                async with self.turn():
                    # A request whose client is gone must not delay the others.
                    if any(ending.is_set() for ending in endings(request)):
                        return too_many()
                    return await anyio.to_thread.run_sync(answer, request)
            except TooManyError:
                return too_many()

        return respond


def endings(request: Request) -> tuple[asyncio.Event, ...]:
    """Events that are set when the server stops and when the client is gone; none if the server provides none."""
    found: tuple[asyncio.Event, ...] = request.scope.get("state", {}).get("endings", ())
    return found


def too_many() -> Response:
    """Asks the client to retry."""
    return PlainTextResponse("Too many concurrent requests.\n", status_code=503, headers={"Retry-After": "1"})
