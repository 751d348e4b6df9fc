"""Server-sent events: everything first, then what changed, and an end when the server ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter.telemetry.sources import EnsembleSource
from exporter.web import live, status
from exporter.web.history import History
from exporter.web.live import Live, TooManyPagesError
from tests.telemetry.known import BUSY_CLIENT, Source
from tests.web.running import fresh


class Broadcast:
    """The messages about one busy tree, which the test may change."""

    def __init__(self) -> None:
        self.cache = Source(fresh())
        history = History([EnsembleSource("main", Source(BUSY_CLIENT), {"/services": self.cache})])
        self.live = Live(history.look, lambda: status.status(history))
        self.ending = asyncio.Event()

    async def __aenter__(self) -> Broadcast:
        self._task = asyncio.create_task(self.live.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def next_told(messages: AsyncIterator[str]) -> dict[str, Any]:
    """What the next message that says anything tells."""
    while True:
        message = await asyncio.wait_for(anext(messages), 10)
        if message.startswith("data: ") and (told := json.loads(message.removeprefix("data: "))):
            assert message.endswith("\n\n")
            return dict(told)


def test_everything_first_and_then_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.05)

    async def listen() -> None:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            first = await next_told(messages)
            assert {"outline", "cells", "changes"} <= set(first)
            texts = [cell.get("text") for cell in first["cells"].values()]
            assert "The tree is complete, and its changes arrive." in texts
            broadcast.cache.told = fresh(data_bytes=2048)
            for _ in range(100):
                told = await next_told(messages)
                changed = [cell.get("text") for cell in told.get("cells", {}).values()]
                if "2.0 KiB" in changed:
                    break
            assert "2.0 KiB" in changed
            assert "complete" not in changed
            assert "outline" not in told

    asyncio.run(listen())


def test_the_messages_end_with_the_server() -> None:
    async def listen() -> list[str]:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            await next_told(messages)
            broadcast.ending.set()
            return [message async for message in messages]

    assert asyncio.run(asyncio.wait_for(listen(), 10)) == []


def test_there_may_be_so_many_pages_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGES", 2)

    async def crowd() -> None:
        async with Broadcast() as broadcast:
            pages = [broadcast.live.open(None) for _ in range(2)]
            for page in pages:
                await next_told(page)
            with pytest.raises(TooManyPagesError):
                broadcast.live.open(None)
            await pages[0].aclose()  # type: ignore[attr-defined]
            await next_told(broadcast.live.open(None))

    asyncio.run(crowd())


def test_a_failing_look_is_logged_and_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.05)

    async def listen() -> None:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            await next_told(messages)
            broadcast.cache.told = None  # type: ignore[assignment]
            await asyncio.sleep(0.2)
            broadcast.cache.told = fresh(data_bytes=2048)
            await next_told(messages)

    asyncio.run(listen())
