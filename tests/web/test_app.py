"""What is served under which path, and the state that it shows."""

from __future__ import annotations

import asyncio
import html
import re
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from exporter.pages.browser import PAGE
from exporter.pages.format import visible
from exporter.pages.links import short_path
from exporter.pages.routes import TREES_SHOWN
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource, Fault, ServerStats
from exporter.treecache import Shard
from exporter.treecache.stats import CacheStats
from exporter.web.app import create_app
from exporter.zookeeper.stats import FAILURE_REASONS
from tests import plainhttp
from tests.pages.znodes import STAT, Znodes
from tests.servers.known import Servers, by_mntr
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, NEW_CACHE, NEW_CLIENT, Source, ensemble
from tests.web.running import fresh, loading

T = TypeVar("T")


def talk(*ensembles: EnsembleSource, to: Callable[[httpx.AsyncClient], Awaitable[T]], telemetry: str = "/metrics") -> T:
    """Runs `to` with a client of the app about these ensembles, and returns its result."""
    app = create_app(build_registry(ensembles, "1.2.3"), ensembles, telemetry_path=telemetry, version="1.2.3")

    async def converse() -> T:
        transport = httpx.ASGITransport(app)
        async with plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await to(client)

    return asyncio.run(converse())


def get(path: str, *ensembles: EnsembleSource, method: str = "GET", telemetry: str = "/metrics") -> httpx.Response:
    return talk(*(ensembles or [ensemble()]), to=lambda client: client.request(method, path), telemetry=telemetry)


def test_metrics() -> None:
    response = get("/metrics")
    assert response.status_code == 200
    assert "\nzookeeper_client_up{" in response.text


def test_the_servers_of_an_ensemble_are_on_the_page() -> None:
    down = ServerStats("<zk2>:2181", False, problem="mntr: connection refused")
    page = get("/", replace(ensemble(), servers=Servers(by_mntr("3.9.5", "leader"), down))).text
    table = page.partition("Servers of main")[2].partition("</table>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", table)
    assert [re.sub("(<[^>]*>)+", "|", row) for row in rows] == [
        "leader:2181|leader|3.9.5|4.04 ms, at most 36 ms|2|",
        "&lt;zk2&gt;:2181|no answer|mntr: connection refused|",
    ]
    assert "Servers of" not in get("/").text


def test_a_disconnected_ensemble_shows_why_attempts_to_connect_fail() -> None:
    attempts = {reason: number for number, reason in enumerate(FAILURE_REASONS, 1)}
    away = replace(BUSY_CLIENT, state="suspended", server=None, failed_attempts=attempts)
    page = html.unescape(get("/", ensemble(client=away)).text)
    assert (
        "none; attempts: name not resolved (1), refused (2), timed out (3), TLS failed (4), authentication failed (5), "
        "closed by the server, as without a quorum (6), failed (7)" in page
    )


def test_metrics_under_another_path() -> None:
    assert get("/a/b", telemetry="/a/b").status_code == 200
    assert get("/metrics", telemetry="/a/b").status_code == 404
    assert 'href="a/b"' in get("/", telemetry="/a/b").text


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/-/", "/-/healthy/", "/favicon.ico"])
def test_unknown_paths(path: str) -> None:
    assert get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_methods(path: str, method: str) -> None:
    response = get(path, method=method)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/-/events", "/-/page.css"])
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


def test_a_crowd_of_slow_requests_holds_up_nobody_else() -> None:
    release = threading.Event()

    class SlowCache(Source[CacheStats]):
        def get_data(self, _path: str, default: object = None) -> object:
            return default

        def get_children(self, _path: str, default: object = None) -> object:
            assert release.wait(30)
            return default

    async def look_elsewhere(client: httpx.AsyncClient) -> tuple[list[int], list[int]]:
        slow = [asyncio.create_task(client.get("/browse?ensemble=main&tree=/services&path=/x")) for _ in range(100)]
        await asyncio.wait(slow, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        paths = ("/-/healthy", "/-/ready", "/metrics", "/", "/docs")
        found = [(await asyncio.wait_for(client.get(path), 10)).status_code for path in paths]
        release.set()
        return found, [(await answer).status_code for answer in slow]

    known = EnsembleSource("main", Source(BUSY_CLIENT), {"/services": SlowCache(BUSY_CACHE)})
    elsewhere, slow = talk(known, to=look_elsewhere)
    assert elsewhere == [200] * 5
    assert set(slow) == {200, 503}
    assert slow.count(200) >= 40


def test_the_page_tells_the_state_of_each_tree() -> None:
    page = get("/", ensemble("main", cache=fresh()), ensemble("new", NEW_CLIENT, NEW_CACHE)).text
    new, busy = page.split("<section")[1:3]
    for told in (
        "main",
        ">connected<",
        "zk1.example:2181",
        ">10 s<",
        "/services",
        ">complete<",
        ">203<",
        "102 ephemeral",
    ):
        assert told in busy
    assert "120.6 KiB" in busy
    assert re.search(r">≤ \d\.\d s<", busy)
    assert "512 outstanding operations, 7 paths to read, 2 undelivered events" in busy
    for told in ("new", ">connecting<", "none granted", ">waiting for a connection<", "0 B"):
        assert told in new


def test_a_tree_without_recent_proof_is_stale() -> None:
    page = get("/", ensemble(cache=fresh(verified_at=time.time() - 300))).text
    assert ">/services: stale, last verified 5 min ago.<" in page
    assert 'href="docs/runbooks#treecachelag">Runbook: TreeCacheLag</a>' in page
    assert "verified in 12.5 ms" in page
    assert ">stale<" in page
    assert "≤ 5 min" in page


def test_a_tree_that_is_never_proven_becomes_stale() -> None:
    never = fresh(verified_at=0.0, stale_after=0.15)

    async def look_twice(client: httpx.AsyncClient) -> list[str]:
        first = (await client.get("/")).text
        await asyncio.sleep(0.2)
        return [first, (await client.get("/")).text]

    first, second = talk(ensemble(cache=never), to=look_twice)
    assert "The tree is complete, and its changes arrive." in first
    assert ">/services: stale, never verified.<" in second
    assert ">stale<" in second
    assert "never verified" in second
    # Freshness checks are off.
    on_demand = ensemble(cache=replace(never, stale_after=0.0))
    assert all("The tree is complete, and its changes arrive." in page for page in talk(on_demand, to=look_twice))


def test_what_is_stale_depends_on_the_tree() -> None:
    for stale_after, shown in ((20.0, ">stale<"), (40.0, ">complete<")):
        half_a_minute_ago = fresh(verified_at=time.time() - 30, stale_after=stale_after)
        assert shown in get("/", ensemble(cache=half_a_minute_ago)).text


class Faults:
    """A tree's faults, set by the test."""

    def __init__(self, *told: Fault) -> None:
        self._told = told

    def recent(self) -> Sequence[Fault]:
        return self._told


def test_the_page_tells_of_faults_the_latest_first() -> None:
    assert "No recent faults." in get("/").text
    first = Fault("NoAuthError: /<script>\u202e may not be read", 1200, 1_700_000_000)
    second = Fault("ValueError: no", 1, 1_700_000_060)
    page = get("/", replace(ensemble(), faults={"/services": Faults(first, second)})).text
    (faults,) = re.findall('<ol id="faults".*?</ol>', page, re.DOTALL)
    flood = "NoAuthError: /&lt;script&gt;\\u202e may not be read, and 1\u202f199 more like it<"
    assert re.findall(r"<b>main /services</b> <span>(.*?<)/span>", faults) == ["ValueError: no<", flood]


def test_the_page_shows_a_bounded_number_of_faults() -> None:
    trees = {f"/{number}": Faults(*[Fault("ValueError", 1, 1_700_000_000)] * 10) for number in range(100)}
    page = get("/", replace(ensemble(), faults=trees)).text
    assert 10 <= page.count("<span>ValueError</span>") <= 50


def test_the_page_links_to_the_others() -> None:
    page = get("/").text
    assert re.findall(r'<a href="([^"]*)">', page) == ["./", "metrics", "docs", "-/healthy", "-/ready"]
    assert 'href="../docs">Docs<' in get("/docs/runbooks").text
    assert "Dashboards" not in page
    assert "1.2.3" in page


@pytest.mark.parametrize("path", ["/", "/browse?ensemble=%3Cscript%3E&tree=%22%3E%3Cb%3E"])
def test_the_pages_escape_what_they_are_told(path: str) -> None:
    page = get(path, ensemble("<script>alert(1)</script>", cache=replace(BUSY_CACHE, path='/"><b>'))).text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "><b>" not in page


def test_the_pages_need_nothing_inline() -> None:
    page = get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r" on[a-z]+=", page)
    assert not re.search(r"<script(?! src=)", page)


def test_style_and_script_have_an_address_for_each_version() -> None:
    page = get("/").text
    for address, media_type in (("-/page.css", "text/css"), ("-/page.js", "text/javascript")):
        found = re.search(rf'"({address}\?[0-9a-f]{{12}})"', page)
        assert found
        response = get(f"/{found[1]}")
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert "immutable" in response.headers["cache-control"]
        assert len(response.text) > 1000


def test_the_page_links_to_the_dashboards() -> None:
    app = create_app(
        build_registry([], "1.2.3"),
        [],
        telemetry_path="/metrics",
        version="1",
        dashboard_url="https://g.example/?a=1&b=2",
    )

    assert '<a href="https://g.example/?a=1&amp;b=2">Dashboards</a>' in asyncio.run(asked(app, "/")).text


async def asked(app: Starlette, path: str) -> httpx.Response:
    async with plainhttp.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
        return await client.get(path)


def many_trees(number: int, **others: CacheStats) -> EnsembleSource:
    trees = {f"t{index:04}": fresh() for index in range(number)} | others
    return EnsembleSource("main", Source(BUSY_CLIENT), {name: Source(stats) for name, stats in trees.items()})


def test_more_trees_than_there_is_room_for() -> None:
    page = get("/", many_trees(300, zz=loading())).text
    assert ">zz: loading.<" in page
    assert page.count("<tr data-level=") == TREES_SHOWN
    assert re.search(r'<th scope="row">\s*zz\s*<', page)
    assert '<a href="browse?ensemble=main">101 more trees</a>' in page
    assert "All 300 trees are complete" in get("/", many_trees(300)).text


def test_every_tree_can_be_found() -> None:
    class CacheToLookInto(Source[CacheStats]):
        def get_data(self, _path: str, default: object = None) -> object:
            return default

        def get_children(self, _path: str, default: object = None) -> object:
            return default

    names = [f"t{index:04}" for index in range(450)] + ["a <b>"]
    source = EnsembleSource("main", Source(BUSY_CLIENT), {name: CacheToLookInto(BUSY_CACHE) for name in names})

    async def turn_over(client: httpx.AsyncClient) -> list[str]:
        seen, address = [], "browse?ensemble=main"
        while address:
            page = (await client.get(f"/{address}")).text
            assert "451 trees of main" in page
            seen += re.findall(r'<th scope="row"><a href="browse\?ensemble=main&amp;tree=[^"]*">([^<]*)</a>', page)
            following = re.search(r'rel="next" href="([^"]*)"', page)
            address = html.unescape(following[1]) if following else ""
        return seen

    assert [html.unescape(name) for name in talk(source, to=turn_over)] == sorted(names)
    beginning = get("/browse?ensemble=main&path=t044", source).text
    assert beginning.count('<th scope="row">') == 10
    assert "No name starts with it" in get("/browse?ensemble=main&path=%3Cscript%3E", source).text


@pytest.mark.parametrize("character", ["x", "<", "日", "\u202e"])
def test_pages_about_long_names_have_a_limit_and_lead_to_them(character: str) -> None:
    parent = "/" + "/".join([character * 1000] * 50)
    names = [f"{number:03}" + character * 10_000 for number in range(PAGE + 1)]
    tree = Znodes("/", dict.fromkeys((*_above(parent), *(f"{parent}/{name}" for name in names)), STAT))
    source = EnsembleSource("main", Source(BUSY_CLIENT), {"/": tree})

    async def follow(client: httpx.AsyncClient) -> list[str]:
        address = f"/browse?{urlencode({'ensemble': 'main', 'tree': '/', 'path': short_path(parent)})}"
        pages = [(await client.get(address)).text]
        links = [html.unescape(link) for link in re.findall('href="(browse[?][^"]*)"', pages[0])]
        assert max(map(len, links)) < 8192
        children = [link for link in links if parse_qs(urlsplit(link).query)["path"][0].count("/") == 51]
        assert len(children) == PAGE
        pages += [(await client.get(f"/{link}")).text for link in (children[7], links[-1])]
        return pages

    listed, child, following = talk(source, to=follow)
    assert len(listed) < 1024 * 1024
    assert "<h1" in child
    assert f"007{html.escape(visible(character * 10_000))}</pre>" in child
    assert len(re.findall('<th scope="row"', following)) == 1


def _above(path: str) -> list[str]:
    """A path and its ancestors."""
    names = path.split("/")[1:]
    return ["/", *("/" + "/".join(names[: length + 1]) for length in range(len(names)))]


def test_an_ensemble_that_there_is_not() -> None:
    for query in ("ensemble=%3Cb%3E", "tree=/services", "ensemble=nope&path=/"):
        assert get(f"/browse?{query}").status_code == 404


def test_without_an_ensemble_the_trees_of_all_are_listed() -> None:
    known = [ensemble("main"), ensemble("a <b>"), many_trees(450)]
    page = get("/browse", replace(known[2], name="many"), *known[:2]).text
    assert "<h1>452 trees of 3 ensembles</h1>" in page
    assert page.count('<th scope="row">') == TREES_SHOWN // 3 + 2
    for link in ("browse?ensemble=many", "browse?ensemble=a+%3Cb%3E", "browse?ensemble=many&amp;path=&amp;after=t0065"):
        assert f'href="{link}"' in page
    found = get("/browse?path=/serv", known[0], replace(known[2], name="many")).text
    assert found.count('<th scope="row">') == 1
    assert "No name starts with it" in found
    assert "<h1>0 trees of 0 ensembles</h1>" in talk(to=lambda client: client.get("/browse")).text


def test_the_pages_tell_which_share_this_is() -> None:
    for shard, told in ((Shard(2, 4), True), (Shard(), False), (None, False)):
        app = create_app(build_registry([], "1"), [], telemetry_path="/metrics", version="1", shard=shard)
        for path in ("/", "/docs", "/docs/runbooks"):
            page = asyncio.run(asked(app, path)).text
            assert ("shard 2 of 4" in page) is told
            assert ("shard" in page.partition("<main")[0]) is told


def test_a_tree_that_there_is_not() -> None:
    response = get("/browse?ensemble=main&tree=/nope")
    assert response.status_code == 404
    assert "The ensemble main has no tree /nope." in response.text
