"""Scrapes: answers at the telemetry path, those that wait for the same with one collection.

So a crowd of them costs no more than one after the other, and keeps nobody waiting for longer than a collection takes
that is under way, and the next.
"""

from __future__ import annotations

import asyncio

import anyio.to_thread
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from exporter.pages.turns import TooManyError, Turns, too_many
from exporter.web.exposition import Wanted, exposition, wanted_by

#: Collections at the same time, and how many more may wait: more than there are formats.
_WHOLE = (2, 40)
#: The same for those of some samples, by any number of names, which must not hold up the others.
_SELECTED = (1, 16)


class Scrapes:
    """Collects `registry` for each request, after the request came, on a worker thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._whole, self._selected = Turns(*_WHOLE), Turns(*_SELECTED)
        # Collections that have not begun.
        self._next: dict[Wanted, asyncio.Task[bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """The answer to one request, 503 when too many ask for too many different things."""
        wanted = wanted_by(request)
        collection = self._next.get(wanted)
        if collection is None:
            collection = self._next[wanted] = asyncio.create_task(self._collect(wanted))
        try:
            # Others may wait for the same.
            body = await asyncio.shield(collection)
        except TooManyError:
            return too_many()
        return Response(body, headers=wanted.headers)

    async def _collect(self, wanted: Wanted) -> bytes:
        try:
            async with (self._selected if wanted.names else self._whole).turn():
                # A scrape that comes from now on must see what happens from now on.
                del self._next[wanted]
                return await anyio.to_thread.run_sync(exposition, self._registry, wanted)
        except TooManyError:
            del self._next[wanted]
            raise
