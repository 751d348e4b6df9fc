"""Views of an ensemble's trees: a view is shown until the one that replaces it knows the whole tree."""

from __future__ import annotations

import threading

import pytest
from kazoo.client import KazooClient

from exporter.daemon.views import Views
from exporter.treecache import TreeCache
from exporter.treecache.view import View


class Knowing(View):
    is_known = False


@pytest.fixture
def cache() -> TreeCache:
    return TreeCache(KazooClient(), "/a")


def test_a_view_is_shown_until_the_next_one_knows_the_tree(cache: TreeCache) -> None:
    views, first, second = Views[Knowing](), Knowing(), Knowing()
    views.begin("/a", cache, first)
    first.is_known = True
    views.change("/a", cache, second)
    assert views.shown() == {"/a": first}
    second.is_known = True
    assert views.shown() == {"/a": second}


def test_one_that_never_knew_the_tree_is_not_shown_for_long(cache: TreeCache) -> None:
    """Two changes one after the other: the first view stays, not the one between."""
    views, first, second, third = Views[Knowing](), Knowing(), Knowing(), Knowing()
    views.begin("/a", cache, first)
    first.is_known = True
    views.change("/a", cache, second)
    views.change("/a", cache, third)
    assert views.shown() == {"/a": first}


def test_no_scrape_finds_a_tree_without_its_views(cache: TreeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape that comes while the cache gets its new view waits for it."""
    views, first, second, found = Views[Knowing](), Knowing(), Knowing(), []
    views.begin("/a", cache, first)
    first.is_known = True
    add = cache.add_view

    def scraped_meanwhile(view: Knowing) -> Knowing:
        scrape = threading.Thread(target=lambda: found.append(views.shown()))
        scrape.start()
        threads.append(scrape)
        return add(view)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(cache, "add_view", scraped_meanwhile)
    views.change("/a", cache, second)
    for thread in threads:
        thread.join()
    assert found == [{"/a": first}]


def test_one_that_fails_is_shown_at_once(cache: TreeCache) -> None:
    views, first, second = Views[Knowing](), Knowing(), Knowing()
    views.begin("/a", cache, first)
    views.change("/a", cache, second)
    second.failed(ValueError())
    assert views.shown() == {"/a": second}
    assert views.has_failed("/a")


def test_a_tree_may_have_none(cache: TreeCache) -> None:
    views, first = Views[Knowing](), Knowing()
    views.begin("/a", cache, first)
    views.change("/a", cache, None)
    assert views.shown() == {}
    assert not views.has_failed("/a")
