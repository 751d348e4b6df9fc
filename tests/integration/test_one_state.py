"""Page, probes and metrics agree in every state of a real ZooKeeper, and none says too early that all is well."""

from __future__ import annotations

import contextlib
import html
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kazoo.client import KazooClient
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl
from prometheus_client.parser import text_string_to_metric_families

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from exporter.pages import conditions
from exporter.telemetry.sources import EnsembleSource
from exporter.web import probes
from exporter.zookeeper.session import Session
from tests import plainhttp
from tests.conftest import ZooKeeper, connected
from tests.support import eventually
from tests.web.running import Running, running

ROOT = "/app"
OWNER = ("digest", "owner:secret")
CLOSED = [make_digest_acl("owner", "secret", all=True)]
COMPLETE = "The tree is complete, and its changes arrive."
#: Seconds within which all of them must agree.
WITHIN = 60.0


@dataclass(frozen=True)
class Said:
    """What page, probes and metrics say at about the same moment."""

    headline: str
    tree: str
    healthy: tuple[int, str]
    ready: tuple[int, str]
    state: str
    root: str
    unreadable: float


@dataclass(frozen=True)
class Watched:
    """A tree of four znodes at /app, its cache, and the page, probes and metrics about it."""

    cache: TreeCache
    server: Running
    owner: KazooClient

    def said(self) -> Said:
        """Asks all of them."""
        page = plainhttp.get(self.server.url, timeout=30).text
        healthy, ready = (plainhttp.get(f"{self.server.url}/-/{name}", timeout=30) for name in ("healthy", "ready"))
        families = text_string_to_metric_families(plainhttp.get(f"{self.server.url}/metrics", timeout=30).text)
        samples = [sample for family in families for sample in family.samples]

        def one(name: str) -> str:
            return next(s.labels["state"] for s in samples if s.name == name and s.value == 1)

        return Said(
            headline=_text(r'<h1[^>]*><span[^>]*class="state"[^>]*>([^<]*)<', page),
            tree=_text(r'data-label="State"><span[^>]*>([^<]*)<', page),
            healthy=(healthy.status_code, healthy.text),
            ready=(ready.status_code, ready.text),
            state=one("zookeeper_cache_state"),
            root=one("zookeeper_cache_root_state"),
            unreadable=next(s.value for s in samples if s.name == "zookeeper_cache_unreadable_nodes"),
        )

    def expect(self, headline: str, tree: str, line: str, *, ready: int = 200, healthy: int = 200) -> Said:
        """Waits until all of them say this at the same time."""

        def agreed() -> Said:
            said = self.said()
            assert re.fullmatch(headline, said.headline), said
            assert re.fullmatch(tree, said.tree), said
            assert said.ready[0] == ready, said
            assert said.healthy[0] == healthy, said
            assert said.state == line.split(", ")[0], said
            for _, text in (said.ready, said.healthy):
                assert f"main {ROOT}: {line}" in text.splitlines(), said
            return said

        return eventually(agreed, timeout=WITHIN, interval=0.1)

    def expect_complete(self) -> None:
        """Waits until all of them say that all is well."""
        said = self.expect(COMPLETE, "complete", "in_sync")
        assert (said.root, said.unreadable) == ("readable", 0), said


def _text(pattern: str, page: str) -> str:
    found = re.search(pattern, page)
    assert found is not None, page
    return html.unescape(found[1])


@contextlib.contextmanager
def watching(hosts: str) -> Iterator[Watched]:
    reader = KazooClient(hosts, timeout=10)
    session = Session.attach(reader)
    with connected(hosts, auth_data=[OWNER]) as owner, contextlib.ExitStack() as stack:
        for path in (ROOT, f"{ROOT}/a", f"{ROOT}/a/b", f"{ROOT}/c"):
            owner.create(path)
        cache = TreeCache(reader, ROOT, create_root=False, freshness_interval=0.5, audit_interval=0.2)
        cache.listen(lambda event: None)
        stack.callback(reader.close)
        stack.callback(reader.stop)
        stack.enter_context(cache)
        reader.start()
        assert cache.wait_initialized(30)
        server = stack.enter_context(running(EnsembleSource("main", session, {ROOT: cache})))
        yield Watched(cache, server, owner)


@pytest.fixture
def watched(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    # A change of an ACL triggers no watch.
    monkeypatch.setattr("exporter.treecache.cache._POLL_INTERVAL", 0.2)
    with watching(zookeeper.hosts) as one:
        one.expect_complete()
        yield one
        one.expect_complete()


@pytest.mark.parametrize(
    ("closed", "headline", "tree", "line", "root"),
    [
        pytest.param(
            ["/a/b"],
            "/app: 1 of 4 znodes unreadable.",
            "1 of 4 znodes unreadable",
            "in_sync, many znodes unreadable",
            "readable",
            id="one",
        ),
        pytest.param(
            [""],
            "/app: root is unreadable.",
            "root unreadable",
            "in_sync, root unreadable",
            "unreadable",
            id="root",
        ),
        pytest.param(
            ["", "/a", "/a/b", "/c"],
            "/app: root is unreadable. /app: 4 of 4 znodes unreadable.",
            "root unreadable, 4 of 4 znodes unreadable",
            "in_sync, root unreadable, znodes unreadable",
            "unreadable",
            id="all",
        ),
    ],
)
def test_znodes_are_closed_and_opened(
    watched: Watched, closed: list[str], headline: str, tree: str, line: str, root: str
) -> None:
    for path in closed:
        watched.owner.set_acls(ROOT + path, CLOSED)
    said = watched.expect(headline, tree, line)
    assert (said.root, said.unreadable) == (root, len(closed))
    browsed = plainhttp.get(
        f"{watched.server.url}/browse?ensemble=main&tree={ROOT}&path={ROOT}{closed[0]}", timeout=30
    ).text
    assert headline in browsed
    assert "The ACL of this znode does not allow the exporter" in browsed
    for path in closed:
        watched.owner.set_acls(ROOT + path, OPEN_ACL_UNSAFE)


def test_the_root_is_deleted_and_created(watched: Watched) -> None:
    watched.owner.delete(ROOT, recursive=True)
    said = watched.expect("/app: root is missing.", "root missing", "in_sync, root missing")
    assert (said.root, said.unreadable) == ("missing", 0)
    assert (
        "This znode is not in the cache."
        in plainhttp.get(f"{watched.server.url}/browse?ensemble=main&tree={ROOT}").text
    )
    watched.owner.create(ROOT)


def test_the_engine_fails_again_and_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    take = watched.cache._replica.take
    is_broken = threading.Event()
    is_broken.set()

    def broken(now: float) -> object:
        if is_broken.is_set():
            raise SystemExit("enough")
        return take(now)

    monkeypatch.setattr("exporter.treecache.worker.LONGEST_DELAY", 2.0)
    monkeypatch.setattr(watched.cache._replica, "take", broken)
    watched.owner.create(f"{ROOT}/new")
    failed = r"engine failed .* ago, restarting"
    headline = rf"/app: {failed}\."
    watched.expect(headline, failed, "failed", ready=503)
    monkeypatch.setattr(probes, "LASTING", 0.1)
    said = watched.expect(headline, failed, "failed", ready=503, healthy=503)
    assert said.ready[1].splitlines()[0] == f"Not ready: main {ROOT} failed."
    assert said.healthy[1].splitlines()[0] == f"Not healthy: main {ROOT} failed."
    is_broken.clear()


def test_a_listener_never_comes_back(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "UNDELIVERED_AFTER", 0.2)
    go_on = threading.Event()
    watched.cache.listen(lambda event: go_on.wait(120))
    watched.owner.create(f"{ROOT}/new")
    watched.expect(
        r"/app: listeners have taken no event for .*\.",
        r"1 event undelivered for .*",
        "in_sync, events undelivered",
    )
    go_on.set()


def test_zookeeper_goes_away(own_zookeeper: ZooKeeperServer) -> None:
    with watching(own_zookeeper.hosts) as watched:
        watched.expect_complete()
        own_zookeeper.kill()
        watched.expect("The ensemble is disconnected; showing the last known data.", "disconnected", "disconnected")
        own_zookeeper.start()
        watched.expect_complete()
