"""Stream: passes a session's messages to each subscriber in order, state changes and barriers included.

Sinks are called on the connection's thread and must not block.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sized
from typing import Protocol

from exporter.zookeeper.barrier import BarrierRequest
from exporter.zookeeper.messages import Message, WatchEvent
from exporter.zookeeper.statechange import StateChange
from exporter.zookeeper.wire import AddWatch, RemoveWatches, Request

Sink = Callable[[Message], None]
#: Called after messages that arrived together, with whether a request would be sent immediately.
Arrived = Callable[[bool], None]
#: Queues a request; its answer goes to the sink.
Submit = Callable[[Request, Sink], None]


class WatchKeeper(Protocol):
    """Sets and removes the watches of subscriptions, which do not know of each other."""

    def watch(self, subscription: Subscription, request: AddWatch) -> None:
        """Queues the request, on behalf of a subscription."""

    def unwatch(self, request: RemoveWatches, sink: Sink) -> None:
        """Queues the request, unless another user needs a watch on its path."""


class Subscription:
    """One reader of a session's stream; `close` it when done."""

    def __init__(
        self, root: str, sink: Sink, arrived: Arrived, stream: Stream, watches: WatchKeeper, submit: Submit
    ) -> None:
        self.root = root
        self.sink = sink
        self.arrived = arrived
        #: The paths on which the reader wants a recursive watch, always including its root.
        self.watched = {root}
        self._stream = stream
        self._watches = watches
        self._submit = submit
        self._below = root if root == "/" else root + "/"

    def covers(self, path: str) -> bool:
        """Whether a path on the server is the root or below it."""
        return path == self.root or path.startswith(self._below)

    def submit(self, request: Request) -> None:
        """Queues a request whose answer goes into the stream; see `Session.submit`.

        A request to remove a watch that others need as well is not sent, and gets no answer.
        """
        if isinstance(request, AddWatch):
            self._watches.watch(self, request)
        elif isinstance(request, RemoveWatches):
            self.watched.discard(request.path)
            self._watches.unwatch(request, self.sink)
        else:
            self._submit(request, self.sink)

    def close(self) -> None:
        """Ends the stream and removes its recursive watches from the server, unless others need watches there."""
        if self._stream.remove(self):
            for path in sorted(self.watched):
                self._watches.unwatch(RemoveWatches(path), _ignore)


class Stream:
    """The subscriptions of one session, and the listeners of its state."""

    def __init__(self) -> None:
        #: Held while the connection's state changes, and by callers for whom it must not change.
        self.lock = threading.RLock()
        self.subscriptions: list[Subscription] = []
        self._listeners: list[Callable[[StateChange], None]] = []
        self._requested: set[str] = set()

    def after_fork(self) -> None:
        """In a fork's child: forgets subscriptions and listeners, and renews the lock."""
        self.lock = threading.RLock()
        self.subscriptions = []
        self._requested.clear()

    # Subscriptions

    def add(self, subscription: Subscription, greeting: Callable[[], Message | None]) -> None:
        """Adds a subscription and sends it the greeting, if any, before other messages."""
        with self.lock:
            self.subscriptions.append(subscription)
            try:
                message = greeting()
                if message is not None:
                    subscription.sink(message)
            except BaseException:
                self.remove(subscription)
                raise

    def remove(self, subscription: Subscription) -> bool:
        """Removes a subscription; returns whether it was there."""
        with self.lock:
            if subscription not in self.subscriptions:
                return False
            self.subscriptions = [other for other in self.subscriptions if other is not subscription]
            return True

    def send(self, message: Message) -> None:
        """Puts a message into every stream."""
        for subscription in self.subscriptions:
            subscription.sink(message)

    def arrived(self, waiting: Sized | None) -> None:
        """Ends the messages that have arrived together.

        Requests are sent immediately as long as none is `waiting` to be sent; with None they are not.
        """
        for subscription in self.subscriptions:
            subscription.arrived(waiting is not None and not waiting)

    def send_event(self, event: WatchEvent) -> None:
        """Puts a watch event into the streams that cover its path."""
        for subscription in self.subscriptions:
            if subscription.covers(event.path):
                subscription.sink(event)

    # State changes

    def listen(self, listener: Callable[[StateChange], None]) -> None:
        """Calls `listener` with each change of the client's state, on the connection's thread; it must not block."""
        self._listeners.append(listener)

    def report(self, change: StateChange) -> None:
        """Calls the listeners."""
        for listener in self._listeners:
            listener(change)

    # Barriers

    def request_barrier(self, kind: str, path: str, submit: Submit) -> None:
        """Requests a barrier, unless one of its kind is under way; see `Session.request_barrier`."""
        with self.lock:
            if kind in self._requested:
                return
            self._requested.add(kind)
        request = BarrierRequest.of_kind(kind, path)
        submit(request.request, functools.partial(self._on_barrier_answer, request))

    def _on_barrier_answer(self, request: BarrierRequest, answer: Message) -> None:
        self._requested.discard(request.kind)
        self.send(request.verdict(answer))


def nothing(sends_at_once: bool) -> None:
    """For a reader that does not wait for the end of messages that arrive together."""


def _ignore(message: Message) -> None:
    """A sink for replies that need no action."""
