"""A real Chromium, and pages in it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

#: Milliseconds within which a page must show a change.
SHOWN_WITHIN = 15_000

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without its sandbox, Chromium also runs as root and in containers.
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages, which must not log errors, contact other hosts or open dialogs. Options are a browser context's."""
    complaints: list[str] = []
    with contextlib.ExitStack() as contexts:

        def open_one(url: str, **options: Any) -> Page:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: complaints.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            page.on("request", lambda request: complaints.extend(foreign(request.url, url)))
            page.goto(url)
            return page

        yield open_one
    assert not complaints


def foreign(requested: str, page: str) -> list[str]:
    """A request to another host than the page's."""
    is_own = urlsplit(requested).netloc == urlsplit(page).netloc or requested.startswith("data:")
    return [] if is_own else [f"request: {requested}"]
