"""What is served where, and the state it tells of."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import httpx
import pytest

from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CacheStats
from exporter.web.app import create_app
from exporter.web.status import human_bytes, human_count
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, NEW_CACHE, NEW_CLIENT, Source, ensemble

T = TypeVar("T")


def talk(*ensembles: EnsembleSource, to: Callable[[httpx.AsyncClient], Awaitable[T]], telemetry: str = "/metrics") -> T:
    """What `to` finds out when it talks to the app about these ensembles."""
    app = create_app(build_registry(ensembles, "1.2.3"), ensembles, telemetry_path=telemetry, version="1.2.3")

    async def converse() -> T:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await to(client)

    return asyncio.run(converse())


def get(path: str, *ensembles: EnsembleSource, method: str = "GET", telemetry: str = "/metrics") -> httpx.Response:
    return talk(*(ensembles or [ensemble()]), to=lambda client: client.request(method, path), telemetry=telemetry)


def test_metrics() -> None:
    response = get("/metrics")
    assert response.status_code == 200
    assert "\nzookeeper_client_up{" in response.text


def test_metrics_under_another_path() -> None:
    assert get("/a/b", telemetry="/a/b").status_code == 200
    assert get("/metrics", telemetry="/a/b").status_code == 404
    assert 'href="/a/b"' in get("/", telemetry="/a/b").text


def test_healthy_whatever_the_state_of_zookeeper() -> None:
    response = get("/-/healthy", ensemble(client=NEW_CLIENT, cache=NEW_CACHE))
    assert (response.status_code, response.text) == (200, "Healthy.\n")


def test_not_ready_until_every_tree_had_its_first_load() -> None:
    trees = {"/a": Source(BUSY_CACHE), "/b": Source(NEW_CACHE), "/c": Source(NEW_CACHE)}
    response = get("/-/ready", EnsembleSource("main", Source(BUSY_CLIENT), trees))
    assert (response.status_code, response.text) == (503, "Loading: /b, /c.\n")


def test_ready_for_good_after_the_first_load() -> None:
    loading_again = replace(BUSY_CACHE, initialized=False)
    response = get("/-/ready", ensemble(client=replace(BUSY_CLIENT, state="lost"), cache=loading_again))
    assert (response.status_code, response.text) == (200, "Ready.\n")


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/-/", "/-/healthy/", "/favicon.ico"])
def test_unknown_paths(path: str) -> None:
    assert get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_methods(path: str, method: str) -> None:
    response = get(path, method=method)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head(path: str) -> None:
    assert get(path, method="HEAD").status_code == 200


def test_a_slow_collection_holds_up_nobody() -> None:
    asked, release = threading.Event(), threading.Event()

    class SlowCache:
        def stats(self) -> CacheStats:
            asked.set()
            assert release.wait(10)
            return BUSY_CACHE

    async def scrape_and_look_elsewhere(client: httpx.AsyncClient) -> tuple[int, int]:
        scrape = asyncio.create_task(client.get("/metrics"))
        await asyncio.to_thread(asked.wait, 10)
        healthy = await asyncio.wait_for(client.get("/-/healthy"), 10)
        assert not scrape.done()
        release.set()
        return healthy.status_code, (await scrape).status_code

    slow = EnsembleSource("main", Source(BUSY_CLIENT), {"/services": SlowCache()})
    assert talk(slow, to=scrape_and_look_elsewhere) == (200, 200)


def test_the_page_tells_the_state_of_each_tree() -> None:
    page = get("/", ensemble("main"), ensemble("new", NEW_CLIENT, NEW_CACHE)).text
    busy, new = page.split("<section>")[1:]
    for told in ("main", ">connected<", "zk1.example:2181", "10 s", "/services", ">initialized<", ">101<", ">104<"):
        assert told in busy
    assert "120.6 KiB" in busy
    for told in ("new", ">connecting<", "none granted", ">loading<", "0 B"):
        assert told in new


def test_the_page_links_to_the_others() -> None:
    page = get("/").text
    assert re.findall(r'<a href="([^"]+)">', page) == ["/metrics", "/-/healthy", "/-/ready"]
    assert "1.2.3" in page


def test_the_page_escapes_what_it_is_told() -> None:
    page = get("/", ensemble("<script>alert(1)</script>", cache=replace(BUSY_CACHE, path='/"><b>'))).text
    assert "<script" not in page
    assert "<b>" not in page


def test_the_page_may_load_nothing_but_its_own_style() -> None:
    response = get("/")
    (style,) = re.findall("<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}';")
    assert "&" not in style


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_572_864, "1.5 MiB"),
        (3 * 1024**4, "3.0 TiB"),
        (2048 * 1024**4, "2048.0 TiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_counts_for_people() -> None:
    assert human_count(1234567) == "1\u202f234\u202f567"
