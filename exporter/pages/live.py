"""Live: sends changes to all open pages as server-sent events, with one look for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio.to_thread
import structlog

from exporter.pages.status import Status, as_json, differences
from exporter.process.repetitions import FAULT_INTERVAL, Repetitions

#: Seconds between two looks, and two messages to an open page.
PACE = 1.0
#: Pages that may be open at once, however many the server in front lets in.
PAGES = 256

log = structlog.stdlib.get_logger("exporter.web")


class TooManyPagesError(Exception):
    """The maximum number of pages is open."""


class Live:
    """Looks every second, and sends the changes to open pages.

    `look` keeps the history going while no page is open; `status` does that too, and costs a little more.
    """

    def __init__(self, look: Callable[[], object], status: Callable[[], Status]) -> None:
        self._look = look
        self._status = status
        self._sent: dict[str, Any] = {}
        self._number = 0
        self._latest = ""
        self._next: asyncio.Future[None] | None = None
        self._pages = 0
        self._failures = Repetitions(FAULT_INTERVAL)

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                if self._pages:
                    self._send(await anyio.to_thread.run_sync(self._status))
                else:
                    await anyio.to_thread.run_sync(self._look)
            except Exception as error:
                held_back = self._failures.admit(repr(error))
                if held_back is not None:
                    log.exception("status page not updated", held_back=held_back)
            await asyncio.sleep(PACE)

    def open(self, *endings: asyncio.Event) -> AsyncIterator[str]:
        """The messages for one page, until one of `endings` is set. Raises TooManyPagesError."""
        if self._pages >= PAGES:
            raise TooManyPagesError
        return self._messages(endings)

    async def _messages(self, endings: Sequence[asyncio.Event]) -> AsyncIterator[str]:
        self._pages += 1
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(ending.wait()) for ending in endings]
        number = -1
        try:
            yield "retry: 1000\n\n"
            while True:
                await asyncio.wait([*ends, self._next_one()], return_when=asyncio.FIRST_COMPLETED)
                if any(ending.is_set() for ending in endings):
                    return
                # A page that missed a message gets everything.
                yield self._latest if number == self._number - 1 else _message(self._sent)
                number = self._number
        finally:
            for end in ends:
                end.cancel()
            self._pages -= 1

    def _send(self, status: Status) -> None:
        current: dict[str, Any] = {
            "outline": status.outline(),
            "cells": status.cells(),
            "changes": as_json(status.changes),
            "faults": as_json(status.faults),
        }
        new = dict(differences(self._sent, current))
        if "cells" in new:
            new["cells"] = dict(differences(self._sent.get("cells", {}), current["cells"]))
        self._sent, self._number, self._latest = current, self._number + 1, _message(new)
        waiting, self._next = self._next, None
        if waiting is not None:
            waiting.set_result(None)

    def _next_one(self) -> asyncio.Future[None]:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next


def _message(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"
