"""Calls: each request of a client, from its beginning to its end, for observers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

#: The names of ZooKeeper's operations (``ZooDefs.OpCode``) by code, for those that kazoo and this package send. Each
#: takes the series of a histogram.
_OPERATIONS: Mapping[int | None, str] = {
    -11: "closeSession",
    None: "createSession",
    1: "create",
    2: "delete",
    3: "exists",
    4: "getData",
    5: "setData",
    6: "getACL",
    7: "setACL",
    8: "getChildren",
    9: "sync",
    11: "ping",
    12: "getChildren2",
    14: "multi",
    15: "create2",
    16: "reconfig",
    18: "removeWatches",
    22: "multiRead",
    100: "auth",
    102: "sasl",
    106: "addWatch",
}
#: The names of ZooKeeper's errors (``KeeperException.Code``) by code.
_ERRORS: Mapping[int, str] = {
    -1: "SYSTEMERROR",
    -2: "RUNTIMEINCONSISTENCY",
    -3: "DATAINCONSISTENCY",
    -4: "CONNECTIONLOSS",
    -5: "MARSHALLINGERROR",
    -6: "UNIMPLEMENTED",
    -7: "OPERATIONTIMEOUT",
    -8: "BADARGUMENTS",
    -13: "NEWCONFIGNOQUORUM",
    -14: "RECONFIGINPROGRESS",
    -100: "APIERROR",
    -101: "NONODE",
    -102: "NOAUTH",
    -103: "BADVERSION",
    -108: "NOCHILDRENFOREPHEMERALS",
    -110: "NODEEXISTS",
    -111: "NOTEMPTY",
    -112: "SESSIONEXPIRED",
    -113: "INVALIDCALLBACK",
    -114: "INVALIDACL",
    -115: "AUTHFAILED",
    -118: "SESSIONMOVED",
    -119: "NOTREADONLY",
    -120: "EPHEMERALONLOCALSESSION",
    -121: "NOWATCHER",
    -122: "REQUESTTIMEOUT",
    -123: "RECONFIGDISABLED",
    -124: "SESSIONCLOSEDREQUIRESASLAUTH",
    -125: "QUOTAEXCEEDED",
    -127: "THROTTLEDOP",
}
OTHER = "other"

CONNECTION_LOST = _ERRORS[-4]
SESSION_EXPIRED = _ERRORS[-112]
#: The errors of a transaction's operations that failed only because another one did.
_CONSEQUENCES = (_ERRORS[-2], OTHER)

OPERATIONS = (*_OPERATIONS.values(), OTHER)
ERRORS = (*_ERRORS.values(), OTHER)


class Call:
    """One request of a client and its result.

    ``request`` is kazoo's or a session's. ``began_at`` and ``ended_at`` are monotonic times: a call begins when it is
    made and ends with its reply, its error or the loss of its connection. ``server`` is at first the one that the
    client is connected to, if any, and then the one that the request is sent to. Until it is sent, ``xid`` and
    ``sent_bytes`` are 0. ``zxid`` and ``received_bytes`` are the reply's, 0 without one. ``error`` is one of `ERRORS`,
    None unless the call failed; an ``exists`` that finds no znode is no failure.

    ``span`` and ``exemplar`` are for observers: the tracer's span, and a reference to it (trace id and span id by
    OpenMetrics' names) if the trace is sampled.
    """

    __slots__ = (
        "_ending",
        "began_at",
        "ended_at",
        "error",
        "exemplar",
        "observers",
        "operation",
        "received_bytes",
        "request",
        "sent_bytes",
        "server",
        "span",
        "xid",
        "zxid",
    )

    def __init__(self, request: Any, observers: tuple[ClientObserver, ...], server: str | None = None) -> None:
        self.request = request
        #: One of `OPERATIONS`. A request of which kazoo knows no type is another.
        self.operation = _OPERATIONS.get(getattr(request, "type", 0), OTHER)
        self.observers = observers
        self.began_at = time.monotonic()
        self.ended_at: float | None = None
        self.server = server
        self.xid = 0
        self.zxid = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.error: str | None = None
        self.span: Any = None
        self.exemplar: Mapping[str, str] | None = None
        #: Acquired by the first `end` of the call, and never released.
        self._ending = threading.Lock()

    def end(self, error: str | None) -> None:
        """Ends the call, unless it has ended: kazoo may fail a request on one thread and answer it on another."""
        if not self._ending.acquire(blocking=False):
            return
        self.ended_at = time.monotonic()
        self.error = error
        for observer in self.observers:
            try:
                observer.call_ended(self)
            except Exception:
                logger.exception("an observer of ZooKeeper calls failed")

    @property
    def path(self) -> str | None:
        """The path on the server that the call concerns; None if it concerns none or several."""
        path = getattr(self.request, "path", None)
        return path if isinstance(path, str) else None

    @property
    def watches(self) -> bool:
        """Whether it sets a one-shot watch: then kazoo's requests have a watcher, and a session's requests a flag."""
        return bool(getattr(self.request, "watcher", None) or getattr(self.request, "watch", None))

    @property
    def batch_size(self) -> int | None:
        """How many operations a multi or a multiRead has, None for anything else."""
        operations = getattr(self.request, "operations", None)
        return operations if isinstance(operations, int) else None if operations is None else len(operations)


class ClientObserver:
    """The notifications of a client; override the methods that you need. They run on any thread and must not block."""

    @property
    def follows_context(self) -> bool:
        """Whether callbacks of results must run in the context in which they were registered."""
        return False

    def call_began(self, call: Call) -> None:
        """A call began; called by the thread that makes it."""

    def call_ended(self, call: Call) -> None:
        """A call ended with its reply, its error or the loss of its connection; called once for each that began."""

    def connected(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        """A server granted or resumed a session, this long after the client began to connect to it.

        `exemplar` refers to the trace of the request for the session, if that is sampled.
        """

    def watch_fired(self, kind: int, path: str) -> object:
        """A watch event came for a path on the server; the return value becomes the event's ``trace``."""
        return None

    def joined(self, tenant: object) -> None:
        """A tenant of the client's session, such as a cache, started; raises to refuse it."""

    def left(self, tenant: object) -> None:
        """A tenant has ended."""

    def forked(self) -> None:
        """This process is a fork's child: tenants from before the fork live in the parent only."""


def error_of(failure: object) -> str | None:
    """The name of the error that a call ended with, by an exception, a server's error code, or a result.

    A transaction's result has the error of each operation; the one that made it fail counts.
    """
    if isinstance(failure, bool) or failure is None:
        return None
    if isinstance(failure, int):
        return _ERRORS.get(failure, OTHER) if failure else None
    if isinstance(failure, Exception):
        return _ERRORS.get(getattr(failure, "code", 0), OTHER)
    if isinstance(failure, list):
        errors = [error_of(part) for part in failure if isinstance(part, Exception)]
        causes = [error for error in errors if error not in _CONSEQUENCES]
        return next(iter((*causes, *errors)), None)
    return None
