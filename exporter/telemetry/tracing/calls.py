"""CallSpans: a CLIENT span for each call of a client, and a short span for each watch event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, Tracer

from exporter.telemetry.tracing import attributes
from exporter.telemetry.tracing.attributes import Attributes
from exporter.telemetry.tracing.caches import CacheSpans
from exporter.telemetry.tracing.recording import Recording
from exporter.treecache import TreeCache
from exporter.zookeeper.calls import Call, ClientObserver
from exporter.zookeeper.stats import WATCH_EVENTS
from exporter.zookeeper.wire import ReadRequest

logger = logging.getLogger(__name__)

#: Called with a recording span and its call, when the call begins or has ended.
Hook = Callable[[Span, Call], None]

#: Errors that are normal answers to a read of one znode.
_ANSWERS = (None, "NONODE", "NOAUTH")


class CallSpans(ClientObserver):
    """Makes the spans of one client, and of the caches on its session.

    A span's parent is the context of the call; a watch event begins a new trace. Pings are not traced.
    """

    def __init__(
        self, tracer: Tracer, chroot: str, request_hook: Hook | None = None, response_hook: Hook | None = None
    ) -> None:
        self._tracer = tracer
        self._request_hook = request_hook
        self._response_hook = response_hook
        #: How many callers have the client traced.
        self.holders = 0
        self._caches: dict[TreeCache, CacheSpans] = {}
        self._of_client = attributes.of_client(chroot)
        self._recording = Recording()
        #: The attributes known before a call is sent, by its server and operation.
        self._at_start: dict[tuple[str | None, str], Attributes] = {}

    @property
    def follows_context(self) -> bool:
        """True while anything records: requests that a callback makes get the parent of the request it belongs to."""
        return time.monotonic() >= self._recording.idle_until

    # Calls

    def call_began(self, call: Call) -> None:
        if call.began_at < self._recording.idle_until:
            return
        operation = call.operation
        if operation == "ping" or not is_instrumentation_enabled():
            return
        span = self._tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=self._known(call, operation))
        if not self._recording.takes(span, call.began_at):
            return
        call.span = span
        call.exemplar = attributes.exemplar_of(span.get_span_context())
        span.set_attributes(attributes.of_request(call))
        _run(self._request_hook, span, call)

    def call_ended(self, call: Call) -> None:
        if call.error not in _ANSWERS and isinstance(call.request, ReadRequest):
            for cache in list(self._caches.values()):
                cache.unanswered(call.request, call.error)
        span: Span | None = call.span
        if span is None:
            return
        span.set_attributes(attributes.of_answer(call))
        if call.error is not None:
            span.set_status(StatusCode.ERROR, call.error)
        _run(self._response_hook, span, call)
        span.end()

    def _known(self, call: Call, operation: str) -> Attributes:
        known = self._at_start.get((call.server, operation))
        if known is None:
            known = attributes.at_start(self._of_client, call.server, operation)
            self._at_start[call.server, operation] = known
        return known

    # Watch events

    def watch_fired(self, kind: int, path: str) -> SpanContext | None:
        now = time.monotonic()
        if now < self._recording.idle_until:
            return None
        event = WATCH_EVENTS[kind - 1] if 1 <= kind <= len(WATCH_EVENTS) else "other"
        span = self._tracer.start_span(f"watch {event}", context=Context(), attributes=self._of_client)
        if not self._recording.takes(span, now):
            return None
        span.set_attribute(attributes.ZOOKEEPER_EVENT, event)
        span.set_attribute(attributes.ZOOKEEPER_PATH, path)
        span.end()
        return span.get_span_context()

    # Caches

    def joined(self, tenant: object) -> None:
        if isinstance(tenant, TreeCache):
            spans = self._caches[tenant] = CacheSpans(self._tracer, tenant, self._recording)
            tenant.observe(spans)

    def forked(self) -> None:
        self._caches = {}

    def left(self, tenant: object) -> None:
        spans = self._caches.pop(tenant, None) if isinstance(tenant, TreeCache) else None
        if spans is not None:
            spans.cache.disregard(spans)
            spans.end()


def _run(hook: Hook | None, span: Span, call: Call) -> None:
    if hook is None:
        return
    try:
        hook(span, call)
    except Exception:
        logger.exception("a hook of the instrumentation of kazoo failed")
