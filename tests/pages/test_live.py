"""Server-sent events: first everything, then changes, and the end when the server stops."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from exporter.pages import live, status
from exporter.pages.history import History
from exporter.pages.live import Live, TooManyPagesError
from exporter.pages.standing import Places
from exporter.telemetry.sources import EnsembleSource
from tests import plainhttp
from tests.support import eventually
from tests.telemetry.known import BUSY_CLIENT, Source
from tests.web.running import fresh, running


class Broadcast:
    """The messages about one busy tree, which the test may change."""

    def __init__(self) -> None:
        self.cache = Source(fresh())
        history = History([EnsembleSource("main", Source(BUSY_CLIENT), {"/services": self.cache})])
        self.live = Live(history.look, lambda: status.status(history, Places(100)))
        self.ending = asyncio.Event()

    async def __aenter__(self) -> Broadcast:
        self._task = asyncio.create_task(self.live.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def next_content(messages: AsyncIterator[str]) -> dict[str, Any]:
    """The content of the next message that has any."""
    while True:
        message = await asyncio.wait_for(anext(messages), 10)
        if message.startswith("data: ") and (content := json.loads(message.removeprefix("data: "))):
            assert message.endswith("\n\n")
            return dict(content)


def test_what_keeps_going_wrong_is_logged_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.001)
    looks = []

    def look() -> None:
        looks.append(1)
        raise RuntimeError("broken")

    async def fail_often() -> None:
        running = asyncio.create_task(Live(look, lambda: pytest.fail("no page is open")).run())
        while len(looks) < 20:
            await asyncio.sleep(0.01)
        running.cancel()

    with structlog.testing.capture_logs() as logged:
        asyncio.run(asyncio.wait_for(fail_often(), 10))
    assert [entry["log_level"] for entry in logged] == ["error"]


def test_everything_first_and_then_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.05)

    async def listen() -> None:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            first = await next_content(messages)
            assert {"outline", "cells", "changes"} <= set(first)
            texts = [cell.get("text") for cell in first["cells"].values()]
            assert "The tree is complete, and its changes arrive." in texts
            broadcast.cache.told = fresh(data_bytes=2048)
            for _ in range(100):
                content = await next_content(messages)
                changed = [cell.get("text") for cell in content.get("cells", {}).values()]
                if "2.0 KiB" in changed:
                    break
            assert "2.0 KiB" in changed
            assert "complete" not in changed
            assert "outline" not in content

    asyncio.run(listen())


def test_the_messages_end_with_the_server() -> None:
    async def listen() -> list[str]:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            await next_content(messages)
            broadcast.ending.set()
            return [message async for message in messages]

    assert asyncio.run(asyncio.wait_for(listen(), 10)) == []


@pytest.mark.long
def test_there_may_be_so_many_pages_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGES", 2)

    async def crowd() -> None:
        async with Broadcast() as broadcast:
            pages = [broadcast.live.open() for _ in range(2)]
            for page in pages:
                await next_content(page)
            with pytest.raises(TooManyPagesError):
                broadcast.live.open()
            await pages[0].aclose()  # type: ignore[attr-defined]
            await next_content(broadcast.live.open())

    asyncio.run(crowd())


@pytest.mark.starts
@pytest.mark.parametrize("end", ["close", "send no more"])
def test_a_closed_page_leaves_its_place_at_once(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(live, "PAGES", 1)
    # Nothing is written to the page, so a failed write cannot reveal that it is gone.
    monkeypatch.setattr(live, "PACE", 60)
    with running() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as page:
        page.sendall(b"GET /-/events HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while b"retry" not in answer:
            answer += page.recv(65536)
        events = f"{server.url}/-/events"
        with plainhttp.stream("GET", events) as another:
            assert another.status_code == 503
        if end == "close":
            page.close()
        else:
            page.shutdown(socket.SHUT_WR)

        def is_open() -> bool:
            with plainhttp.stream("GET", events) as another:
                return another.status_code == 200

        eventually(is_open)


def test_a_failing_look_is_logged_and_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.05)

    async def listen() -> None:
        async with Broadcast() as broadcast:
            messages = broadcast.live.open(broadcast.ending)
            await next_content(messages)
            broadcast.cache.told = None  # type: ignore[assignment]
            while not logged:
                await asyncio.sleep(0.01)
            broadcast.cache.told = fresh(data_bytes=2048)
            content = await next_content(messages)
            assert "2.0 KiB" in [cell.get("text") for cell in content["cells"].values()]

    with structlog.testing.capture_logs() as logged:
        asyncio.run(asyncio.wait_for(listen(), 10))
    assert {(one["event"], one["log_level"]) for one in logged} == {("status page not updated", "error")}
