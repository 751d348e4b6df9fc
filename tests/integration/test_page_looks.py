"""The layout of the pages in every state, wide and narrow: nothing overlaps or is cut off, and axe finds no problem."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from kazoo.protocol.states import ZnodeStat
from playwright.sync_api import Browser, Page

from exporter.daemon.faults import FaultMemory
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.outcome import Event
from exporter.treecache.stats import CacheStats
from exporter.views.rules.rule import Rule
from exporter.views.rules.view import RulesView
from tests.simulation.znodes import Znode
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, NEW_CACHE, NEW_CLIENT, Source
from tests.web.running import Running, fresh, loading, running

pytestmark = pytest.mark.long

SIZES = [("dark", 1280), ("light", 390), ("light", 320)]
LONG = "a-rather-long-name-of-a-znode-" + "x" * 80
STAT = ZnodeStat(1, 2, 1_700_000_000_000, 1_700_000_000_000, 0, 0, 0, 0x1234, 12, 2, 1)


class Tree(Source[CacheStats]):
    """A tree that can be browsed: a root with data, and a child with a long name."""

    def get_data(self, path: str, _default: Any = None) -> Any:
        return NodeData.make(path, b'{"port": 8080, "long": "%s"}' % (b"x" * 300), STAT)

    def get_children(self, path: str, default: Any = None) -> Any:
        root = self.told.path
        return frozenset([LONG, "short"]) if path == root else frozenset() if path.startswith(root) else default


def ensembles() -> Iterator[EnsembleSource]:
    """Every state of a connection and of a tree."""
    never = fresh(state="disconnected", initialized=False, events=dict.fromkeys(BUSY_CACHE.events, 0), root="unknown")
    cut_off = fresh(path="/configuration/of/everything", state="disconnected")
    states = {
        "connected": {
            "/services": fresh(),
            LONG: fresh(path=f"/{LONG}/{LONG}"),
            "/stale": fresh(verified_at=time.time() - 1e6, oldest_operation_age=1e5),
            "/loading": loading(),
            "/failed": fresh(state="failed", initialized=False, failure="MemoryError"),
            "/closed-to-us": fresh(root="unreadable", unreadable_nodes=123_456, undelivered_for=1e5),
            "/in-part": fresh(unreadable_nodes=123_456),
            "/gone": fresh(root="missing", nodes=dict.fromkeys(BUSY_CACHE.nodes, 0)),
        },
        "connecting": {"/production/services/of/the/shop": NEW_CACHE},
        "connected_ro": {"/read-only": fresh(state="catching_up")},
        "suspended": {"/configuration/of/everything": cut_off, "/never": never},
        "lost": {"never": never},
    }
    for state, trees in states.items():
        client = NEW_CLIENT if state == "connecting" else replace(BUSY_CLIENT, state=state)
        faults = FaultMemory()
        faults(ValueError(f"/{LONG} cannot be read"))
        yield EnsembleSource(
            f"the-{state}",
            Source(client),
            {name: Tree(told) for name, told in trees.items()},
            faults={"/": faults},
            views={name: rules() for name in list(trees)[:2]},
        )


def rules() -> RulesView:
    """Rules with one series, several, none, and znodes that they cannot use."""
    matches = {"one": "/**/a", "several": "/**/{name}", "none": "/nothing", LONG.replace("-", "_"): "/**/{name}"}
    view = RulesView([Rule(name=name, match=match, value="number", max_series=2) for name, match in matches.items()])
    znodes = {"a": b"1", "b": b"2", "c": b"3", LONG: b"word", "word": b"word"}
    view.changed(
        [Event(TreeEvent.NODE_ADDED, f"/{name}", Znode(data, 2, 2, 2).record) for name, data in znodes.items()]
    )
    view.complete()
    return view


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(*ensembles(), expose_data=True, shard=Shard(2, 4)) as one:
        yield one


def addresses(server: Running) -> dict[str, str]:
    def browse(**query: str) -> str:
        return f"{server.url}/browse?{urlencode({'ensemble': 'the-connected', **query})}"

    return {
        "status": server.url,
        "znode": browse(tree="/services"),
        "json": browse(tree="/services", view="json"),
        "hex": browse(tree="/services", view="hex"),
        "nothing": browse(tree="/services", path="/services/nothing"),
        "trees": browse(),
        "missing": browse(tree=LONG + LONG),
        "docs": f"{server.url}/docs",
        "runbooks": f"{server.url}/docs/runbooks",
        "metrics": f"{server.url}/docs/metrics",
        "configuration": f"{server.url}/docs/configuration",
        "no document": f"{server.url}/docs/nothing",
    }


#: Text outside its own cell, on another cell's text, or so wide that the page scrolls sideways.
MISPLACED = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} wide`);
  const texts = (cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return [...range.getClientRects()].filter((rect) => rect.width > 1 && rect.height > 1);
  };
  const isHidden = (cell) => getComputedStyle(cell.closest("thead, table") || cell).clipPath !== "none";
  for (const cell of document.querySelectorAll("h1, h2, th, td, dt, dd, li, header p, header nav, #live")) {
    const box = cell.getBoundingClientRect();
    if (isHidden(cell) || box.width < 2) continue;
    for (const text of texts(cell))
      if (text.left < box.left - 1 || text.right > box.right + 1 || text.bottom > box.bottom + 3)
        found.push(`${cell.textContent.trim().slice(0, 60)} sticks out of its ${cell.tagName}`);
  }
  for (const row of document.querySelectorAll("tr, .facts, header, .changes li")) {
    const cells = [...row.children].map((cell) => [cell, texts(cell)]);
    cells.forEach(([one, ones], index) => {
      for (const [other, others] of cells.slice(index + 1))
        if (ones.some((a) => others.some((b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1
            && b.top < a.bottom - 1)))
          found.push(`${one.textContent.trim().slice(0, 40)} overlaps ${other.textContent.trim().slice(0, 40)}`);
    });
  }
  return [...new Set(found)];
}"""


@pytest.fixture(params=SIZES, ids=lambda size: "-".join(map(str, size)))
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """An empty page of each size, without checks of the console, where Chromium reports answers with status 404."""
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    yield context.new_page()
    context.close()


def test_everything_is_in_its_place_and_everyone_can_use_it(server: Running, page: Page) -> None:
    for name, url in addresses(server).items():
        page.goto(url)
        assert page.evaluate(MISPLACED) == [], name
        assert violations(page) == [], name


def test_so_it_is_while_the_exporter_is_missed(server: Running, page: Page) -> None:
    page.goto(server.url)
    page.evaluate("reconnect(); clearTimeout(timer)")
    assert "No update from the exporter" in page.get_by_role("status").inner_text()
    assert page.evaluate(MISPLACED) == []
    assert violations(page) == []


def violations(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [(violation["id"], violation["nodes"][0]["html"]) for violation in found]
