"""Watches: recursive watches besides one-shot watches of other users on the same connection.

The server does not count watches, and before 3.9 a path has one watch mode for the whole session, the last one set: a
one-shot watch ends a recursive watch on the same path, and vice versa (ZOOKEEPER-4466, 4472). But a recursive watch
reports everything that one-shot watches on its path would. So one-shot watches on such a path are kept on this side
only, and fired by the recursive watch's events.
"""

from __future__ import annotations

import time
from typing import Any

from exporter.zookeeper import watchevent
from exporter.zookeeper.client import Client
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED, WatchEvent
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.oneshots import OneShotWatches
from exporter.zookeeper.stats import WATCH_EVENTS
from exporter.zookeeper.stream import Sink, Stream, Submit, Subscription
from exporter.zookeeper.traffic import Traffic
from exporter.zookeeper.wire import OK, AddWatch, RemoveWatches, Request, WatchingRead


class Watches:
    """The watches of one client's connection."""

    def __init__(self, client: Client, stream: Stream, observers: Observers, traffic: Traffic, submit: Submit) -> None:
        self._client = client
        self._stream = stream
        self._observers = observers
        self._traffic = traffic
        self._submit = submit
        #: Guards changes of recursive watches. Its holder may wait for the connection's thread, which must not wait.
        self.changing = client.handler.rlock_object()
        #: The paths watched recursively; changed in the order in which requests are sent.
        self._recursive: set[str] = set()
        self._one_shot = OneShotWatches()
        #: Reads that were sent without the watch that they set.
        self._unwatched: set[Request] = set()

    def after_fork(self) -> None:
        """In a fork's child: forgets all watches, and renews the lock."""
        self.changing = self._client.handler.rlock_object()
        self.connection_lost()

    def connection_lost(self) -> None:
        """The connection is lost, and all watches with it."""
        self._recursive.clear()
        self._one_shot.clear()
        self._unwatched.clear()

    def counts(self) -> dict[str, int]:
        """The numbers of watches, by `WATCH_KINDS`."""
        client = self._client
        return {
            "data": _watcher_count(client.data_watchers) + self._one_shot.data,
            "child": _watcher_count(client.child_watchers) + self._one_shot.children,
            "recursive": len(self._recursive) if client.socket is not None else 0,
        }

    # On the connection's thread

    def sending(self, request: Any) -> Any:
        """Returns the request to send in place of this one, according to the recursive watches at this moment."""
        if isinstance(request, Request):
            if isinstance(request, AddWatch):
                self._recursive.add(request.path)
            elif isinstance(request, RemoveWatches):
                self._recursive.discard(request.path)
            elif isinstance(request, WatchingRead) and request.watch and request.path in self._recursive:
                self._unwatched.add(request)
                return request.without_watch()
        elif getattr(request, "watcher", None) and request.path in self._recursive:
            return request._replace(watcher=None)
        return request

    def answered(self, request: Request, error: int) -> None:
        """A request of the session was answered."""
        if request in self._unwatched:
            self._unwatched.discard(request)
        else:
            self._one_shot.answered(request, error)
        if isinstance(request, AddWatch) and error != OK:
            self._recursive.discard(request.path)
        elif not isinstance(request, RemoveWatches):
            return
        assert isinstance(request, AddWatch | RemoveWatches)
        if request.path not in self._recursive:
            # One-shot watches kept on this side only can no longer be fired by the recursive watch: fire them now.
            self._fire(CHANGED, request.path)
            self._fire(CHILD, request.path)
            self._stream.send_event(WatchEvent(CHILD, request.path, -1, time.monotonic()))

    def on_event(self, frame: bytes, offset: int, zxid: int) -> None:
        """Handles a watch event. Raises ProtocolError if it cannot be decoded."""
        kind, path = watchevent.decode(frame, offset)
        if 1 <= kind <= len(WATCH_EVENTS):
            self._traffic.watch_events[WATCH_EVENTS[kind - 1]] += 1
        self._one_shot.fired(kind, path)
        trace = self._observers.watch_fired(kind, path)
        event = WatchEvent(kind, path, zxid, self._traffic.last_heard or 0.0, trace)
        self._stream.send_event(event)
        if self._has_one_shot_watchers(path) or self._client.has_persistent_watches:
            self._client.read_watch_event(frame, offset)
        if kind in (CREATED, DELETED):
            self._fire_child_watchers(event)

    def _fire_child_watchers(self, event: WatchEvent) -> None:
        """Fires watches for children: a recursive watch reports the child, such a watch its parent."""
        parent = event.path[: event.path.rindex("/")] or "/"
        if parent in self._recursive:
            self._stream.send_event(event._replace(kind=CHILD, path=parent))
            if parent in self._client.child_watchers:
                self._fire(CHILD, parent)

    def _fire(self, kind: int, path: str) -> None:
        """Fires the one-shot watches of the client's callers, as if this event had come."""
        self._client.read_watch_event(watchevent.encode(kind, path), 0)

    # On any thread

    def watch(self, subscription: Subscription, request: AddWatch) -> None:
        """Queues the request, on behalf of a subscription."""
        with self.changing:
            subscription.watched.add(request.path)
            self._submit(request, subscription.sink)

    def unwatch(self, request: RemoveWatches, sink: Sink) -> None:
        """Queues the request, unless another user needs a watch on its path: the server does not count watches."""
        path = request.path
        with self.changing:
            watched = (path in other.watched for other in self._stream.subscriptions)
            is_shared = any(watched) or self._has_one_shot_watchers(path)
            if self._watches_recursively(path) and not is_shared:
                self._submit(request, sink)

    def _watches_recursively(self, path: str) -> bool:
        """Whether this connection watches a path recursively, or will when queued requests are sent."""
        if not self._client.connected:
            return False
        queued = (request for request, _ in list(self._client.queue))
        return path in self._recursive or any(
            isinstance(request, AddWatch) and request.path == path for request in queued
        )

    def _has_one_shot_watchers(self, path: str) -> bool:
        return path in self._client.data_watchers or path in self._client.child_watchers


def _watcher_count(watchers: Any) -> int:
    return sum(map(len, list(watchers.values())))
