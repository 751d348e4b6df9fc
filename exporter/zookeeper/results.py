"""Results: the result objects that a client completes for our requests, and for observed requests of its callers."""

from __future__ import annotations

from typing import Any

from exporter.zookeeper.calls import Call, error_of
from exporter.zookeeper.client import Client
from exporter.zookeeper.messages import Unanswered
from exporter.zookeeper.stream import Sink
from exporter.zookeeper.wire import Request


class OwnResult:
    """The result of a session's request. The client completes it only if the request fails; else the session does."""

    def __init__(self, client: Client, request: Request, sink: Sink) -> None:
        self._client = client
        self._request = request
        self.sink = sink
        self.call: Call | None = None

    def set(self, value: object = None) -> None:
        """Called by the client only for requests that it decodes; it does not decode the session's."""
        raise AssertionError("kazoo answered a request that is not its own")

    def set_exception(self, exception: Exception) -> None:
        """The request gets no answer."""
        if self.call is not None:
            self.call.end(error_of(exception))
        self.sink(Unanswered(self._request, bool(self._client.connected)))


class ObservedResult:
    """Stands in for a caller's result, so that the end of the call is observed first."""

    __slots__ = ("_result", "call")

    def __init__(self, result: Any, call: Call) -> None:
        self._result = result
        self.call = call

    def set(self, value: object = None) -> None:
        """The request was answered."""
        self.call.end(error_of(value))
        self._result.set(value)

    def set_exception(self, exception: Exception) -> None:
        """The request failed."""
        self.call.end(error_of(exception))
        self._result.set_exception(exception)
