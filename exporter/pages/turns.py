"""Turns: how many requests of a kind are worked on at the same time, so that a crowd of one kind leaves others room.

Threads compete for one interpreter: more of them at once make each slower, and with it the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


class TooManyError(Exception):
    """As many wait for their turn as may."""


class Turns:
    """Lets `at_once` work at the same time, in the order in which they came, and so many more wait for that."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._limit = at_once + waiting
        self._present = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until there is room, and takes it. Raises TooManyError."""
        if self._present >= self._limit:
            raise TooManyError
        self._present += 1
        try:
            async with self._free:
                yield
        finally:
            self._present -= 1

    def taking(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """What gives the same answers from a worker thread, or with status 503 when there are too many."""

        async def respond(request: Request) -> Response:
            try:
                async with self.turn():
                    # A page that nobody waits for any more must not keep those who do waiting.
                    if any(ending.is_set() for ending in endings(request)):
                        return too_many()
                    return await anyio.to_thread.run_sync(answer, request)
            except TooManyError:
                return too_many()

        return respond


def endings(request: Request) -> tuple[asyncio.Event, ...]:
    """What is set when the server is to end, and when the client is gone; nothing where the server says neither."""
    found: tuple[asyncio.Event, ...] = request.scope.get("state", {}).get("endings", ())
    return found


def too_many() -> Response:
    """Asks a client to come again."""
    return PlainTextResponse("Too many requests at the same time.\n", status_code=503, headers={"Retry-After": "1"})
