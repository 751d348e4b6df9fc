"""CacheSpans: INTERNAL spans of a cache's work, the parents of the spans of its calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, Span, SpanContext, StatusCode, Tracer

from exporter.telemetry.tracing import attributes
from exporter.telemetry.tracing.recording import Recording
from exporter.treecache import TreeCache
from exporter.treecache.observer import CacheObserver
from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import REFRESH, SYNC, Sent
from exporter.zookeeper.wire import Request

#: The maximum number of watch events that a refresh links to; OpenTelemetry's own default limit.
MAX_LINKS = 128

#: The status of a span that did not end well.
_INTERRUPTED = "the connection was lost before the end"
_ABANDONED = "the cache was closed or is no longer traced"


class CacheSpans(CacheObserver):
    """The spans of one cache: ``treecache.sync`` or ``treecache.resync``, and ``treecache.refresh``.

    A sync is the parent of its requests. A refresh is the parent of one request and links to the watch events that
    caused it. Requests for other reasons, such as freshness checks and audits, begin new traces.
    """

    def __init__(self, tracer: Tracer, cache: TreeCache, recording: Recording) -> None:
        self.cache = cache
        self._tracer = tracer
        self._recording = recording
        self._of_cache: attributes.Attributes = {attributes.TREECACHE_TREE: cache.name}
        #: Open spans: a sync under None, refreshes under their requests.
        self._open: dict[Request | None, Span] = {}

    def sync_began(self, sync: SyncBegun) -> None:
        self._end_all(_INTERRUPTED)
        span = self._tracer.start_span(
            "treecache.sync" if sync.reason == "start" else "treecache.resync",
            context=Context(),
            attributes={**self._of_cache, attributes.TREECACHE_REASON: sync.reason},
            start_time=_unix_nanoseconds(sync.at),
        )
        if span.get_span_context().is_valid:
            self._open[None] = span
            sync.exemplar = attributes.exemplar_of(span.get_span_context())

    def sync_ended(self, sync: SyncBegun, at: float, complete: bool) -> None:
        span = self._open.pop(None, None)
        if span is None:
            return
        if complete:
            span.set_attribute(attributes.TREECACHE_ZNODES, len(self.cache))
        else:
            span.set_status(StatusCode.ERROR, _INTERRUPTED)
        span.end(_unix_nanoseconds(at))

    def sending(self, sent: Sent) -> AbstractContextManager[object] | None:
        now = time.monotonic()
        if now < self._recording.idle_until:
            return None
        if sent.purpose == SYNC:
            return _within(self._open.get(None))
        if sent.purpose != REFRESH:
            return _within(None)
        span = self._tracer.start_span(
            "treecache.refresh", context=Context(), attributes=self._of_cache, links=_links(sent)
        )
        if self._recording.takes(span, now):
            span.set_attribute(attributes.TREECACHE_CHANGES, len(sent.causes))
            self._open[sent.request] = span
        return _within(span) if span.get_span_context().is_valid else None

    def refreshed(self, sent: Sent, at: float) -> None:
        span = self._open.pop(sent.request, None)
        if span is not None:
            span.end(_unix_nanoseconds(at))

    def unanswered(self, request: Request, error: str | None) -> None:
        """A refresh failed; another one will follow."""
        _fail(self._open.pop(request, None), error)

    def end(self) -> None:
        """Ends every span, since nothing more will be observed."""
        self._end_all(_ABANDONED)

    def _end_all(self, why: str) -> None:
        for request in list(self._open):
            _fail(self._open.pop(request, None), why)


def _links(sent: Sent) -> list[Link]:
    """Links to the spans of the watch events that caused a request, the first `MAX_LINKS` of them."""
    traces = [event.trace for event in sent.causes.values()]
    return [Link(context) for context in traces if isinstance(context, SpanContext)][:MAX_LINKS]


def _fail(span: Span | None, why: str | None) -> None:
    if span is not None:
        span.set_status(StatusCode.ERROR, why)
        span.end()


@contextmanager
def _within(span: Span | None) -> Iterator[None]:
    """Makes the span the parent of the spans that begin in the context; without a span those begin their own traces."""
    token = attach(Context() if span is None else trace.set_span_in_context(span, Context()))
    try:
        yield
    finally:
        detach(token)


def _unix_nanoseconds(monotonic: float) -> int:
    return time.time_ns() - int((time.monotonic() - monotonic) * 1e9)
