"""Spans of a cache: syncs as parents of their requests, refreshes with links to their causes, and how spans end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient, TransactionRequest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from exporter import TreeCache
from exporter.telemetry.tracing import trace_client
from exporter.telemetry.tracing.caches import MAX_LINKS
from exporter.zookeeper.wire import MultiRead
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.support import eventually


class Spans:
    """Traces a client, with an exporter in memory."""

    def __init__(self, client: KazooClient, sampler: Sampler | None = None) -> None:
        self.provider = TracerProvider(sampler=sampler)
        self._memory = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.untrace = trace_client(client, self.provider)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._memory.get_finished_spans() if span.name == name]

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        spans = self._memory.get_finished_spans()
        return [span for span in spans if span.parent is not None and span.parent.span_id == span_id(parent)]

    def all(self) -> list[ReadableSpan]:
        return list(self._memory.get_finished_spans())


def span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def in_bulk(client: KazooClient, do: Callable[[TransactionRequest, str], None], znodes: int) -> None:
    """Does something to each of `number` znodes below /app, a thousand at a time."""
    for start in range(0, znodes, 1_000):
        transaction = client.transaction()
        for number in range(start, min(znodes, start + 1_000)):
            do(transaction, f"/app/{number}")
        transaction.commit()


@pytest.fixture
def spans(client: KazooClient) -> Spans:
    client.ensure_path("/app/a")
    return Spans(client)


@pytest.fixture
def cache(client: KazooClient, spans: Spans) -> Iterator[TreeCache]:
    with TreeCache(client, "/app", create_root=False, name="the app") as cache:
        assert cache.wait_initialized(10)
        eventually(lambda: spans.named("treecache.sync"))
        yield cache


def test_a_sync_is_the_parent_of_its_requests(cache: TreeCache, spans: Spans) -> None:
    (sync,) = spans.named("treecache.sync")
    assert (sync.kind, sync.parent, sync.status.status_code) == (SpanKind.INTERNAL, None, StatusCode.UNSET)
    assert dict(sync.attributes or {}) == {
        "treecache.tree": "the app",
        "treecache.reason": "start",
        "treecache.znodes": 2,
    }
    requests = spans.below(sync)
    assert {span.name for span in requests} == {"addWatch", "multiRead"}
    assert all(span.kind is SpanKind.CLIENT for span in requests)
    assert sync.start_time is not None
    assert sync.end_time is not None
    assert all(sync.start_time <= (span.start_time or 0) <= sync.end_time for span in requests)


def test_a_refresh_links_to_the_watch_events_that_caused_it(
    cache: TreeCache, client: KazooClient, spans: Spans
) -> None:
    client.set("/app/a", b"new")
    (refresh,) = eventually(lambda: spans.named("treecache.refresh"))
    (event,) = spans.named("watch changed")
    assert [link.context for link in refresh.links] == [event.get_span_context()]
    assert (refresh.kind, refresh.parent, refresh.status.status_code) == (SpanKind.INTERNAL, None, StatusCode.UNSET)
    assert dict(refresh.attributes or {}) == {"treecache.tree": "the app", "treecache.changes": 1}
    assert [span.name for span in spans.below(refresh)] == ["multiRead"]


def test_a_deletion_is_a_refresh_that_went_well(client: KazooClient, spans: Spans) -> None:
    with TreeCache(client, "/app", create_root=False, mode="classic") as cache:
        assert cache.wait_initialized(10)
        client.delete("/app/a")
        refreshes = eventually(lambda: spans.named("treecache.refresh"))
        assert {refresh.status.status_code for refresh in refreshes} == {StatusCode.UNSET}


def test_the_links_of_a_refresh_are_bounded(client: KazooClient, spans: Spans) -> None:
    in_bulk(client, lambda transaction, path: transaction.create(path), 2 * MAX_LINKS)
    with TreeCache(client, "/app", create_root=False) as cache:
        assert cache.wait_initialized(10)
        eventually(lambda: spans.named("treecache.sync"))
        in_bulk(client, lambda transaction, path: transaction.set_data(path, b"new"), 2 * MAX_LINKS)

        def changes() -> list[int]:
            return [int(span.attributes["treecache.changes"]) for span in spans.named("treecache.refresh")]  # type: ignore

        eventually(lambda: sum(changes()) == 2 * MAX_LINKS)
        links = [len(span.links) for span in spans.named("treecache.refresh")]
        assert links == [min(MAX_LINKS, number) for number in changes()]
        assert max(links) == MAX_LINKS


def test_after_the_loss_of_the_connection_comes_a_resync(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        client.ensure_path("/app/a")
        spans = Spans(client)
        with TreeCache(client, "/app", create_root=False) as cache:
            assert cache.wait_initialized(10)
            eventually(lambda: spans.named("treecache.sync"))
            proxy.cut()
            (resync,) = eventually(lambda: spans.named("treecache.resync"))
            assert (resync.attributes or {})["treecache.reason"] == "reconnect"
            assert resync.status.status_code is StatusCode.UNSET
            assert {span.name for span in spans.below(resync)} == {"sync", "addWatch", "multiRead"}


def ask_what_it_can_do(client: KazooClient) -> None:
    """Finds out the server's capabilities, which otherwise precedes a cache's first request."""
    with TreeCache(client, "/warm", create_root=False) as warm:
        assert warm.wait_initialized(10)


@contextlib.contextmanager
def stalled_sync(client_factory: ClientFactory, zookeeper: ZooKeeper) -> Iterator[tuple[Proxy, Spans, TreeCache]]:
    """A cache whose first sync waits for answers that the proxy holds back, and the spans of its client."""
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        client.ensure_path("/app/a")
        ask_what_it_can_do(client)
        spans = Spans(client)
        proxy.stall(DOWN)
        with TreeCache(client, "/app", create_root=False) as cache:
            eventually(lambda: cache.stats().outstanding_operations)
            yield proxy, spans, cache
        proxy.heal()


def test_an_interrupted_sync_ends_with_an_error(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    with stalled_sync(client_factory, zookeeper) as (proxy, spans, cache):
        proxy.cut()
        (interrupted,) = eventually(lambda: spans.named("treecache.sync"))
        assert interrupted.status.status_code is StatusCode.ERROR
        (watch,) = spans.below(interrupted)
        assert (watch.attributes or {})["error.type"] == "CONNECTIONLOSS"
        proxy.heal()
        assert cache.wait_initialized(10)
        (resync,) = eventually(lambda: spans.named("treecache.resync"))
        assert resync.status.status_code is StatusCode.UNSET


def test_closing_ends_what_is_open(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    with stalled_sync(client_factory, zookeeper) as (_, spans, cache):
        assert spans.named("treecache.sync") == []
        cache.close()
        (sync,) = spans.named("treecache.sync")
        assert sync.status.status_code is StatusCode.ERROR


def test_a_refresh_whose_request_fails_ends_with_its_error(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        client.ensure_path("/app/a")
        spans = Spans(client)
        with TreeCache(client, "/app", create_root=False) as cache:
            assert cache.wait_initialized(10)
            eventually(lambda: spans.named("treecache.sync"))
            proxy.refuse_requests({MultiRead.type}, None, close=True)
            client_factory().set("/app/a", b"new")
            (failed,) = eventually(lambda: spans.named("treecache.refresh"))
            assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "CONNECTIONLOSS")
            proxy.heal()
            eventually(lambda: spans.named("treecache.resync"))
            eventually(lambda: cache.get_data("/app/a").data == b"new")


def test_a_sync_makes_about_as_many_spans_as_batches(client: KazooClient) -> None:
    znodes = 5_000
    client.ensure_path("/app")
    in_bulk(client, lambda transaction, path: transaction.create(path), znodes)
    spans = Spans(client)
    with TreeCache(client, "/app", create_root=False) as cache:
        assert cache.wait_initialized(30)
        (sync,) = eventually(lambda: spans.named("treecache.sync"))
        assert (sync.attributes or {})["treecache.znodes"] == 1 + znodes
        assert 1 <= len(spans.named("multiRead")) < 20
        assert len(spans.all()) == len([sync]) + len(spans.named("addWatch")) + len(spans.named("multiRead"))
    in_bulk(client, lambda transaction, path: transaction.delete(path), znodes)


def test_what_a_sync_is_sampled_by_goes_for_its_requests_too(client: KazooClient) -> None:
    client.ensure_path("/app")
    spans = Spans(client, ParentBased(TraceIdRatioBased(0.0)))
    with TreeCache(client, "/app", create_root=False) as cache:
        assert cache.wait_initialized(10)
    assert spans.all() == []


def test_proofs_and_audits_begin_traces_of_their_own(client: KazooClient, spans: Spans) -> None:
    with TreeCache(client, "/app", create_root=False, freshness_interval=0.05, audit_interval=0.05) as cache:
        eventually(lambda: cache.verified_at and cache.stats().audits)
    (sync,) = spans.named("treecache.sync")
    checks = spans.named("multi")
    audits = [span for span in spans.named("multiRead") if span not in spans.below(sync)]
    assert checks
    assert audits
    assert {span.parent for span in (*checks, *audits)} == {None}
    context = sync.get_span_context()
    assert context is not None
    assert context.trace_id not in {span.context.trace_id for span in (*checks, *audits)}


def test_untracing_in_the_middle_of_a_sync_leaves_nothing_below_it(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        client.ensure_path("/app/a")
        ask_what_it_can_do(client)
        spans = Spans(client)
        proxy.stall(DOWN)
        with TreeCache(client, "/app", create_root=False, freshness_interval=0.05) as cache:
            eventually(lambda: cache.stats().outstanding_operations)
            spans.untrace()
            (sync,) = spans.named("treecache.sync")
            assert sync.status.status_code is StatusCode.ERROR
            again = Spans(client)
            proxy.heal()
            eventually(lambda: cache.verified_at)
            eventually(lambda: again.named("multi"))
            assert {span.parent for span in again.all()} == {None}


def test_a_processor_that_fails_does_not_keep_a_cache_from_closing(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    class Fails(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("no room")

    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        ask_what_it_can_do(client)
        spans = Spans(client)
        spans.provider.add_span_processor(Fails())
        proxy.stall(DOWN)
        cache = TreeCache(client, "/app", create_root=False)
        cache.start()
        eventually(lambda: cache.stats().outstanding_operations)
        cache.close()
        assert spans.named("treecache.sync")
        assert cache.stats().outstanding_operations == 0
        proxy.heal()


def test_untracing_ends_what_is_open_and_leaves_the_cache_at_work(
    cache: TreeCache, client: KazooClient, spans: Spans
) -> None:
    spans.untrace()
    before = len(spans.all())
    client.set("/app/a", b"new")
    eventually(lambda: cache.get_data("/app/a").data == b"new")
    assert len(spans.all()) == before
    again = Spans(client)
    client.set("/app/a", b"newer")
    eventually(lambda: again.named("treecache.refresh"))
