"""Observers: notifies the observers of a client; their errors do not disturb it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from exporter.zookeeper.calls import CONNECTION_LOST, Call, ClientObserver, error_of

logger = logging.getLogger(__name__)

Observer = TypeVar("Observer")


class Observers:
    """The observers of one client, and the tenants of its session, such as caches."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._observers: tuple[ClientObserver, ...] = ()
        #: The observers that override `watch_fired`, since watch events may be many.
        self._of_events: tuple[ClientObserver, ...] = ()
        self._tenants: list[object] = []
        #: Calls that kazoo makes itself and reports to nobody, by xid; all pings have the same xid.
        self._kazoo_calls: defaultdict[int, deque[Call]] = defaultdict(deque)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._observers)

    def __iter__(self) -> Iterator[ClientObserver]:
        return iter(self._observers)

    @property
    def follow_context(self) -> bool:
        """Whether an observer wants callbacks to run in the context in which they were registered."""
        return any(observer.follows_context for observer in self._observers)

    def _change(self, observers: tuple[ClientObserver, ...]) -> None:
        self._observers = observers
        self._of_events = overriding(ClientObserver, "watch_fired", observers)

    # Observers and tenants

    def add(self, observer: ClientObserver) -> None:
        """Notifies an observer of every call and watch event from now on, and of the present tenants.

        Raises:
            Exception: the observer refuses a tenant; it then observes nothing.
        """
        with self._lock:
            _announce((observer, tenant) for tenant in self._tenants)
            self._change((*self._observers, observer))

    def remove(self, observer: ClientObserver) -> None:
        """Stops notifying an observer, except of the ends of calls whose beginnings it knows."""
        with self._lock:
            if observer in self._observers:
                self._change(tuple(other for other in self._observers if other is not observer))
                for tenant in self._tenants:
                    _notify_left(observer, tenant)

    def join(self, tenant: object) -> None:
        """Adds a tenant, and notifies the observers.

        Raises:
            Exception: an observer refuses the tenant; no observer then knows of it.
        """
        with self._lock:
            _announce((observer, tenant) for observer in self._observers)
            self._tenants.append(tenant)

    def leave(self, tenant: object) -> None:
        """Undoes a `join`; does nothing without one."""
        with self._lock:
            if tenant in self._tenants:
                self._tenants.remove(tenant)
                for observer in self._observers:
                    _notify_left(observer, tenant)

    def after_fork(self) -> None:
        """In a fork's child: forgets tenants and calls under way."""
        self._lock = threading.RLock()
        self._tenants = []
        self._kazoo_calls.clear()
        for observer in self._observers:
            observer.forked()

    # Calls and events

    def begin(self, request: Any, server: str | None) -> Call:
        """Begins a call, to a server if that is known."""
        call = Call(request, self._observers, server)
        for observer in call.observers:
            try:
                observer.call_began(call)
            except Exception:
                logger.exception("an observer of ZooKeeper calls failed")
        return call

    def expect(self, call: Call, xid: int) -> None:
        """Notes a call that only its xid identifies at its end. Calls of the same xid are answered in order."""
        self._kazoo_calls[xid].append(call)

    def answered(self, xid: int, zxid: int, size: int, error: str | None = None) -> None:
        """Ends such a call, if any, with a reply of `size` bytes."""
        calls = self._kazoo_calls.get(xid)
        if calls:
            call = calls.popleft()
            call.zxid, call.received_bytes = zxid, size
            call.end(error)

    def connection_lost(self) -> None:
        """Ends all such calls."""
        while self._kazoo_calls:
            for call in self._kazoo_calls.popitem()[1]:
                call.end(CONNECTION_LOST)

    @contextlib.contextmanager
    def exchange(self, request: Any, server: str | None) -> Iterator[Call]:
        """A context that observes a call made and answered in it."""
        call = self.begin(request, server)
        error: str | None = CONNECTION_LOST
        try:
            yield call
            error = None
        except Exception as failure:
            error = error_of(failure) if hasattr(failure, "code") else CONNECTION_LOST
            raise
        finally:
            call.end(error)

    def connected(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        """Reports a connection on which a server granted a session, and how long it took to connect."""
        for observer in self._observers:
            try:
                observer.connected(seconds, exemplar)
            except Exception:
                logger.exception("an observer of ZooKeeper connections failed")

    def watch_fired(self, kind: int, path: str) -> object:
        """Reports a watch event; returns the first observer's value that is not None."""
        for observer in self._of_events:
            try:
                trace = observer.watch_fired(kind, path)
            except Exception:
                logger.exception("an observer of watch events failed")
                continue
            if trace is not None:
                return trace
        return None


def overriding(base: type[Observer], method: str, observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """The observers that override a method of their base class."""
    ignored = getattr(base, method)
    return tuple(observer for observer in observers if getattr(type(observer), method) is not ignored)


def _announce(meetings: Iterable[tuple[ClientObserver, object]]) -> None:
    """Notifies observers of tenants; if one refuses, undoes that for the others."""
    with contextlib.ExitStack() as taking_back:
        for observer, tenant in meetings:
            observer.joined(tenant)
            taking_back.callback(_notify_left, observer, tenant)
        taking_back.pop_all()


def _notify_left(observer: ClientObserver, tenant: object) -> None:
    try:
        observer.left(tenant)
    except Exception:
        logger.exception("an observer of the users of a ZooKeeper session failed")
