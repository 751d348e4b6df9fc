"""The pages in a real Chromium, about a real ZooKeeper: what they show and update, and what they refuse to run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.retry import KazooRetry
from playwright.sync_api import expect

from exporter.config.settings import one_line
from exporter.daemon.faults import FaultMemory
from exporter.demo.server import ZooKeeperServer
from exporter.pages import routes
from exporter.pages.browser import PAGE
from exporter.pages.format import visible
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from exporter.zookeeper.session import Session
from tests.conftest import ZooKeeper
from tests.integration.conftest import SHOWN_WITHIN, OpenPage
from tests.telemetry.known import BUSY_CLIENT, NEW_CACHE, NEW_CLIENT, Source, ensemble
from tests.web.running import Running, fresh, loading, running

pytestmark = pytest.mark.long

HOSTILE = [
    "<script>alert(1)",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "a&b=c?d#e%2f",
    "\u202egnp.exe",
    "'",
    " a  b ",
]


@contextlib.contextmanager
def watched(hosts: str, *paths: str) -> Iterator[EnsembleSource]:
    """A real ensemble with these trees, in this process."""
    retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2)
    client = KazooClient(hosts=hosts, timeout=10, connection_retry=retry)
    session = Session.attach(client)
    caches = {path: TreeCache(client, path, create_root=False, freshness_interval=0.5) for path in paths}
    with contextlib.ExitStack() as started:
        started.callback(client.close)
        started.callback(client.stop)
        for cache in caches.values():
            started.enter_context(cache)
        client.start()
        for cache in caches.values():
            assert cache.wait_initialized(10)
        yield EnsembleSource("main", session, caches)


@contextlib.contextmanager
def served(hosts: str, *paths: str, expose_data: bool = False) -> Iterator[Running]:
    with watched(hosts, *paths) as source, running(source, expose_data=expose_data) as server:
        yield server


def browse(server: Running, path: str, tree: str = "/", **more: str) -> str:
    return f"{server.url}/browse?{urlencode({'ensemble': 'main', 'tree': tree, 'path': path, **more})}"


def test_the_page_follows_zookeeper_down_and_up(own_zookeeper: ZooKeeperServer, open_page: OpenPage) -> None:
    with served(own_zookeeper.hosts, "/") as server:
        page = open_page(server.url)
        page.evaluate("window.sameDocument = true")
        verdict = page.get_by_role("heading", level=1)
        recently = page.get_by_role("region", name="Recent changes")
        expect(verdict).to_have_text("The tree is complete, and its changes arrive.")
        expect(page.get_by_role("heading", level=2, name="main connected")).to_be_visible()

        own_zookeeper.kill()
        expect(page.get_by_role("heading", level=2, name="main connection suspended")).to_be_visible(
            timeout=SHOWN_WITHIN
        )
        expect(verdict).to_have_text("The ensemble is disconnected; showing the last known data.")
        expect(recently).to_contain_text("connection suspended")
        staleness = page.get_by_role("row").nth(1).get_by_role("cell").nth(3)
        for seconds in "24":
            at_least = re.compile(rf"≤ ([{seconds}-9]\.\d|\d\d) s")
            expect(staleness).to_contain_text(at_least, timeout=SHOWN_WITHIN)

        own_zookeeper.start()
        expect(verdict).to_have_text("The tree is complete, and its changes arrive.", timeout=SHOWN_WITHIN)
        expect(recently).to_contain_text(f"connected to {own_zookeeper.hosts}")
        expect(staleness).to_contain_text(re.compile(r"≤ [01]\.\d s"), timeout=SHOWN_WITHIN)
        assert page.evaluate("window.sameDocument")


def test_the_page_follows_the_tree(zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage) -> None:
    client.create("/a")
    with served(zookeeper.hosts, "/") as server:
        page = open_page(server.url)
        row = page.get_by_role("row").nth(1)
        expect(row).to_contain_text("2 persistent")
        client.create("/b", ephemeral=True)
        expect(row).to_contain_text("2 persistent, 1 ephemeral", timeout=SHOWN_WITHIN)


def test_the_page_tells_of_faults(open_page: OpenPage) -> None:
    memory = FaultMemory()
    with running(replace(ensemble(), faults={"/services": memory})) as server:
        page = open_page(server.url)
        faults = page.get_by_role("region", name="Recent faults")
        expect(faults).to_contain_text("No recent faults.")
        expect(page.locator("html[data-live=yes]")).to_be_attached(timeout=SHOWN_WITHIN)
        memory(NoAuthError("/<b>closed may not be read"))
        told = "main /services NoAuthError: /<b>closed may not be read"
        expect(faults.get_by_role("listitem")).to_contain_text(told, timeout=SHOWN_WITHIN)
        expect(faults.get_by_text("No recent faults")).to_be_hidden()


def test_the_worst_comes_first_and_needs_no_script(open_page: OpenPage) -> None:
    with running(ensemble("a fine one", cache=fresh()), ensemble("new", NEW_CLIENT, NEW_CACHE)) as server:
        page = open_page(server.url, java_script_enabled=False)
        expect(page.get_by_role("heading", level=1)).to_have_text("1 of 2 ensembles is connecting.")
        assert [" ".join(text.split()) for text in page.get_by_role("heading", level=2).all_inner_texts()] == [
            "new connecting",
            "a fine one connected",
            "Recent changes",
            "Recent faults",
        ]
        expect(page.get_by_role("progressbar")).to_have_count(1)


def test_a_tree_without_a_place_gets_one_when_it_is_worse(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "TREES_SHOWN", 2)
    trees = {name: Source(fresh(path=name)) for name in ("a", "b", "c")}
    with running(EnsembleSource("main", Source(BUSY_CLIENT), trees)) as server:
        page = open_page(server.url)
        page.evaluate("window.sameDocument = true")
        expect(page.get_by_role("rowheader")).to_have_text(["a", "b"])
        expect(page.get_by_role("link", name="1 more tree")).to_be_visible()
        trees["c"].told = loading(path="c")
        expect(page.get_by_role("heading", level=1)).to_have_text("c: loading.", timeout=SHOWN_WITHIN)
        # Reloads of the page are limited: none while it is new.
        page.evaluate("performance.now = () => 1e6")
        expect(page.get_by_role("rowheader").first).to_have_text("c", timeout=SHOWN_WITHIN)
        assert page.evaluate("window.sameDocument") is None
        page.get_by_role("link", name="1 more tree").click()
        expect(page.get_by_role("rowheader")).to_have_text(["a", "b"])
        page.get_by_role("link", name="The next 2").click()
        expect(page.get_by_role("rowheader")).to_have_text(["c"])


def test_the_verdict_is_read_out_when_it_changes(open_page: OpenPage) -> None:
    cache = Source(fresh())
    with running(EnsembleSource("main", Source(BUSY_CLIENT), {"/": cache})) as server:
        page = open_page(server.url)
        read_out = page.locator("h1[aria-live=polite]")
        expect(read_out).to_have_text("The tree is complete, and its changes arrive.")
        expect(page.locator("html[data-live=yes]")).to_be_attached(timeout=SHOWN_WITHIN)
        page.evaluate(
            """() => {
              window.changed = 0;
              const region = document.querySelector("h1[aria-live=polite]");
              new MutationObserver(() => changed++).observe(region, {childList: true, subtree: true});
            }"""
        )
        cache.told = loading()
        expect(read_out).to_have_text("/: loading.", timeout=SHOWN_WITHIN)
        cache.told = loading(data_bytes=2048)
        expect(page.get_by_role("row").nth(1)).to_contain_text("2.0 KiB", timeout=SHOWN_WITHIN)
        assert page.evaluate("changed") == 1


def test_what_to_do_is_one_click_away(open_page: OpenPage) -> None:
    cache = Source(fresh())
    with running(EnsembleSource("main", Source(BUSY_CLIENT), {"/": cache})) as server:
        page = open_page(server.url)
        expect(page.locator("html[data-live=yes]")).to_be_attached(timeout=SHOWN_WITHIN)
        runbooks = page.get_by_role("link", name="Runbook")
        expect(runbooks).to_have_count(0)
        cache.told = fresh(root="unreadable", unreadable_nodes=1)
        expect(runbooks).to_have_text(["Runbook: TreeCacheUnreadableNodes", "Runbook"], timeout=SHOWN_WITHIN)
        runbooks.first.click()
        section = page.get_by_role("heading", name="TreeCacheUnreadableNodes")
        expect(section).to_be_in_viewport()
        assert page.url == f"{server.url}/docs/runbooks#treecacheunreadablenodes"
        page.go_back()
        cache.told = fresh()
        expect(runbooks).to_have_count(0, timeout=SHOWN_WITHIN)


def test_names_are_text_whatever_they_are(zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage) -> None:
    for name in HOSTILE:
        client.create(f"/{name}", name.encode())
    with served(zookeeper.hosts, "/", *(f"/{name}" for name in HOSTILE), expose_data=True) as server:
        page = open_page(server.url)
        trees = {visible(f"/{name}") for name in HOSTILE}
        assert trees == set(page.get_by_role("rowheader").all_inner_texts()) - {"/"}
        page.get_by_role("link", name="/", exact=True).click()
        expect(page.get_by_role("rowheader")).to_have_count(len(HOSTILE))
        assert {visible(name) for name in HOSTILE} == set(page.get_by_role("rowheader").all_inner_texts())
        for name in HOSTILE:
            page.get_by_role("link", name=visible(name), exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(visible(f"/{name}"))
            expect(page.get_by_role("region", name="Data").locator("pre")).to_have_text(one_line(name))
            page.go_back()


def test_a_tree_is_browsed_level_by_level_with_the_keyboard(
    zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage
) -> None:
    client.create("/services/orders/i-1", b"10.0.0.1", makepath=True, ephemeral=True)
    with served(zookeeper.hosts, "/services") as server:
        page = open_page(server.url)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        for name in ("/services", "orders", "i-1"):
            page.get_by_role("link", name=name, exact=True).focus()
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("/services/orders/i-1")
        session = client.client_id[0]
        expect(page.get_by_role("main")).to_contain_text(f"session {session & 0xFFFF_FFFF_FFFF_FFFF:#x}")
        for told in ("ephemeral", "ago", "8 B", "data 0, children 0, ACL 0"):
            expect(page.get_by_role("main")).to_contain_text(told)
        assert "10.0.0.1" not in page.content()
        page.get_by_role("navigation", name="Path").get_by_role("link", name="/services").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("/services")


def test_data_is_shown_only_on_request(zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage) -> None:
    client.create("/a", b'{"port": 8080}')
    with served(zookeeper.hosts, "/") as server:
        assert "8080" not in open_page(browse(server, "/a")).get_by_role("main").inner_text()
    with served(zookeeper.hosts, "/", expose_data=True) as server:
        page = open_page(browse(server, "/a"))
        data = page.get_by_role("region", name="Data").locator("pre")
        expect(data).to_have_text('{"port": 8080}')
        page.get_by_role("link", name="json").click()
        expect(data).to_have_text('{\n  "port": 8080\n}')
        page.get_by_role("link", name="hex").click()
        expect(data).to_contain_text("00000000  7b 22 70 6f 72 74 22 3a 20 38 30 38 30 7d")


def test_many_children_come_in_pages(zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage) -> None:
    names = [f"task-{number:04}" for number in range(2 * PAGE + 10)]
    for result in [client.create_async(f"/{name}") for name in names]:
        result.get()
    with served(zookeeper.hosts, "/") as server:
        page = open_page(browse(server, "/"))
        expect(page.get_by_role("rowheader")).to_have_text(names[:PAGE])
        for start in (PAGE, 2 * PAGE):
            page.get_by_role("link", name=f"The next {PAGE}").click()
            expect(page.get_by_role("rowheader")).to_have_text(names[start : start + PAGE])
        assert not page.get_by_role("link", name="The next").count()


def test_a_path_is_found_by_its_beginning(zookeeper: ZooKeeper, client: KazooClient, open_page: OpenPage) -> None:
    for name in ("orders", "order-mails", "payments"):
        client.create(f"/services/{name}/node", makepath=True)
    with served(zookeeper.hosts, "/") as server:
        page = open_page(browse(server, "/"))
        field = page.get_by_label("Go to a path")
        field.fill("/services/order")
        field.press("Enter")
        expect(page.get_by_role("rowheader")).to_have_text(["order-mails", "orders"])
        field.fill("/services/payments/node")
        field.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("/services/payments/node")
        field.fill("/../etc")
        field.press("Enter")
        expect(page.get_by_role("main")).to_contain_text("No name starts with it")
