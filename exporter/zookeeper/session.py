"""Session: everything that one kazoo client receives, as streams in the server's order, and its measurements.

Its parts: `reception` reads messages, `watches` and `stream` pass them to subscribers; `sending` and `connecting` send
and connect; `inquiries` knows what servers support; `standing` and `traffic` keep states, counts and times.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.client import Methods
from exporter.zookeeper.connecting import Connecting, GivingUp
from exporter.zookeeper.heritage import Heritage
from exporter.zookeeper.inquiries import Inquiries
from exporter.zookeeper.kazoo.repairs import forget_end
from exporter.zookeeper.kazoo.seam import IncompatibleKazooError, adapt
from exporter.zookeeper.messages import Connected, Lost, Suspended
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.reception import Reception
from exporter.zookeeper.sending import Sending
from exporter.zookeeper.standing import Standing
from exporter.zookeeper.statechange import StateChange
from exporter.zookeeper.stats import ClientStats
from exporter.zookeeper.stream import Arrived, Sink, Stream, Subscription, nothing
from exporter.zookeeper.traffic import Traffic
from exporter.zookeeper.watches import Watches
from exporter.zookeeper.wire import Request

__all__ = ["ForkedClientError", "GivingUp", "IncompatibleKazooError", "Session", "Sink", "Subscription"]

_attaching = threading.Lock()
_sessions: WeakSet[Session] = WeakSet()


class ForkedClientError(KazooException):  # type: ignore[misc]
    """The client was started before this process was forked. Its threads stayed in the parent, so no call would end."""


class Session:
    """The stream and the measurements of one client, shared by all callers that attach to it.

    A Session lives as long as its client. Sinks are called on the connection's thread and must not block.
    """

    @classmethod
    def attach(cls, client: KazooClient) -> Session:
        """The client's one Session, made on the first call. Attach before the client starts, to miss nothing.

        Raises:
            IncompatibleKazooError: the installed kazoo lacks a private attribute that is needed.
            ForkedClientError: the client was started before this process was forked.
        """
        with _attaching:
            session = cls.existing(client)
            if session is None:
                session = client.__dict__["_treecache_session"] = cls(client)
                _sessions.add(session)
        if not session.is_alive:
            raise ForkedClientError("the client was started before the fork: make and start one in each process")
        return session

    @classmethod
    def existing(cls, client: KazooClient) -> Session | None:
        """The client's Session, if it has one."""
        session: Session | None = client.__dict__.get("_treecache_session")
        return session

    def __init__(self, kazoo: KazooClient) -> None:
        client = self._client = adapt(kazoo)
        originals, capabilities = client.methods(), Capabilities()
        #: The observers of calls, and the tenants of this session.
        self.observers = observers = Observers()
        self._heritage = Heritage(client)
        self._stream = stream = Stream()
        self._traffic = traffic = Traffic(client)
        self._connecting = connecting = Connecting(client, originals, observers, traffic, capabilities, self._heritage)
        self._standing = Standing(client, connecting, traffic, self._heritage)
        self._watches = watches = Watches(client, stream, observers, traffic, self.submit)
        self._inquiries = Inquiries(
            kazoo, client, connecting, stream, traffic, capabilities, lambda other: Session.attach(other).submit
        )
        self._sending = sending = Sending(client, originals, observers, traffic, connecting, capabilities, watches)
        self._reception = reception = Reception(
            client, originals, observers, traffic, connecting, self._inquiries, watches, sending, stream.arrived
        )
        client.step_in(
            Methods(
                call=sending.call,
                async_result=sending.async_result,
                stop=sending.stop,
                expand_hosts=connecting.expand_hosts,
                connect=self._connect,
                invoke=connecting.invoke,
                read=connecting.read,
                read_header=connecting.read_header,
                submit=sending.send,
                write=reception.write,
                read_socket=reception.read_socket,
            ),
            reception.pause,
            self._on_state,
        )
        with stream.lock:
            self._standing.found()

    # Processes

    @property
    def is_alive(self) -> bool:
        """False in a fork's child if the client was started before the fork, which copies no threads."""
        return self._heritage.is_alive

    @property
    def is_inherited_and_idle(self) -> bool:
        """Whether the client was made before this process was forked, and was used neither there nor here."""
        return self._heritage.is_idle

    def after_fork(self) -> None:
        """In a fork's child: forgets what lives in the parent only, and renews locks, which its threads may hold."""
        self._heritage.after_fork()
        self._stream.after_fork()
        self._sending.after_fork()
        self._traffic.after_fork()
        self._watches.after_fork()
        self.observers.after_fork()
        forget_end(self._client)

    # Streams and requests

    def subscribe(self, root: str, sink: Sink, arrived: Arrived = nothing) -> Subscription:
        """Streams to `sink` the watch events at and below the server's path `root`, and every state change.

        If the client is connected, the stream begins with `Connected`. On the connection's thread, `arrived` is called
        after all messages that have arrived together, with a function that says whether a request that it submits now
        is sent immediately. If not, it must not submit any.
        """
        subscription = Subscription(root, sink, arrived, self._stream, self._watches, self._sending.submit)
        self._stream.add(subscription, self._greeting)
        return subscription

    def _greeting(self) -> Connected | None:
        return self._inquiries.connected() if self._standing.is_connected else None

    def submit(self, request: Request, sink: Sink) -> None:
        """Queues a request; its `Reply`, or `Unanswered`, goes to `sink`.

        Do not call it on the connection's own thread, for which it may wait, but when messages have `arrived`.
        """
        self._sending.submit(request, sink)

    def request_barrier(self, kind: str, path: str) -> None:
        """Requests a barrier of a kind of `BARRIERS`, unless one is under way; any path on the server will do.

        Every subscription's stream gets the `Barrier`, or `BarrierFailed`, in order. Do not call it on the connection's
        own thread, but when messages have `arrived`, nor on a read-only connection.
        """
        self._stream.request_barrier(kind, path, self.submit)

    def limit_replies(self, max_bytes: int) -> None:
        """Limits the length of replies, in bytes; of several limits the largest counts."""
        self._reception.limit(max_bytes)

    def drop(self, reason: str) -> None:
        """Ends the connection, not the session, because of a reply that cannot be decoded; counts it by `reason`."""
        self._reception.drop(reason)

    # Servers

    @property
    def tried(self) -> str | None:
        """The server, as `host:port`, that the client is connected to, is trying, or tried last."""
        return self._connecting.tried

    def allow_giving_up(self, is_over: GivingUp) -> None:
        """Lets the client give up a session that servers hang up on; kazoo alone never does.

        `is_over` is called each time a server hangs up on an attempt to resume the session, on the connection's thread,
        so it must not block. Its arguments are the newest zxid that the client has seen, and the seconds since it last
        heard from a server. If it returns True, the client opens a new session.

        Use it only for a client of your own: an application's session, with its ephemerals, is the application's.
        """
        self._connecting.gives_up = is_over

    def inquire(self) -> None:
        """Finds out what the connected server supports, unless that is under way; `Capable` follows in every stream.

        It asks the server on a separate connection, which disturbs nobody and takes a few seconds at most.
        """
        self._inquiries.inquire()

    # The client's state

    def listen(self, listener: Callable[[StateChange], None]) -> None:
        """Calls `listener` with each change of the client's state, on the connection's thread; it must not block."""
        self._stream.listen(listener)

    def stats(self) -> ClientStats:
        """A snapshot of the client."""
        connecting, traffic = self._connecting, self._traffic
        timeout, heard_at = connecting.granted_timeout, traffic.last_heard_at
        return ClientStats(
            state=self._standing.state,
            server=connecting.server_now() if self._standing.is_connected else None,
            session_id=self._standing.session_id,
            transitions=dict(traffic.transitions),
            sessions_lost=dict(traffic.sessions_lost),
            session_started_at=connecting.session_started_at,
            session_timeout=timeout or 0.0,
            session_deadline_at=heard_at + timeout if timeout and heard_at else 0.0,
            last_heard_at=heard_at,
            last_zxid=traffic.last_zxid,
            connection_attempts=traffic.connection_attempts,
            connection_failures=dict(traffic.connection_failures),
            failed_attempts=traffic.failed_attempts,
            requests_outstanding=traffic.outstanding(),
            oldest_request_age=traffic.oldest_request_age(),
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
            watch_events=dict(traffic.watch_events),
            protocol_errors=dict(traffic.protocol_errors),
            inquiries=dict(traffic.inquiries),
            watches=self._watches.counts(),
        )

    def _connect(self, host: str, *where: Any) -> Any:
        """Connects, in place of ``connect``. The client is connected once the server has accepted its credentials."""
        answer = self._connecting.connect(host, *where)
        try:
            self._on_connection()
        except Exception:
            # As kazoo treats its listeners: its thread would end.
            self._client.logger.exception("Cannot report the connection")
        return answer

    def _on_state(self, state: KazooState) -> None:
        if state != KazooState.CONNECTED:
            self._on_loss(state)
        elif not self._connecting.is_under_way:
            self._on_connection()

    def _on_connection(self) -> None:
        with self._stream.lock:
            replaced = self._standing.replacement()
            if replaced is not None:
                self._stream.send(Lost())
            changes = [change for change in (replaced, self._standing.connected()) if change is not None]
            self._inquiries.on_connection()
            self._traffic.failed_attempts = {}
            self._traffic.transitions[self._standing.state] += 1
            self._stream.send(self._inquiries.connected())
        self._report(changes)

    def _on_loss(self, state: KazooState) -> None:
        with self._stream.lock:
            self._watches.connection_lost()
            self._inquiries.on_hang_up()
            self.observers.connection_lost()
            if state == KazooState.SUSPENDED and not self._standing.is_connected:
                # The attempt failed before the server accepted the credentials, so no connection was reported.
                return
            change = self._standing.disconnected(state, self._why(state))
            self._traffic.transitions[self._standing.state] += 1
            self._stream.send(Suspended() if state == KazooState.SUSPENDED else Lost())
        self._report([change])

    def _report(self, changes: Iterable[StateChange]) -> None:
        for change in changes:
            self._stream.report(change)

    def _why(self, state: KazooState) -> str:
        """Why the connection was lost: kazoo reports that while it handles the exception."""
        if state != KazooState.SUSPENDED:
            return self._standing.end_of_session()
        why = sys.exc_info()[1]
        return "" if why is None else str(why)


def _after_fork() -> None:
    global _attaching
    _attaching = threading.Lock()
    for session in list(_sessions):
        session.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
