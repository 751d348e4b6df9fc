"""Scrapes: answers at the telemetry path; one collection answers all scrapes that wait for the same samples.

Therefore concurrent scrapes cost no more than sequential ones, and each waits at most for the collection in progress
and the next one.
"""

from __future__ import annotations

import asyncio

import anyio.to_thread
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from exporter.pages.turns import TooManyError, Turns, too_many
from exporter.web.exposition import Wanted, exposition, wanted_by

#: Concurrent collections, and how many more may wait: more than there are formats.
_WHOLE = (2, 40)
#: The same limits for collections of selected samples: a client can request any number of these, and the limits keep
#: them from delaying the others.
_SELECTED = (1, 16)


class Scrapes:
    """Collects `registry` for each request, after it arrived, on a worker thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._whole, self._selected = Turns(*_WHOLE), Turns(*_SELECTED)
        # Collections that have not begun.
        self._next: dict[Wanted, asyncio.Task[bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """The answer to one request; 503 if too many different collections are requested."""
        wanted = wanted_by(request)
        collection = self._next.get(wanted)
        if collection is None:
            collection = self._next[wanted] = asyncio.create_task(self._collect(wanted))
        try:
            # Shielded: other requests may wait for the same collection.
            body = await asyncio.shield(collection)
        except TooManyError:
            return too_many()
        return Response(body, headers=wanted.headers)

    async def _collect(self, wanted: Wanted) -> bytes:
        try:
            async with (self._selected if wanted.names else self._whole).turn():
                # A scrape that arrives from now on needs a later collection.
                del self._next[wanted]
                return await anyio.to_thread.run_sync(exposition, self._registry, wanted)
        except TooManyError:
            del self._next[wanted]
            raise
