"""Sending: queues and sends requests, the session's own and those of the client's callers; each is a call.

The client sends its callers' requests when its connection's thread wakes up for them. A request of the session that
follows from a message that has just arrived is made on that very thread, and is sent immediately.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sized
from typing import Any

from kazoo.protocol.connection import PING_XID
from kazoo.protocol.serialization import SASL, Close

from exporter.zookeeper.calls import CONNECTION_LOST, Call
from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.client import Client, Methods
from exporter.zookeeper.connecting import Connecting
from exporter.zookeeper.kazoo.continuations import in_context
from exporter.zookeeper.kazoo.repairs import OVER, fail_forgotten
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.results import ObservedResult, OwnResult
from exporter.zookeeper.stream import Sink
from exporter.zookeeper.traffic import Traffic
from exporter.zookeeper.watches import Watches
from exporter.zookeeper.wire import Request


class Sending:
    """Replaces a client's methods for queueing and sending, `originals`."""

    def __init__(
        self,
        client: Client,
        originals: Methods,
        observers: Observers,
        traffic: Traffic,
        connecting: Connecting,
        capabilities: Capabilities,
        watches: Watches,
    ) -> None:
        self._client = client
        self._originals = originals
        self._observers = observers
        self._traffic = traffic
        self._connecting = connecting
        self._capabilities = capabilities
        self._watches = watches
        self._calling = client.handler.rlock_object()
        self._closing: Call | None = None
        #: The connection's thread while it sends requests immediately, the maximum number of seconds for each of them,
        #: and why the connection is lost.
        self._at_once_on: int | None = None
        self._limit = 0.0
        self._failure: Exception | None = None

    def after_fork(self) -> None:
        """In a fork's child: renews the lock."""
        self._calling = self._client.handler.rlock_object()
        self._at_once_on = None

    # On any thread

    def submit(self, request: Request, sink: Sink) -> None:
        """Queues a request of the session; see `Session.submit`."""
        refusal = self._capabilities.refuses(request, self._connecting.peer, time.monotonic())
        if refusal is not None:
            sink(Reply(request, -1, *request.refused(refusal), 0))
            return
        result = OwnResult(self._client, request, sink)
        if self._at_once_on == threading.get_ident():
            self._send_at_once(request, result)
        else:
            self._client.call(request, result)

    def call(self, request: Any, result: Any) -> Any:
        """Queues any request, in place of ``call``."""
        client = self._client
        # A request without a result, such as kazoo.testing's markers that break connections, has no end to observe.
        if self._observers and result is not None and client.client_state not in OVER:
            result = self._observed(request, result)
        # kazoo wakes its connection through a socket. If that is full, gevent and eventlet let only one caller wait;
        # kazoo would fail the request of any other caller, and still send it later.
        with self._calling:
            self._traffic.asked()
            queue = client.queue
            answer = self._originals.call(request, result)
            if client.queue is not queue or client.client_state in OVER:
                fail_forgotten(client, queue, request, result)
            return answer

    def async_result(self) -> Any:
        """The result that callers get; it keeps the context of callbacks if an observer needs that."""
        result = self._originals.async_result()
        return in_context(result) if self._observers.follow_context else result

    def stop(self) -> Any:
        """Ends the session by a request that kazoo queues without ``call``."""
        if self._client.stopped.is_set():
            return self._originals.stop()
        self._traffic.asked()
        is_call = self._observers and self._client.connected
        self._closing = closing = self._observers.begin(Close(), self._connecting.server_now()) if is_call else None
        try:
            return self._originals.stop()
        finally:
            self._closing = None
            if closing is not None:
                closing.end(CONNECTION_LOST)

    def _observed(self, request: Any, result: Any) -> Any:
        """Begins a call; returns a stand-in for `result` that reports the call's end."""
        call = self._observers.begin(request, self._connecting.server_now())
        if isinstance(result, OwnResult):
            result.call = call
            return result
        return ObservedResult(result, call)

    # On the connection's thread

    def give_occasion(self, arrived: Callable[[Sized | None], None], timeout: float) -> None:
        """Calls `arrived`, and immediately sends the requests that it submits.

        That is so as long as no other request waits to be sent, and nobody else is about to change recursive watches.

        Args:
            arrived: see `exporter.zookeeper.stream.Stream.arrived`.
            timeout: the maximum number of seconds for sending a request.

        Raises:
            ConnectionDropped: the connection was lost; requests from then on count as sent and get no answer.
        """
        client, granted = self._client, self._connecting.granted_timeout
        # Others may hold the watches while they wait for this thread to take what they queue.
        changing, is_under_way = self._watches.changing, self._at_once_on is not None
        if client.queue or is_under_way or not client.has_threads or not changing.acquire(blocking=False):
            arrived(None)
            return
        # As kazoo limits the time for the requests that it sends.
        self._limit = timeout if granted is None else min(timeout, granted / len(client.hosts))
        self._at_once_on, self._failure = threading.get_ident(), None
        try:
            arrived(client.queue)
        finally:
            self._at_once_on = None
            changing.release()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _send_at_once(self, request: Request, result: OwnResult) -> None:
        client = self._client
        # As kazoo counts them.
        client.xid = xid = client.xid % (2**31 - 1) + 1
        if self._observers:
            result.call = self._observers.begin(request, self._connecting.server or self._connecting.server_now())
        self._traffic.asked()
        client.pending.append((request, result, xid))
        if self._failure is None:
            try:
                self._send(request, self._limit, xid, result.call)
            except Exception as error:
                # Not to the caller: the connection's thread has to end the connection.
                self._failure = error

    def send(self, request: Any, timeout: Any, xid: Any = None) -> None:
        """Sends a request, in place of ``submit``."""
        call = self._call_of(request, xid)
        if call is not None:
            call.server = self._connecting.server_now()
        self._send(request, timeout, xid, call)

    def _send(self, request: Any, timeout: float, xid: int | None, call: Call | None) -> None:
        if call is not None:
            call.xid = xid or 0
        if isinstance(request, Request):
            self._capabilities.asked(request, time.monotonic())
        sent_before = self._traffic.sent_bytes
        self._originals.submit(self._watches.sending(request), timeout, xid)
        if call is not None:
            call.sent_bytes = self._traffic.sent_bytes - sent_before

    def _call_of(self, request: Any, xid: int | None) -> Call | None:
        """The call of a request; begins one for a request that the client makes itself."""
        call: Call | None = None
        if xid == PING_XID or isinstance(request, Close | SASL):
            call = self._closing if isinstance(request, Close) else None
            if call is None and self._observers:
                call = self._observers.begin(request, self._connecting.server_now())
            if call is not None:
                self._observers.expect(call, xid or 0)
        else:
            queue = self._client.queue
            queued, result = queue[0] if queue else (None, None)
            call = getattr(result, "call", None) if queued is request else None
        return call
