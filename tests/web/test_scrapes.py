"""Concurrent scrapes: all that wait for the same share one collection, which begins after they arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import Route

from exporter.web.scrapes import Scrapes
from tests import plainhttp


class Held(Collector):
    """Counts collections, and holds each until it is released."""

    def __init__(self) -> None:
        self.begun = 0
        self.release = threading.Event()

    def describe(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily("begun", "Collections."), GaugeMetricFamily("other", "Nothing.")]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.begun += 1
        begun = self.begun
        assert self.release.wait(30)
        yield GaugeMetricFamily("begun", "Collections.", value=begun)


def scrape(held: Held, conversation: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    registry = CollectorRegistry()
    registry.register(held)
    app = Starlette(routes=[Route("/metrics", Scrapes(registry).answer)])

    async def converse() -> None:
        transport = httpx.ASGITransport(app)
        async with plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client:
            await asyncio.wait_for(conversation(client), 30)

    asyncio.run(converse())


async def ask(client: httpx.AsyncClient, times: int, query: str = "") -> list[asyncio.Task[httpx.Response]]:
    asked = [asyncio.create_task(client.get(f"/metrics{query}")) for _ in range(times)]
    # Some turns of the loop, so that each request starts waiting.
    for _ in range(200):
        await asyncio.sleep(0)
    return asked


async def until_begun(held: Held, number: int) -> None:
    while held.begun < number:
        await asyncio.sleep(0.001)


def test_those_who_wait_share_a_collection_that_began_after_they_came() -> None:
    held = Held()

    async def conversation(client: httpx.AsyncClient) -> None:
        first = await ask(client, 1)
        await until_begun(held, 1)
        second = await ask(client, 1)
        await until_begun(held, 2)
        crowd = await ask(client, 100)
        held.release.set()
        assert [(await one).text.splitlines()[-1] for one in first + second] == ["begun 1.0", "begun 2.0"]
        assert {(await one).text.splitlines()[-1] for one in crowd} == {"begun 3.0"}

    scrape(held, conversation)


def test_those_who_select_samples_hold_up_no_whole_scrape() -> None:
    held = Held()

    async def conversation(client: httpx.AsyncClient) -> None:
        selecting = [one for number in range(40) for one in await ask(client, 1, f"?name[]=begun&name[]={number}")]
        await until_begun(held, 1)
        whole = await ask(client, 1)
        await until_begun(held, 2)
        held.release.set()
        assert (await whole[0]).status_code == 200
        statuses = [(await one).status_code for one in selecting]
        assert set(statuses) == {200, 503}

    scrape(held, conversation)


def test_a_failure_is_told_to_all_and_does_not_last() -> None:
    held = Held()

    async def conversation(client: httpx.AsyncClient) -> None:
        held.release.set()
        held.begun = None  # type: ignore[assignment]
        crowd = await ask(client, 3)
        assert [type(found) for found in await asyncio.gather(*crowd, return_exceptions=True)] == [TypeError] * 3
        held.begun = 0
        assert (await client.get("/metrics")).status_code == 200

    scrape(held, conversation)
