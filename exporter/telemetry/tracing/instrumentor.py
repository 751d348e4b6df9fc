"""KazooInstrumentor: traces the kazoo clients of a process as OpenTelemetry's instrumentations do, each client once."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar
from weakref import WeakSet

import wrapt
from kazoo.client import KazooClient
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.trace import TracerProvider, get_tracer

from exporter import __version__
from exporter.telemetry.tracing.attributes import SCHEMA_URL
from exporter.telemetry.tracing.calls import CallSpans, Hook
from exporter.zookeeper.session import Session

logger = logging.getLogger(__name__)

#: The instrumentation scope of every span.
SCOPE = "treecache-exporter"

_changing = threading.Lock()


def trace_client(
    client: KazooClient,
    tracer_provider: TracerProvider | None = None,
    request_hook: Hook | None = None,
    response_hook: Hook | None = None,
) -> Callable[[], None]:
    """Traces the calls of a client and the work of its caches from now on; returns a function that ends that.

    Several callers may have a client traced: its tracing ends when the last of them ends it.

    Args:
        client: started or not. A client that is traced already keeps its provider and hooks.
        tracer_provider: takes the spans; by default OpenTelemetry's global one, also when that is set later.
        request_hook, response_hook: called with the span and the `Call` when a recorded call begins, and when it has
            ended. Their exceptions are logged.

    Raises:
        IncompatibleKazooError: the installed kazoo lacks private attributes that this package needs.
        ForkedClientError: the client was started before this process was forked.
    """
    spans = _trace(client, tracer_provider, request_hook, response_hook)
    with ExitStack() as undo:
        undo.callback(_untrace, client, spans)
        return undo.pop_all().close


class KazooInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Traces every KazooClient that is created between `instrument` and `uninstrument`.

    `instrument` takes the keywords of `trace_client`. A client that cannot be traced is left alone, and a warning is
    logged once.
    """

    _clients: ClassVar[WeakSet[KazooClient]] = WeakSet()
    _refusal_is_told = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The releases of kazoo that can be instrumented."""
        return ("kazoo >= 2.11, < 3",)

    def instrument_client(self, client: KazooClient, **options: Any) -> None:
        """Traces one client, created before or without `instrument`; takes the keywords of `trace_client`."""
        self._traces(client, options)

    def uninstrument_client(self, client: KazooClient) -> None:
        """Ends the tracing of one client, for all callers that started it."""
        self._clients.discard(client)
        _end(client, _spans_of(client))

    def _instrument(self, **options: Any) -> None:
        known = ("tracer_provider", "request_hook", "response_hook")
        chosen = {name: options[name] for name in known if options.get(name) is not None}
        self._refusal_is_told = False
        wrapt.wrap_function_wrapper(KazooClient, "__init__", partial(self._made, chosen))

    def _uninstrument(self, **_options: Any) -> None:
        unwrap(KazooClient, "__init__")
        for client in list(self._clients):
            self._clients.discard(client)
            spans = _spans_of(client)
            if spans is not None:
                _untrace(client, spans)

    def _made(
        self, options: dict[str, Any], wrapped: Any, client: KazooClient, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        wrapped(*args, **kwargs)
        if self._traces(client, options):
            self._clients.add(client)

    def _traces(self, client: KazooClient, options: dict[str, Any]) -> bool:
        """Traces a client if possible; returns whether it is traced."""
        try:
            _trace(client, **options)
            return True
        except Exception as error:
            if not self._refusal_is_told:
                self._refusal_is_told = True
                logger.warning("kazoo is not traced: %s", error)
            return False


def _trace(
    client: KazooClient,
    tracer_provider: TracerProvider | None = None,
    request_hook: Hook | None = None,
    response_hook: Hook | None = None,
) -> CallSpans:
    """Starts tracing a client, unless it is traced already, and counts the caller."""
    with _changing:
        spans = _spans_of(client)
        if spans is None:
            tracer = get_tracer(SCOPE, __version__, tracer_provider, SCHEMA_URL)
            spans = CallSpans(tracer, client.chroot, request_hook, response_hook)
            Session.attach(client).observers.add(spans)
        spans.holders += 1
        return spans


def _untrace(client: KazooClient, spans: CallSpans) -> None:
    """Takes back one `_trace`."""
    with _changing:
        spans.holders -= 1
        if spans.holders == 0:
            _end(client, spans)


def _spans_of(client: KazooClient) -> CallSpans | None:
    session = Session.existing(client)
    observers = session.observers if session is not None else ()
    return next((observer for observer in observers if isinstance(observer, CallSpans)), None)


def _end(client: KazooClient, spans: CallSpans | None) -> None:
    session = Session.existing(client)
    if session is not None and spans is not None:
        session.observers.remove(spans)


def _after_fork() -> None:
    """In a fork's child: renews the lock, which a thread of the parent may have held at the fork."""
    global _changing
    _changing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
