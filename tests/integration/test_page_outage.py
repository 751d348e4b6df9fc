"""An open page without updates from the exporter says so and since when, and recovers when the exporter does."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from exporter.pages import live
from tests.integration.conftest import SHOWN_WITHIN
from tests.integration.processes import running_exporter
from tests.web.running import running

MISSED = re.compile(r"^No update from the exporter since 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC; ")
UNREACHABLE = "127.0.0.1:1"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without checks of the console, where Chromium reports a server that does not answer."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def expect_life(page: Page) -> None:
    expect(page.locator("html[data-live=yes]")).to_be_attached(timeout=SHOWN_WITHIN)
    expect(page.get_by_role("status")).to_have_text("")


def expect_silence(page: Page) -> str:
    expect(page.get_by_role("status")).to_have_text(MISSED, timeout=SHOWN_WITHIN)
    expect(page.locator("html[data-live=no]")).to_be_attached()
    return page.get_by_role("status").inner_text()


def announced(page: Page) -> Callable[[], list[str]]:
    """Records the texts of the status element from now on, which screen readers read aloud."""
    page.evaluate(
        """() => {
          window.announced = [];
          const place = document.querySelector("[role=status]");
          const note = () => announced.push(place.textContent);
          new MutationObserver(note).observe(place, {childList: true, characterData: true, subtree: true});
        }"""
    )
    return lambda: list(page.evaluate("announced"))


def test_a_stopped_exporter_closes_no_connection_and_is_missed(page: Page, tmp_path: Path) -> None:
    with running_exporter(tmp_path, UNREACHABLE, "/") as exporter:
        page.clock.install()
        page.goto(exporter.url)
        expect_life(page)
        said = announced(page)
        exporter.send_signal(signal.SIGSTOP)
        try:
            missed = expect_silence(page)
            # It is said once, regardless of the retries.
            for _ in range(3):
                with page.expect_request("**/-/events"):
                    page.clock.fast_forward(20_000)
                page.clock.fast_forward(20_000)
            assert said() == [missed]
        finally:
            exporter.send_signal(signal.SIGCONT)
        page.clock.fast_forward(20_000)
        expect_life(page)
        assert said() == [missed, ""]


def test_an_exporter_that_is_gone_comes_back(page: Page) -> None:
    with running() as server:
        page.goto(server.url)
        expect_life(page)
        page.evaluate("window.sameDocument = true")
    expect_silence(page)
    with running(port=server.port):
        expect_life(page)
        assert page.evaluate("window.sameDocument")


def test_a_refused_page_asks_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EventSource gives up after an answer that is not a stream, such as a proxy's 502 or our own 503."""
    monkeypatch.setattr(live, "PAGES", 1)
    with running() as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as other:
            other.sendall(b"GET /-/events HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in other.recv(65536)
            page.goto(server.url)
            expect_silence(page)
        expect_life(page)
