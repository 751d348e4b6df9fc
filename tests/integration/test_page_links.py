"""Every link of every page works in a real Chromium, also behind proxies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.sync_api import Page, expect

from exporter.telemetry.sources import EnsembleSource
from tests import plainhttp
from tests.integration.conftest import SHOWN_WITHIN, OpenPage
from tests.pages.znodes import STAT, Znodes
from tests.telemetry.known import BUSY_CLIENT, Source
from tests.web.proxy import proxied
from tests.web.running import fresh, running

#: The prefix that the exporter serves below, and the path that a proxy shows instead; None for no proxy.
FRONTS = {
    "none": ("", None),
    "one that takes its path away": ("", "/zk"),
    "one that keeps its path": ("/zk", "/zk"),
    "one that has another path": ("/a", "/monitors/zk"),
}
_LINKS = """() => [
  ...[...document.querySelectorAll("a[href], link[href]")].map((one) => one.href),
  ...[...document.querySelectorAll("script[src]")].map((one) => one.src),
  ...[...document.forms].map((one) => one.action),
]"""


def known() -> EnsembleSource:
    """A tree of two znodes, and one that cannot be browsed."""
    tree = Znodes("/", dict.fromkeys(("/", "/a b?#%2f"), STAT))
    return EnsembleSource("main", Source(BUSY_CLIENT), {"tree": tree, "closed": Source(fresh())})


@contextlib.contextmanager
def fronted(prefix: str, public: str | None) -> Iterator[str]:
    """The URL of the first page."""
    with running(known(), prefix=prefix, expose_data=True) as server:
        if public is None:
            yield f"{server.url}{prefix}/"
            return
        with proxied(server.url, public, prefix) as url:
            yield f"{url}/"


def links(page: Page) -> set[str]:
    """The links of a page, without fragments."""
    found: list[str] = page.evaluate(_LINKS)
    return {urlunsplit(urlsplit(link)._replace(fragment="")) for link in found if not link.startswith("data:")}


def is_document(address: str) -> bool:
    return "/docs/" in address


@pytest.mark.parametrize("front", FRONTS)
def test_all_links_of_all_pages_lead_somewhere(front: str, open_page: OpenPage) -> None:
    with fronted(*FRONTS[front]) as first, plainhttp.Client() as client:
        page = open_page(first)
        expect(page.locator("html[data-live=yes]")).to_be_attached(timeout=SHOWN_WITHIN)
        left, seen = [first], {first}
        while left:
            address = left.pop()
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert address.startswith(first)
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            # The browser opens only one document; tests/pages/test_documents.py checks the links of all.
            if is_document(address) and not address.endswith("/runbooks"):
                continue
            page.goto(address)
            new = {link for link in links(page) if link.startswith(first) or not is_document(address)} - seen
            seen |= new
            left += new
        page.goto(first)
        page.get_by_role("link", name="tree", exact=True).click()
        field = page.get_by_label("Go to a path")
        field.fill("/a b?#%2f")
        field.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("/a b?#%2f")
        assert page.url.startswith(f"{first}browse?")
    visited = {urlsplit(address).path.removeprefix(urlsplit(first).path) for address in seen}
    assert visited >= {
        "",
        "browse",
        "docs",
        "docs/runbooks",
        "metrics",
        "-/healthy",
        "-/ready",
        "-/page.css",
        "-/page.js",
    }
    # Each znode was found.
    assert len([address for address in seen if "path=" in address and "view=hex" in address]) == 2
