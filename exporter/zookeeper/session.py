"""Session: everything one kazoo client hears, as streams in the order the server sent it, and its measurements.

kazoo hands replies and watch events to different threads and so loses their order; it also drops the events of
recursive watches. A Session steps in where the client's connection reads from its socket. This is the one file that
names private attributes of kazoo; `PRIVATE_NAMES` lists them, and attaching to a client that lacks one is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from kazoo.client import KazooClient
from kazoo.exceptions import (
    EXCEPTIONS,
    AuthFailedError,
    ConnectionDropped,
    ConnectionLoss,
    KazooException,
    SessionExpiredError,
)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.connection import AUTH_XID, CLOSE_RESPONSE, PING_XID, WATCH_XID
from kazoo.protocol.serialization import SASL, Close, Connect, ReplyHeader, int_struct
from kazoo.protocol.states import KazooState, KeeperState

from exporter.zookeeper.calls import CONNECTION_LOST, SESSION_EXPIRED, Call, error_of
from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.frames import FrameBuffer
from exporter.zookeeper.inquiry import Inquiry
from exporter.zookeeper.kazoo.continuations import in_context
from exporter.zookeeper.kazoo.polling import PollingHandler, is_replaced
from exporter.zookeeper.messages import (
    CHANGED,
    CHILD,
    CREATED,
    DELETED,
    Capable,
    Connected,
    Lost,
    Message,
    Reply,
    Suspended,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.moderation import Moderation
from exporter.zookeeper.moments import Moment, SteadyTime
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.oneshots import OneShotWatches
from exporter.zookeeper.probe import Probe
from exporter.zookeeper.protocol import MAX_HANDSHAKE, PROTOCOL_ERRORS, Mistrust, ProtocolError, protocol_error_in
from exporter.zookeeper.statechange import StateChange, session_in_hex
from exporter.zookeeper.stats import (
    ENTERED_STATES,
    FAILURE_REASONS,
    INQUIRY_RESULTS,
    LOST_REASONS,
    WATCH_EVENTS,
    ClientStats,
)
from exporter.zookeeper.wire import (
    NO_NODE,
    OK,
    AddWatch,
    Exists,
    ReadRequest,
    RemoveWatches,
    Request,
    WatchingRead,
    encode_string,
)

#: The private attributes of kazoo that this file uses, by the object that must have them.
PRIVATE_NAMES = {
    "client": (
        "_call",
        "_child_watchers",
        "_connection",
        "_data_watchers",
        "_pending",
        "_queue",
        "_session_callback",
        "_session_id",
        "_stopped",
    ),
    "client._connection": (
        "_connect",
        "_expand_client_hosts",
        "_invoke",
        "_read",
        "_read_header",
        "_read_response",
        "_read_socket",
        "_read_watch_event",
        "_socket",
        "_submit",
        "_write",
        "ping_outstanding",
        "sasl_options",
    ),
}

_HEADER = struct.Struct("!iqi")
_WATCH_EVENT = struct.Struct("!iii")

#: The states in which kazoo fails a request at once.
_OVER = (KeeperState.AUTH_FAILED, KeeperState.CLOSED, KeeperState.EXPIRED_SESSION)

_attaching = threading.Lock()
logger = logging.getLogger(__name__)
_sessions: WeakSet[Session] = WeakSet()

Sink = Callable[[Message], None]

#: Decides whether a session is over that servers hang up on; see `Session.allow_giving_up`.
GivingUp = Callable[[int, float], bool]


class IncompatibleKazooError(KazooException):  # type: ignore[misc]
    """This release of kazoo does not have what the session's stream is read through."""


class ForkedClientError(KazooException):  # type: ignore[misc]
    """The client was started in the parent of this process. Its threads stayed there, and no call would ever end."""


class Session:
    """The stream and the measurements of one client, shared by all who attach to it.

    A Session lives as long as its client. Sinks are called on the connection's thread and must not block.
    """

    @classmethod
    def attach(cls, client: KazooClient) -> Session:
        """The client's one Session, made when first asked for. Attach before the client starts, to miss nothing.

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
        """The client's Session, if anyone has attached to it."""
        session: Session | None = client.__dict__.get("_treecache_session")
        return session

    def __init__(self, client: KazooClient) -> None:
        check_private_names(client)
        #: The observers of each call, and what lives on this session.
        self.observers = Observers()
        self._client = client
        self._connection = client._connection
        self._lock = threading.RLock()
        self._calling = client.handler.rlock_object()
        #: For changes of recursive watches; the connection's thread never takes it.
        self._rewatching = client.handler.rlock_object()
        self._subscriptions: list[Subscription] = []
        self._recursive_watches: set[str] = set()
        self._one_shot_watches = OneShotWatches()
        self._capabilities = Capabilities()
        #: The connection that an inquiry is made for, counted; None while there is none.
        self._inquiring: int | None = None
        self._connections = 0
        self._told_recursive: dict[str, bool] = {}
        self._buffer = FrameBuffer()
        self._is_limited = False
        self._moderation = Moderation()
        self._enqueued_at: deque[float] = deque()
        self._server: str | None = None
        #: The server that is being tried, or that was last.
        self._tried: str | None = None
        self._gives_up: GivingUp | None = None
        self._given_up = False
        #: The session in whose place a server has opened another one, until that is reported.
        self._replaced: tuple[str, float | None] | None = None
        self._connected_at: float | None = None
        self._disconnected_at: float | None = None
        self._state_listeners: list[Callable[[StateChange], None]] = []
        self._granted_timeout: float | None = None
        #: When the session began, by the monotonic clock and in Unix time.
        self._session_started: float | None = None
        self._session_started_at = 0.0
        self._last_heard: float | None = None
        #: The same, by both clocks.
        self._heard_at: Moment | None = None
        self._heard_unix = SteadyTime()
        #: The newest transaction of the session that a ping's answer carried; kazoo takes no notice of those.
        self._pinged_zxid = 0
        self._ever_connected = client.connected
        #: The address that the client is, or was last, connected to.
        self._peer = self._peer_now() if client.connected else ""
        self._sent_bytes = 0
        self._received_bytes = 0
        self._connection_attempts = 0
        self._transitions = dict.fromkeys(ENTERED_STATES, 0)
        self._sessions_lost = dict.fromkeys(LOST_REASONS, 0)
        self._connection_failures = dict.fromkeys(FAILURE_REASONS, 0)
        self._watch_events = dict.fromkeys(WATCH_EVENTS, 0)
        self._protocol_errors = dict.fromkeys(PROTOCOL_ERRORS, 0)
        self._inquiries = dict.fromkeys(INQUIRY_RESULTS, 0)
        self._mistrust = Mistrust()
        self._probing: set[str] = set()
        self._closing: Call | None = None
        self._process = os.getpid()
        self._is_inherited = self._is_dead = False
        self._step_in()

    # Processes

    @property
    def is_alive(self) -> bool:
        """False in a child of the process in which the client was started: a fork takes no threads along."""
        return not self._is_dead and self._process == os.getpid()

    @property
    def is_idle_heirloom(self) -> bool:
        """Whether the client was made before this process was forked, and is not in use here, as it was not there."""
        return self._is_inherited and bool(self._client._stopped.is_set())

    def _after_fork(self) -> None:
        """In the child: forgets what lives in the parent alone, and the locks, which its threads may have held."""
        self._is_dead = self._is_dead or not self._client._stopped.is_set()
        if not self._is_dead:
            self._process, self._is_inherited = os.getpid(), True
        self._lock = threading.RLock()
        self._calling = self._client.handler.rlock_object()
        self._rewatching = self._client.handler.rlock_object()
        self._subscriptions = []
        self._probing.clear()
        self._recursive_watches.clear()
        self._one_shot_watches.clear()
        self.observers.after_fork()
        if isinstance(self._client.handler, SequentialThreadingHandler):
            # It stops its threads when Python ends. Here there are none, and its lock may have been taken by one.
            atexit.unregister(self._client.handler.stop)

    # Public: streams and requests

    def subscribe(self, root: str, sink: Sink) -> Subscription:
        """Streams to `sink` the watch events at and below the server's path `root`, and every state change.

        When the client is connected, the stream begins with `Connected`.
        """
        with self._lock:
            subscription = Subscription(self, root, sink)
            self._subscriptions.append(subscription)
            if self._client.connected:
                sink(self._connected())
        return subscription

    def submit(self, request: Request, sink: Sink) -> None:
        """Queues a request; its `Reply`, or that it stays `Unanswered`, goes to `sink`.

        Not for the connection's own thread, which this may wait for.
        """
        refusal = self._capabilities.refuses(request, self._peer, time.monotonic())
        if refusal is not None:
            sink(Reply(request, -1, *request.refused(refusal), 0))
            return
        self._client._call(request, _OwnResult(self._client, request, sink))

    def probe(self, kind: str, path: str) -> None:
        """Asks for a barrier of a kind of `BARRIERS`, unless one is under way; any path on the server will do.

        Every subscription's stream has its `Barrier`, or `BarrierFailed`, at its place. Not for the connection's own
        thread, nor at a server that is cut off from its quorum.
        """
        with self._lock:
            if kind in self._probing:
                return
            self._probing.add(kind)
        probe = Probe.of_kind(kind, path)
        self.submit(probe.request, functools.partial(self._on_probed, probe))

    def _on_probed(self, probe: Probe, answer: Message) -> None:
        self._probing.discard(probe.kind)
        verdict = probe.verdict(answer)
        for subscription in self._subscriptions:
            subscription.sink(verdict)

    def listen(self, listener: Callable[[StateChange], None]) -> None:
        """Calls `listener` with each change of the client's state, on the connection's thread; it must not block."""
        self._state_listeners.append(listener)

    def limit_replies(self, max_bytes: int) -> None:
        """Bounds what a server may say at once, in bytes; the largest bound that was asked for counts."""
        self._buffer.limit = max(max_bytes, self._buffer.limit) if self._is_limited else max_bytes
        self._is_limited = True

    def allow_giving_up(self, is_over: GivingUp) -> None:
        """Lets the session end when servers hang up on it; without this it never does, as with kazoo alone.

        `is_over` is asked each time a server hangs up on an attempt to resume the session: on the connection's thread,
        so it must not block. Its arguments are the newest zxid that the client has seen, and for how many seconds it
        has not heard from a server. Where it says True, the client goes on with a new session.

        For a client of one's own alone: an application's session, and its ephemerals, are the application's.
        """
        self._gives_up = is_over

    @property
    def tried(self) -> str | None:
        """The server, as `host:port`, that the client is connected or connecting to, or tried last."""
        return self._tried

    def inquire(self) -> None:
        """Finds out, unless that is under way, what the connected server can do; `Capable` follows in every stream.

        The server is asked on a connection of its own, which harms nobody, and which takes a few seconds at most.
        """
        with self._lock:
            if not self._client.connected or self._inquiring == self._connections:
                return
            known = self._capabilities.recursive(self._peer_now(), time.monotonic())
            if known is not None:
                self._tell_capable(known)
                return
            self._inquiring = self._connections
        try:
            self._client.handler.spawn(self._inquire, self._connections, self._peer_now())
        except Exception as error:
            # There is no thread to be had.
            logger.warning("Cannot ask what %s can do: %s", self._server, error)
            self._on_found(self._connections, self._peer_now(), None)

    def _inquire(self, connection: int, peer: str) -> None:
        inquiry, found = None, None
        try:
            inquiry = Inquiry(self._client, self._connection.sasl_options, lambda client: Session.attach(client).submit)
            host, where = (self._server or "").rpartition(":")[0].strip("[]"), peer.rpartition(":")
            address = (host, where[0].strip("[]"), int(where[2]))
            inquiry.client._connection._expand_client_hosts = lambda: [address]
            found = inquiry.ask()
        except Exception as error:
            logger.warning("Cannot ask what %s can do: %s", peer, error)
        self._on_found(connection, peer, found)
        if inquiry is not None:
            inquiry.close()

    def _on_found(self, connection: int, peer: str, found: bool | None) -> None:
        with self._lock:
            if self._inquiring == connection:
                self._inquiring = None
            self._inquiries["undecided" if found is None else "recursive" if found else "classic"] += 1
            if connection != self._connections or not self._client.connected:
                return
            self._capabilities.found(peer, found, time.monotonic())
            if found is None:
                logger.info("%s: could not find out on a connection of its own what the server can do", self._server)
            elif self._told_recursive.get(peer, True) != found:
                word = "knows" if found else "does not know"
                logger.info("%s %s recursive watches and bulk reads", self._server, word)
            if found is not None:
                self._told_recursive[peer] = found
            self._tell_capable(found)

    def _tell_capable(self, recursive: bool | None) -> None:
        message = Capable(recursive, self._capabilities.ask_in(self._peer_now(), time.monotonic()))
        for subscription in self._subscriptions:
            subscription.sink(message)

    def _peer_now(self) -> str:
        """The address that the client is connected to: a name may stand for several servers."""
        return _peer(self._connection._socket) or self._server or ""

    def stats(self) -> ClientStats:
        """What the client is doing now."""
        client, connection = self._client, self._connection
        timeout, heard_at = self._granted_timeout, self._heard_unix.of(self._heard_at)
        return ClientStats(
            state=self._state(),
            server=self._server_now(),
            session_id=session_in_hex(client._session_id),
            transitions=dict(self._transitions),
            sessions_lost=dict(self._sessions_lost),
            session_started_at=self._session_started_at,
            session_timeout=timeout or 0.0,
            session_deadline_at=heard_at + timeout if timeout and heard_at else 0.0,
            last_heard_at=heard_at,
            last_zxid=max(client.last_zxid, self._pinged_zxid),
            connection_attempts=self._connection_attempts,
            connection_failures=dict(self._connection_failures),
            requests_outstanding=self._outstanding(),
            oldest_request_age=self._oldest_request_age(),
            sent_bytes=self._sent_bytes,
            received_bytes=self._received_bytes,
            watch_events=dict(self._watch_events),
            protocol_errors=dict(self._protocol_errors),
            inquiries=dict(self._inquiries),
            watches={
                "data": _watcher_count(client._data_watchers) + self._one_shot_watches.data,
                "child": _watcher_count(client._child_watchers) + self._one_shot_watches.children,
                "recursive": len(self._recursive_watches) if connection._socket is not None else 0,
            },
        )

    # Stepping in

    def _step_in(self) -> None:
        client, connection = self._client, self._connection
        self._original_async_result = client.handler.async_result
        self._original_call = client._call
        self._original_connect = connection._connect
        self._original_expand = connection._expand_client_hosts
        self._original_invoke = connection._invoke
        self._original_read = connection._read
        self._original_read_header = connection._read_header
        self._original_stop = client.stop
        self._original_submit = connection._submit
        self._original_write = connection._write
        client._call = self._call
        client.handler.async_result = self._async_result
        client.stop = self._stop
        connection._connect = self._connect
        connection._expand_client_hosts = self._expand_client_hosts
        connection._invoke = self._invoke
        connection._read = self._read
        connection._read_header = self._read_header
        connection._submit = self._submit
        connection._write = self._write
        connection._read_socket = self._read_socket
        if type(client.handler) is SequentialThreadingHandler:
            connection.handler = PollingHandler(client.handler, self._pause)
        client.add_listener(self._on_state)

    def _call(self, request: Any, result: Any) -> Any:
        # What has no result, such as the markers by which kazoo.testing breaks connections, has no end to observe.
        if self.observers and result is not None and self._client.client_state not in _OVER:
            result = self._observed(request, result)
        # kazoo wakes its connection through a socket. Once that is full, gevent and eventlet let only one wait for it;
        # kazoo would fail the request of any other, and yet send it as soon as something else wakes the connection.
        with self._calling:
            self._forget_answered()
            self._enqueued_at.append(time.monotonic())
            queue = self._client._queue
            answer = self._original_call(request, result)
            if self._client._queue is not queue or self._client.client_state in _OVER:
                self._fail_forgotten(queue, request, result)
            return answer

    def _fail_forgotten(self, queue: deque[Any], request: Any, result: Any) -> None:
        """Fails a request that was queued while its session ended.

        kazoo fails what is queued then and takes a new queue; what comes to the old one in between it would forget.
        """
        errors = {KeeperState.AUTH_FAILED: AuthFailedError, KeeperState.CLOSED: ConnectionLoss}
        if _take_out(queue, (request, result)) and result is not None:
            result.set_exception(errors.get(self._client.client_state, SessionExpiredError)())

    def _async_result(self) -> Any:
        """What kazoo gives its callers; callbacks are then run in the context of who asks for them, if anyone minds."""
        result = self._original_async_result()
        return in_context(result) if self.observers.follow_context else result

    def _stop(self) -> Any:
        """Ends the session by a request that kazoo queues without `_call`."""
        if self._client._stopped.is_set():
            return self._original_stop()
        self._enqueued_at.append(time.monotonic())
        is_call = self.observers and self._client.connected
        self._closing = closing = self.observers.begin(Close(), self._server_now()) if is_call else None
        try:
            return self._original_stop()
        finally:
            self._closing = None
            if closing is not None:
                closing.end(CONNECTION_LOST)

    def _write(self, message: Any, timeout: Any) -> None:
        try:
            self._original_write(message, timeout)
        except ConnectionDropped:
            # Why the server hung up may have arrived before: hear that out.
            with contextlib.suppress(Exception):
                self._read_socket(timeout)
            raise
        self._sent_bytes += len(message)

    def _read(self, length: int, timeout: Any) -> Any:
        """kazoo's own read, which remains in use while a connection is being made."""
        if length < 0:
            raise ProtocolError("bad_frame", f"a frame of {length} bytes")
        if length > MAX_HANDSHAKE:
            raise ProtocolError("frame_too_large", f"a handshake of {length} bytes; at most {MAX_HANDSHAKE} are read")
        data = self._original_read(length, timeout)
        self._heard(len(data))
        return data

    def _read_header(self, timeout: Any) -> Any:
        """One reply while a connection is being made; those of SASL are ended by this alone."""
        header, frame, offset = self._original_read_header(timeout)
        self.observers.answered(header.xid, header.zxid, len(frame), error_of(header.err))
        return header, frame, offset

    def _expand_client_hosts(self) -> Any:
        self._tried = None
        try:
            addresses = self._original_expand()
        except (OSError, UnicodeError) as error:
            # Too many open files, or a name that cannot be one: kazoo's connection would end for ever.
            self._connection.logger.warning("Cannot resolve any host: %s", error)
            addresses = []
        if not addresses:
            self._connection_failures["dns"] += 1
        return addresses

    def _connect(self, host: str, *where: Any) -> Any:
        self._connection_attempts += 1
        self._server = self._tried = f"[{host}]:{where[-1]}" if ":" in host else f"{host}:{where[-1]}"
        try:
            return self._shake_hands(host, *where)
        except SessionExpiredError:
            raise
        except Exception as error:
            reason = _failure_reason(error, self._client.handler.timeout_exception)
            self._connection_failures[reason] += 1
            if reason == "hung_up" and self._is_given_up():
                self._given_up = True
                raise SessionExpiredError("the session is given up") from error
            raise

    def _shake_hands(self, *where: Any) -> Any:
        """Connects as kazoo does, but takes nothing on trust: kazoo ends its client on what it cannot decode."""
        self._client._stopped.wait(self._mistrust.remaining(self._server or "", time.monotonic()))
        received_before = self._received_bytes
        try:
            return self._original_connect(*where)
        except Exception as error:
            broken = protocol_error_in(error) if self._received_bytes > received_before else None
            if broken is None:
                raise
            self._on_protocol_error(broken)
            raise broken from error

    def _exchange(self, timeout: float, request: Any, xid: Any) -> Any:
        """kazoo's own exchange, and in its place one that checks what opens a session, and logs no traceback."""
        if not isinstance(request, Connect):
            return self._original_invoke(timeout, request, xid)
        connection = self._connection
        connection._submit(request, timeout, xid)
        (length,) = int_struct.unpack(connection._read(int_struct.size, timeout))
        reply = connection._read(length, timeout)
        try:
            connected, _ = request.deserialize(reply, 0)
        except Exception as error:
            raise ProtocolError("bad_reply", f"a handshake that cannot be decoded: {error}") from error
        if connected.time_out > 0 and not connected.passwd:
            raise ProtocolError("bad_reply", "a session without a password")
        return connected, None

    def _is_given_up(self) -> bool:
        """Whether a session that a server hangs up on is given up.

        A server does so without a quorum, which says nothing of the session, and where it has lost history that the
        client has seen (ZooKeeperServer.processConnectRequest), which it does for ever.
        """
        if self._gives_up is None or not self._client._session_id or self._last_heard is None:
            return False
        return self._gives_up(self._client.last_zxid, time.monotonic() - self._last_heard)

    def _invoke(self, timeout: float, request: Any, xid: Any = None) -> Any:
        """One exchange while a connection is being made; the first of them opens or resumes the session."""
        if self.observers:
            with self.observers.exchange(request, self._server) as call:
                call.xid = xid or 0
                sent_before, received_before = self._sent_bytes, self._received_bytes
                answer = self._exchange(timeout, request, xid)
                call.sent_bytes = self._sent_bytes - sent_before
                call.received_bytes = self._received_bytes - received_before
                if isinstance(request, Connect) and answer[0].time_out <= 0:
                    call.end(SESSION_EXPIRED)
        else:
            answer = self._exchange(timeout, request, xid)
        if isinstance(request, Connect) and answer[0].time_out > 0:
            self._granted_timeout = answer[0].time_out / 1000
            if answer[0].session_id != self._client._session_id:
                if self._client._session_id and self._ever_connected:
                    self._replaced = session_in_hex(self._client._session_id), self._session_started
                self._session_started, self._session_started_at = time.monotonic(), time.time()
        return answer

    # State changes

    def _on_state(self, state: KazooState) -> None:
        with self._lock:
            if state == KazooState.CONNECTED:
                changes = [*self._replacement(), self._state_change("")]
                self._ever_connected = True
                self._connected_at, self._disconnected_at = time.monotonic(), None
                self._connections += 1
                self._peer = self._peer_now()
                message: Message = self._connected()
            else:
                self._recursive_watches.clear()
                self._one_shot_watches.clear()
                self._on_hang_up()
                self.observers.connection_lost()
                # kazoo reports a dropped connection while it handles what dropped it.
                why = sys.exc_info()[1]
                reason = ("" if why is None else str(why)) if state == KazooState.SUSPENDED else self._end_of_session()
                changes = [self._state_change(reason)]
                self._disconnected_at = self._disconnected_at or time.monotonic()
                self._connected_at = None
                message = Suspended() if state == KazooState.SUSPENDED else Lost()
            self._transitions[self._state()] += 1
            for subscription in self._subscriptions:
                subscription.sink(message)
        for change in changes:
            for listener in self._state_listeners:
                listener(change)

    def _replacement(self) -> list[StateChange]:
        """Ends a session for which a server has opened another one without a word, as ClickHouse Keeper does.

        kazoo takes it for the old one resumed, and so do its users. But the ephemerals of the old one are gone.
        """
        replaced, self._replaced = self._replaced, None
        if replaced is None:
            return []
        self._pinged_zxid = 0
        self._sessions_lost["replaced"] += 1
        for subscription in self._subscriptions:
            subscription.sink(Lost())
        session_id, started = replaced
        return [self._state_change("replaced")._replace(state="lost", session_id=session_id, session_age=_age(started))]

    def _end_of_session(self) -> str:
        """Counts the end of a session; gives its reason, one of `LOST_REASONS` or `closed`."""
        self._pinged_zxid = 0
        given_up, self._given_up = self._given_up, False
        reasons = {
            KeeperState.EXPIRED_SESSION: "given_up" if given_up else "expired",
            KeeperState.AUTH_FAILED: "auth_failed",
        }
        reason = reasons.get(self._client.client_state, "closed")
        if reason in self._sessions_lost:
            self._sessions_lost[reason] += 1
        return reason

    def _state_change(self, reason: str) -> StateChange:
        return StateChange(
            state=self._state(),
            server=self._tried or self._server,
            session_id=session_in_hex(self._client._session_id),
            reason=reason,
            session_age=_age(self._session_started),
            connected_for=_age(self._connected_at),
            disconnected_for=_age(self._disconnected_at),
        )

    def _connected(self) -> Connected:
        read_only = self._client.client_state == KeeperState.CONNECTED_RO
        known, peer, now = self._capabilities, self._peer_now(), time.monotonic()
        server, recursive = self._server_now() or "", known.recursive(peer, now)
        return Connected(server, read_only, recursive, known.ask_in(peer, now), known.request_bytes(peer))

    def _on_hang_up(self) -> None:
        shorter = self._capabilities.disconnected(self._peer, time.monotonic())
        if shorter is not None:
            logger.warning(
                "%s closed the connection on a long request, as it does above its jute.maxbuffer: "
                "requests have at most %d bytes from now on",
                self._server,
                shorter,
            )

    def _state(self) -> str:
        if self._is_dead:
            return "lost"
        if self._client.state == KazooState.CONNECTED:
            return "connected_ro" if self._client.client_state == KeeperState.CONNECTED_RO else "connected"
        if self._client.state == KazooState.SUSPENDED:
            return "suspended"
        return "lost" if self._ever_connected else "connecting"

    def _server_now(self) -> str | None:
        if self._is_dead or not self._client.connected:
            return None
        if self._server is None:
            self._server = _peer(self._connection._socket)
        return self._server

    # The stream: reading whole frames, as many as have arrived

    def _read_socket(self, read_timeout: float) -> Any:
        """Stands in for kazoo's method of the same name, which reads one frame with several system calls."""
        sock, handler = self._connection._socket, self._client.handler
        if is_replaced(handler) and not handler.select([sock], [], [], read_timeout)[0]:
            raise handler.timeout_exception("socket time-out during read")
        self._heard(self._buffer.receive(sock))
        try:
            with contextlib.closing(self._buffer.frames()) as frames:
                for frame in frames:
                    if self._on_frame(frame) == CLOSE_RESPONSE:
                        return CLOSE_RESPONSE
        except ProtocolError as error:
            self._on_protocol_error(error)
            raise
        self._moderation.read(self._last_heard or 0.0)
        return None

    def _on_protocol_error(self, error: ProtocolError) -> None:
        """Counts what the server did wrong, and puts the next connection to it off: kazoo would make it at once."""
        self._protocol_errors[error.reason] += 1
        server = self._server_now() or self._server or ""
        if self._mistrust.broken(server, time.monotonic(), self._granted_timeout):
            self._connection.logger.warning("%s broke the protocol (%s): %s", server, error.reason, error)
        self._capabilities.given_up()
        pending = self._client._pending
        if error.reason == "frame_too_large" and pending and isinstance(pending[0][0], ReadRequest):
            request: ReadRequest = pending[0][0]
            shorter = self._capabilities.answered_at_length(request, self._peer, time.monotonic())
            change = f"requests have at most {shorter} bytes"
            if shorter is None:
                change = f"{request.first_path[:100]!r} is not read for a while"
            logger.warning("%s answers %r with too much: %s", server, request, change)

    def drop(self, reason: str) -> None:
        """Ends the connection, not the session, because of a reply that cannot be decoded; `reason` as counted."""
        self._on_protocol_error(ProtocolError(reason, "a reply that cannot be decoded"))
        sock = self._connection._socket
        if sock is not None:
            # kazoo's own thread then reads the end of the stream, and connects again. Not with a TLS socket's own
            # method, which would have that thread read what is still encrypted.
            shutdown = socket.socket.shutdown if isinstance(sock, socket.socket) else type(sock).shutdown
            with contextlib.suppress(OSError):
                shutdown(sock, socket.SHUT_RDWR)

    def _pause(self) -> float:
        """For how many seconds events may gather: not while anyone else's request waits for its reply."""
        pending = self._client._pending
        return self._moderation.pause if not pending or isinstance(pending[0][0], Request) else 0.0

    def _on_frame(self, frame: bytes) -> Any:
        if len(frame) < _HEADER.size:
            raise ProtocolError("bad_frame", f"a message of {len(frame)} bytes, without a whole header")
        xid, zxid, error = _HEADER.unpack_from(frame)
        if xid == WATCH_XID:
            self._on_watch_event(frame, zxid)
        elif xid == PING_XID:
            self._connection.ping_outstanding.clear()
            self._pinged_zxid = max(self._pinged_zxid, zxid)
            self.observers.answered(xid, zxid, len(frame))
        elif xid == AUTH_XID:
            self._on_auth_reply(error)
        else:
            return self._on_reply(frame, xid, zxid, error)
        return None

    def _on_reply(self, frame: bytes, xid: int, zxid: int, error: int) -> Any:
        client = self._client
        if not client._pending or client._pending[0][2] != xid:
            if self._on_overtaking_reply(xid, error):
                raise ConnectionDropped(f"a reply with xid {xid} that is not waited for next")
            raise ProtocolError("unexpected_reply", f"a reply with xid {xid} that nothing waits for")
        request, result, _ = client._pending[0]
        call: Call | None = getattr(result, "call", None)
        if call is not None:
            call.zxid, call.received_bytes = zxid, len(frame)
        if isinstance(request, Request):
            client._pending.popleft()
            if zxid > 0:
                client.last_zxid = zxid
            self._on_own_reply(request, error)
            if call is not None:
                call.end(None if error == NO_NODE and isinstance(request, Exists) else error_of(error))
            result.sink(Reply(request, zxid, error, frame, _HEADER.size))
            return None
        if error and error not in EXCEPTIONS:
            raise ProtocolError("bad_reply", f"a reply with the unknown error code {error}")
        if result is None:
            self.observers.answered(xid, zxid, len(frame), error_of(error))
        try:
            return self._connection._read_response(ReplyHeader(xid, zxid, error), frame, _HEADER.size)
        except Exception as failure:
            # kazoo has taken the request out already, and would end its client.
            if result is not None:
                result.set_exception(failure)
            raise ProtocolError("bad_reply", f"a reply that cannot be decoded: {failure}") from failure

    def _on_overtaking_reply(self, xid: int, error: int) -> bool:
        """A server refuses what it does not know at once, before it answers earlier requests, and hangs up.

        Gives whether anything waits for the reply.
        """
        waiting = [request for request, _, pending_xid in self._client._pending if pending_xid == xid]
        for request in waiting:
            if isinstance(request, Request):
                self._on_own_reply(request, error)
        return bool(waiting)

    def _on_auth_reply(self, error: int) -> None:
        """Answers the auth request itself: the server lets its reply overtake those of earlier requests."""
        pending = self._client._pending
        position = next((i for i, (_, _, xid) in enumerate(pending) if xid == AUTH_XID), None)
        if position is None:
            raise ProtocolError("unexpected_reply", "a reply to an authentication that nothing waits for")
        _, result, _ = pending[position]
        del pending[position]
        if error:
            result.set_exception(AuthFailedError())
            self._client._session_callback(KeeperState.AUTH_FAILED)
        else:
            result.set(True)

    def _on_watch_event(self, frame: bytes, zxid: int) -> None:
        self._moderation.event()
        kind, path = _watch_event(frame)
        if 1 <= kind <= len(WATCH_EVENTS):
            self._watch_events[WATCH_EVENTS[kind - 1]] += 1
        self._one_shot_watches.fired(kind, path)
        trace = self.observers.watch_fired(kind, path)
        event = WatchEvent(kind, path, zxid, self._last_heard or 0.0, trace)
        self._tell(event)
        if self._has_one_shot_watchers(path) or hasattr(self._client, "add_watch"):
            self._connection._read_watch_event(frame, _HEADER.size)
        if kind in (CREATED, DELETED):
            self._fire_child_watchers(event)

    def _has_one_shot_watchers(self, path: str) -> bool:
        return path in self._client._data_watchers or path in self._client._child_watchers

    # Recursive watches beside the one-shot watches of others.
    #
    # The server does not count watches, and before 3.9 a path has one mode for the whole session, the last one set:
    # a one-shot watch ends a recursive one on the same path and the other way round (ZOOKEEPER-4466, 4472). But a
    # recursive watch reports all that one-shot watches on its path would. So those are set on this side only, and fired
    # from the recursive watch's events.

    def _submit(self, request: Any, timeout: Any, xid: Any = None) -> None:
        """Sends a request: here, in the order of the wire, it is known which paths are watched recursively."""
        if isinstance(request, AddWatch):
            self._recursive_watches.add(request.path)
        elif isinstance(request, RemoveWatches):
            self._recursive_watches.discard(request.path)
        call = self._call_being_sent(request, xid)
        if isinstance(request, Request):
            self._capabilities.asked(request, time.monotonic())
            if isinstance(request, WatchingRead) and request.path in self._recursive_watches:
                request.watch = False
        elif getattr(request, "watcher", None) and request.path in self._recursive_watches:
            request = request._replace(watcher=None)
        sent_before = self._sent_bytes
        self._original_submit(request, timeout, xid)
        if call is not None:
            call.sent_bytes = self._sent_bytes - sent_before

    def _on_own_reply(self, request: Request, error: int) -> None:
        self._capabilities.answered(request, error, self._peer, time.monotonic())
        self._one_shot_watches.answered(request, error)
        if isinstance(request, AddWatch) and error != OK:
            self._recursive_watches.discard(request.path)
        elif not isinstance(request, RemoveWatches):
            return
        assert isinstance(request, AddWatch | RemoveWatches)
        if request.path not in self._recursive_watches:
            # One-shot watches that were set on this side only have lost what fired them: fire them while it is known.
            self._fire(CHANGED, request.path)
            self._fire(CHILD, request.path)
            self._tell(WatchEvent(CHILD, request.path, -1, time.monotonic()))

    def _fire_child_watchers(self, event: WatchEvent) -> None:
        """A recursive watch reports a child where a watch for children would report its parent."""
        parent = event.path[: event.path.rindex("/")] or "/"
        if parent in self._recursive_watches:
            self._tell(event._replace(kind=CHILD, path=parent))
            if parent in self._client._child_watchers:
                self._fire(CHILD, parent)

    def _tell(self, event: WatchEvent) -> None:
        for subscription in self._subscriptions:
            if subscription.covers(event.path):
                subscription.sink(event)

    def _fire(self, kind: int, path: str) -> None:
        """Has kazoo fire its one-shot watches as if this event had come."""
        connected = 3
        self._connection._read_watch_event(struct.pack("!ii", kind, connected) + encode_string(path), 0)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription, and its watches on the server unless someone else needs a watch on their paths."""
        with self._lock:
            if subscription not in self._subscriptions:
                return
            self._subscriptions = [other for other in self._subscriptions if other is not subscription]
        for path in sorted(subscription.watched):
            self._unwatch(RemoveWatches(path), _ignore)

    def _watch(self, subscription: Subscription, request: AddWatch) -> None:
        with self._rewatching:
            subscription.watched.add(request.path)
            self.submit(request, subscription.sink)

    def _unwatch(self, request: RemoveWatches, sink: Sink) -> None:
        """Sends the request unless someone needs a watch on its path: the server does not count."""
        path = request.path
        with self._rewatching:
            shared = any(path in other.watched for other in self._subscriptions) or self._has_one_shot_watchers(path)
            if self._watches_recursively(path) and not shared:
                self.submit(request, sink)

    def _watches_recursively(self, path: str) -> bool:
        """Whether this connection watches a path recursively, or will as soon as it has sent what is queued."""
        if not self._client.connected:
            return False
        queued = (request for request, _ in list(self._client._queue))
        return path in self._recursive_watches or any(
            isinstance(request, AddWatch) and request.path == path for request in queued
        )

    # Calls, for observers

    def _observed(self, request: Any, result: Any) -> Any:
        """Begins a call; gives what kazoo is to complete instead of `result`, so that its end is seen."""
        call = self.observers.begin(request, self._server_now())
        if isinstance(result, _OwnResult):
            result.call = call
            return result
        return _ObservedResult(result, call)

    def _call_being_sent(self, request: Any, xid: int | None) -> Call | None:
        """The call that a request belongs to; begins it for those that kazoo makes by itself."""
        call: Call | None = None
        if xid == PING_XID or isinstance(request, Close | SASL):
            call = self._closing if isinstance(request, Close) else None
            if call is None and self.observers:
                call = self.observers.begin(request, self._server_now())
            if call is not None:
                self.observers.expect(call, xid or 0)
        else:
            queue = self._client._queue
            queued, result = queue[0] if queue else (None, None)
            call = getattr(result, "call", None) if queued is request else None
        if call is not None:
            call.server, call.xid = self._server_now(), xid or 0
        return call

    # Measurements

    def _heard(self, size: int) -> None:
        self._received_bytes += size
        self._heard_at = heard = Moment.now()
        self._last_heard = heard.monotonic

    def _outstanding(self) -> int:
        return len(self._client._queue) + len(self._client._pending)

    def _forget_answered(self) -> None:
        """Requests are answered in the order they were made, so those still out are the youngest."""
        outstanding = self._outstanding()
        while len(self._enqueued_at) > outstanding:
            self._enqueued_at.popleft()

    def _oldest_request_age(self) -> float:
        outstanding = self._outstanding()
        times = list(self._enqueued_at)[-outstanding:] if outstanding else []
        return max(0.0, time.monotonic() - times[0]) if times else 0.0


class Subscription:
    """One reader of a session's stream; `close` it when done."""

    def __init__(self, session: Session, root: str, sink: Sink) -> None:
        self.root = root
        self.sink = sink
        #: The paths on which the reader wants a recursive watch, its root in any case.
        self.watched = {root}
        self._session = session
        self._below = root if root == "/" else root + "/"

    def covers(self, path: str) -> bool:
        """Whether a path of the server is the root or below it."""
        return path == self.root or path.startswith(self._below)

    def submit(self, request: Request) -> None:
        """Queues a request, the answer to which goes into the stream; see `Session.submit`.

        A watch that others need as well is not taken off, and that request gets no answer.
        """
        if isinstance(request, AddWatch):
            self._session._watch(self, request)
        elif isinstance(request, RemoveWatches):
            self.watched.discard(request.path)
            self._session._unwatch(request, self.sink)
        else:
            self._session.submit(request, self.sink)

    def close(self) -> None:
        """Ends the stream and takes its recursive watches off the server, unless others need watches there."""
        self._session.unsubscribe(self)


class _OwnResult:
    """What kazoo completes when it fails a request of ours itself; the session answers all others."""

    def __init__(self, client: KazooClient, request: Request, sink: Sink) -> None:
        self._client = client
        self._request = request
        self.sink = sink
        self.call: Call | None = None

    def set(self, value: object = None) -> None:
        raise AssertionError("kazoo answered a request that is not its own")

    def set_exception(self, exception: Exception) -> None:
        if self.call is not None:
            self.call.end(error_of(exception))
        self.sink(Unanswered(self._request, bool(self._client.connected)))


class _ObservedResult:
    """What kazoo completes in place of a caller's result, so that the end of the call is seen first."""

    __slots__ = ("_result", "call")

    def __init__(self, result: Any, call: Call) -> None:
        self._result = result
        self.call = call

    def set(self, value: object = None) -> None:
        self.call.end(error_of(value))
        self._result.set(value)

    def set_exception(self, exception: Exception) -> None:
        self.call.end(error_of(exception))
        self._result.set_exception(exception)


def check_private_names(client: KazooClient) -> None:
    """Raises IncompatibleKazooError, naming what is missing, unless the client has all of `PRIVATE_NAMES`."""
    owners = {"client": client, "client._connection": getattr(client, "_connection", None)}
    missing = [
        f"{owner}.{name}"
        for owner, names in PRIVATE_NAMES.items()
        for name in names
        if not hasattr(owners[owner], name)
    ]
    if missing:
        raise IncompatibleKazooError(f"this release of kazoo has no {', '.join(missing)}")


def _failure_reason(error: BaseException, timeout_exception: type[BaseException]) -> str:
    """Sorts what kept a connection from being made into one of `FAILURE_REASONS`."""
    cause = error.__context__ if isinstance(error, ConnectionDropped) and error.__context__ else error
    # kazoo's ConnectionDropped stands for a hang-up where it has no error of the socket as its context.
    hung_up = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError, ConnectionDropped)
    reasons: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (socket.gaierror, "dns"),
        (ConnectionRefusedError, "refused"),
        (ssl.SSLError, "tls"),
        ((TimeoutError, socket.timeout, timeout_exception), "timeout"),
        (AuthFailedError, "auth"),
        (hung_up, "hung_up"),
    )
    return next((reason for kind, reason in reasons if isinstance(cause, kind)), "other")


def _take_out(queue: deque[Any], entry: object) -> bool:
    """Takes an entry out of a queue that others take from; False if they have."""
    while True:
        try:
            queue.remove(entry)
        except IndexError:
            continue
        except ValueError:
            return False
        return True


def _watch_event(frame: bytes) -> tuple[int, str]:
    """The kind and the path of a ``WatcherEvent``. Raises ProtocolError if the frame holds none."""
    try:
        kind, _, length = _WATCH_EVENT.unpack_from(frame, _HEADER.size)
        start = _HEADER.size + _WATCH_EVENT.size
        if not 0 <= length <= len(frame) - start:
            raise ValueError(f"a path of {length} bytes in {len(frame) - start} bytes")
        path = frame[start : start + length].decode()
        if 1 <= kind <= len(WATCH_EVENTS) and not _is_path(path):
            raise ValueError(f"an event of the path {path[:100]!r}")
    except (struct.error, ValueError) as error:
        raise ProtocolError("bad_event", f"a watch event that cannot be decoded: {error}") from error
    return kind, path


def _is_path(path: str) -> bool:
    return path == "/" or (path.startswith("/") and not path.endswith("/") and "//" not in path)


def _peer(sock: Any) -> str | None:
    try:
        host, port = sock.getpeername()[:2]
    except (AttributeError, OSError):
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _watcher_count(watchers: dict[str, set[Any]]) -> int:
    return sum(map(len, list(watchers.values())))


def _age(monotonic: float | None) -> float | None:
    return None if monotonic is None else time.monotonic() - monotonic


def _ignore(message: Message) -> None:
    """A sink for replies that change nothing."""


def _after_fork() -> None:
    global _attaching
    _attaching = threading.Lock()
    for session in list(_sessions):
        session._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
