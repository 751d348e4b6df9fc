"""TreeCache: the public cache. Drives a replica from its session's stream and hands what follows to listeners."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, KazooException, SessionExpiredError
from kazoo.protocol.paths import normpath

from exporter.treecache.delivery import Call, Delivery, Listener, logger, report
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.freshness import Proven
from exporter.treecache.observer import CacheObserver
from exporter.treecache.observers import CacheObservers
from exporter.treecache.outcome import Event, Fault
from exporter.treecache.replica import MODES, Replica
from exporter.treecache.scope import Selector
from exporter.treecache.shard import Shard
from exporter.treecache.stats import EVENT_NAMES, FAULT_KINDS, CacheStats
from exporter.treecache.tree import Branch, record_of
from exporter.treecache.wakeup import wakeup
from exporter.zookeeper.messages import BARRIERS, Connected, Message, WatchEvent
from exporter.zookeeper.moments import SteadyTime
from exporter.zookeeper.records import UNREADABLE, data_of, stat_of
from exporter.zookeeper.session import Session, Subscription
from exporter.zookeeper.wire import Request

#: Seconds between looks at znodes that may not be read, of which no watch tells.
_POLL_INTERVAL = 10.0
#: Events that wake the engine although it would only note them.
_GATHERED = 256
#: Seconds that `close` grants a listener that is at work.
_LAST_CALL = 1.0

AnyListener = TypeVar("AnyListener", bound=Listener)


class TreeCache:
    """An in-memory copy of a subtree of znodes, kept up to date through watches.

    A drop-in for ``kazoo.recipe.cache.TreeCache``; what is keyword-only goes beyond it.

    Args:
        client: the kazoo client to read through, started or not; the cache follows its connection.
        path: the root of the subtree, inside the client's chroot.
        create_root: whether to create the root when it is missing, as kazoo's does. False changes no znode; a missing
            root is then an empty cache that comes alive when the root appears.
        keep_data: False keeps the znodes' stats without their data.
        mode: how to keep up: ``"recursive"`` with one recursive watch and bulk reads, which takes ZooKeeper 3.6;
            ``"classic"`` with one-shot watches on each znode and single reads; ``"auto"`` recursively where the server
            can, else classically.
        batch_size: the most operations that one request holds, from 1 on.
        window: the most bulk reads in flight, from 1 on.
        selector: which znodes belong to the cache and which are descended into; None for all.
        max_depth: how far below the root znodes may be, 0 for the root alone; None for any depth.
        max_nodes_per_second: how many znodes are read in a second at most; None for no limit.
        shard: which share of the root's children to hold, with all below them; None for all. Nothing below the others
            is watched or read.
        old_data: whether events carry what was known before, as `TreeEvent.old_data`.
        freshness_interval: the seconds from one proof of freshness to the next, see `verified_at`; None proves on
            demand only, by `verify`. Caches that share a client share what a proof costs the ensemble.
        freshness_timeout: the seconds after which a proof that has not succeeded counts as failed.
        freshness_barrier: what a proof asks of the ensemble: ``"quorum"``, a write that changes nothing, which is
            airtight and takes one record of about 86 bytes in the log of each server, 1.5 MB a day for one each 5 s;
            or ``"sync"``, which writes nothing and is a best effort: while it is answered by the leader, or by one that
            was deposed, it may miss what was written last.
        audit_interval: the seconds from the beginning of one audit to that of the next; None for none. An audit reads
            znodes that nothing was told of, and reads everything again if they are not what the cache holds.
        audit_sample: how many znodes one audit reads, each audit others, 0 for all.
        name: what metrics and spans call the cache; by default its path.

    Raises:
        ValueError: the path has a part ``.`` or ``..``, or an argument is out of its range.
    """

    STATE_LATENT = 0
    STATE_STARTED = 1
    STATE_CLOSED = 2

    def __init__(
        self,
        client: KazooClient,
        path: str,
        *,
        create_root: bool = True,
        keep_data: bool = True,
        mode: str = "auto",
        batch_size: int = 1024,
        window: int = 4,
        selector: Selector | None = None,
        max_depth: int | None = None,
        max_nodes_per_second: float | None = None,
        shard: Shard | None = None,
        old_data: bool = False,
        freshness_interval: float | None = None,
        freshness_timeout: float = 10.0,
        freshness_barrier: str = "quorum",
        audit_interval: float | None = None,
        audit_sample: int = 0,
        name: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        if batch_size < 1 or window < 1:
            raise ValueError(f"batch_size and window start at 1, not at {min(batch_size, window)}")
        if max_depth is not None and max_depth < 0:
            raise ValueError(f"max_depth starts at 0, not at {max_depth}")
        if max_nodes_per_second is not None and not max_nodes_per_second > 0:
            raise ValueError(f"max_nodes_per_second must be above 0, not {max_nodes_per_second}")
        _check_times(
            freshness_interval=freshness_interval, freshness_timeout=freshness_timeout, audit_interval=audit_interval
        )
        if freshness_barrier not in BARRIERS:
            raise ValueError(f"freshness_barrier must be one of {', '.join(BARRIERS)}, not {freshness_barrier!r}")
        if audit_sample < 0:
            raise ValueError(f"audit_sample starts at 0, not at {audit_sample}")
        self._client = client
        self._path = normpath("/" + path)
        self._prefix = "" if self._path == "/" else self._path
        self._create_root = create_root
        root = normpath((client.chroot or "") + self._path)
        self._replica = Replica(
            root,
            self._path,
            batch_size=batch_size,
            window=window,
            mode=mode,
            keep_data=keep_data,
            selector=selector,
            max_depth=max_depth,
            max_nodes_per_second=max_nodes_per_second,
            shard=shard,
            freshness_interval=freshness_interval,
            freshness_timeout=freshness_timeout,
            freshness_barrier=freshness_barrier,
            audit_interval=audit_interval,
            audit_sample=audit_sample,
            jitter=random.random,
        )
        self._name = name or self._path
        self._tell_old_data = old_data
        self._root_on_server = root
        self._state = self.STATE_LATENT
        self._session: Session | None = None
        self._process: int | None = None
        self._subscription: Subscription | None = None
        self._inbox: deque[Message] = deque()
        self._wake = wakeup(client.handler)
        self._engine_stopped = client.handler.event_object()
        self._initialized = client.handler.event_object()
        self._observers = CacheObservers()
        self._gathering = False
        self._poll_at = 0.0
        self._verified_unix = SteadyTime()
        #: Those who wait for a proof of a moment after they called, which is a monotonic time.
        self._verifications: list[tuple[float, Any]] = []
        self._delivery = Delivery(client.handler)
        self._listeners: list[Listener] = []
        self._fault_listeners: list[Listener] = []
        self._event_counts = [0] * len(EVENT_NAMES)
        self._fault_counts = dict.fromkeys(FAULT_KINDS, 0)

    # Lifecycle

    def start(self) -> None:
        """Starts the cache. Needs no connection and waits for none.

        With `create_root` and a connected client the root is created before this returns; otherwise it is created
        once there is a connection, and a refusal goes to the fault listeners.

        Raises:
            KazooException: the cache was started or closed before, or the root cannot be created.
            ValueError: the client is instrumented and has another cache of this name.
            IncompatibleKazooError: the installed kazoo lacks what the cache reads its session's stream through.
        """
        if self._state == self.STATE_CLOSED:
            raise KazooException("already closed")
        if self._state == self.STATE_STARTED:
            raise KazooException("already started")
        self._session = Session.attach(self._client)
        self._session.observers.join(self)
        self._process = os.getpid()
        self._state = self.STATE_STARTED
        if self._create_root and self._client.connected:
            self._create_root = False
            try:
                self._client.ensure_path(self._path)
            except Exception:
                self._session.observers.leave(self)
                raise
        self._delivery.start()
        self._subscription = self._session.subscribe(self._root_on_server, self._hear)
        try:
            self._client.handler.spawn(self._run)
        except Exception:
            # There is no thread to be had, and so nothing that `close` would have to wait for.
            self._engine_stopped.set()
            raise

    def close(self) -> None:
        """Closes the cache: takes its watch off the server, ends its threads and forgets its znodes.

        Events that were not yet delivered still are. Closing again does nothing; so does closing before the start.
        """
        if self._state != self.STATE_STARTED:
            return
        self._state = self.STATE_CLOSED
        if self._process != os.getpid():
            # A fork copies the cache without its threads, so none of them can be waited for: they are the parent's.
            return
        # First, so that nobody measures a cache that is being emptied.
        if self._session is not None:
            self._session.observers.leave(self)
        if self._subscription is not None:
            self._wake.set()
            self._engine_stopped.wait()
            self._subscription.close()
        self._inbox.clear()
        self._delivery.close()
        if self._subscription is not None and not self._delivery.is_current():
            self._delivery.wait_stopped(_LAST_CALL)

    def __enter__(self) -> TreeCache:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Listening

    def listen(self, listener: AnyListener) -> AnyListener:
        """Calls `listener` with each `TreeEvent` from now on, one at a time and in order. Usable as a decorator."""
        self._listeners.append(listener)
        return listener

    def listen_fault(self, listener: AnyListener) -> AnyListener:
        """Calls `listener` with each exception that the cache or its listeners meet. Usable as a decorator."""
        self._fault_listeners.append(listener)
        return listener

    # Observing

    @property
    def name(self) -> str:
        """What metrics and spans call the cache."""
        return self._name

    def observe(self, observer: CacheObserver) -> None:
        """Tells an observer of the cache's work from now on."""
        self._observers.add(observer)

    def disregard(self, observer: CacheObserver) -> None:
        """Tells an observer nothing more."""
        self._observers.remove(observer)

    # Reading

    def get_data(self, path: str, default: Any = None) -> Any:
        """The `NodeData` of a znode, or `default` when it is not in the cache or may not be read.

        Raises:
            ValueError: the path is outside of this subtree.
        """
        below = self._below_root(path)
        entry = self._replica.tree.find(below)
        if entry is None:
            return default
        record = record_of(entry)
        return default if record == UNREADABLE else self._node_data(below, record)

    def get_children(self, path: str, default: Any = None) -> Any:
        """The names of a znode's children as a frozenset, or `default` when the znode is not in the cache.

        Every shard of a tree has the names of all children of its root, though only its own of them are in the cache.

        Raises:
            ValueError: the path is outside of this subtree.
        """
        below = self._below_root(path)
        entry = self._replica.tree.find(below)
        if entry is None:
            return default
        held = frozenset(entry.children) if isinstance(entry, Branch) else frozenset()
        return held if below else held | self._replica.others

    def __len__(self) -> int:
        return len(self._replica.tree)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        """The absolute paths of the znodes in the cache, parents before children."""
        for below, entry in self._replica.tree.walk():
            if record_of(entry) != UNREADABLE:
                yield self._absolute(below)

    @property
    def initialized(self) -> bool:
        """Whether the session's first load is complete."""
        return bool(self._initialized.is_set())

    @property
    def _is_initialized(self) -> bool:
        """What users of kazoo's cache poll."""
        return self.initialized

    def wait_initialized(self, timeout: float | None = None) -> bool:
        """Waits until the session's first load is complete, at most `timeout` seconds; gives whether it is."""
        self._initialized.wait(timeout)
        return self.initialized

    @property
    def verified_at(self) -> float:
        """Up to when the cache is proven to hold every change, in Unix seconds; 0.0 before the first proof.

        What was committed before this moment is in the cache. It is constant from one proof to the next; so
        ``time.time() - cache.verified_at`` bounds how old the cache may be, whatever is wrong, and no clock of the
        ensemble's matters. What it covers is in docs/staleness.md.

        It is the wall clock's time of T0, read right after the monotonic clock's and before the barrier is sent: never
        before what `verify` waits for, and never after the moment that is proven. Should the wall clock be set back
        afterwards, it goes back as far, so that the cache does not look younger than it is; should the clock be set
        forward, the cache looks older until the next proof.
        """
        verified = self._replica.freshness.verified
        return self._verified_unix.of(None if verified is None else verified.asked)

    def verify(self, timeout: float | None = None) -> bool:
        """Waits until the cache is proven to hold everything that was committed before this call.

        Gives True then, and False when that takes longer than `timeout` seconds, None for any time, or when the cache
        is not started or gets closed. Not to be called where kazoo calls its own listeners and watchers.
        """
        called, proven = time.monotonic(), self._client.handler.event_object()
        waiting = (called, proven)
        self._verifications.append(waiting)
        self._wake.set()
        if self._state == self.STATE_STARTED:
            proven.wait(timeout)
        with suppress(ValueError):
            self._verifications.remove(waiting)
        verified = self._replica.freshness.verified
        return self._state == self.STATE_STARTED and verified is not None and verified.asked_at >= called

    def stats(self) -> CacheStats:
        """What the cache holds and does now; costs the same for any number of znodes."""
        replica, tree = self._replica, self._replica.tree
        oldest = replica.oldest_sent_at
        return CacheStats(
            path=self._path,
            mode=replica.mode,
            initialized=self.initialized,
            nodes=dict(tree.kinds),
            data_bytes=tree.data_bytes,
            unreadable_nodes=tree.unreadable,
            outstanding_operations=replica.outstanding_operations,
            pending_paths=replica.pending_paths,
            undelivered_events=len(self._delivery),
            oldest_operation_age=0.0 if oldest is None else time.monotonic() - oldest,
            events=dict(zip(EVENT_NAMES, self._event_counts, strict=True)),
            faults=dict(self._fault_counts),
            syncs=dict(replica.syncs),
            verified_at=self.verified_at,
            freshness_interval=replica.freshness.interval or 0.0,
            stale_after=replica.freshness.stale_after,
            verification_failures=dict(replica.freshness.failures),
            audits=replica.audit.completed,
            audited_nodes=replica.audit.audited_nodes,
            audit_mismatches=dict(replica.audit.mismatches),
        )

    # The engine's thread

    def _hear(self, message: Message) -> None:
        inbox = self._inbox
        inbox.append(message)
        if self._wake.is_set() or (self._gathering and type(message) is WatchEvent and len(inbox) < _GATHERED):
            return
        self._wake.set()

    def _run(self) -> None:
        while self._state == self.STATE_STARTED:
            try:
                self._turn()
                self._wake.wait(self._patience())
            except Exception as error:
                logger.exception("the tree cache of %s failed and starts over", self._path)
                self._publish_faults([Fault("request", error)])
                self._replica.start_over(time.monotonic())
        self._replica.forget()
        self._initialized.clear()
        self._engine_stopped.set()
        for _, proven in list(self._verifications):
            proven.set()

    def _turn(self) -> None:
        """Applies every message that has arrived, then sends and publishes what follows."""
        inbox, replica, now = self._inbox, self._replica, time.monotonic()
        while inbox:
            message = inbox.popleft()
            if self._create_root and isinstance(message, Connected):
                self._create_root_later()
            replica.receive(message, now)
        for called, _ in list(self._verifications):
            replica.verify(called, now)
        outcome = replica.take(now)
        assert self._session is not None
        for sync in outcome.syncs:
            self._observers.sync(sync)
        for request in outcome.requests:
            self._submit(request)
        for kind in outcome.probes:
            self._session.probe(kind, self._root_on_server)
        for reason in outcome.distrusts:
            self._session.drop(reason)
        if outcome.inquiries:
            self._session.inquire()
        for proof in outcome.proofs:
            self._on_verified(proof)
        if replica.initialized != self._initialized.is_set():
            if replica.initialized:
                self._initialized.set()
            else:
                self._initialized.clear()
        if outcome.refreshed:
            self._observers.refreshed(outcome.refreshed, outcome.events)
        self._publish_events(outcome.events)
        self._publish_faults(outcome.faults)
        self._gathering = replica.is_gathering
        if inbox:
            self._wake.set()

    def _submit(self, request: Request) -> None:
        assert self._subscription is not None
        with self._observers.sending(request):
            self._subscription.submit(request)

    def _patience(self) -> float | None:
        """How many seconds to wait for a message, None for as long as it takes."""
        now = time.monotonic()
        if now >= self._poll_at:
            self._poll_at = now + _POLL_INTERVAL
            if self._replica.poll():
                return 0.0
        due = [self._replica.wake_at, self._poll_at if self._replica.tree.unreadable else None]
        return min((max(0.0, at - now) for at in due if at is not None), default=None)

    def _on_verified(self, proof: Proven) -> None:
        """Called once for each proof: what was asked for at ``proof.asked_at`` took until ``proof.at``."""
        self._observers.verified(proof)
        for called, proven in list(self._verifications):
            if proof.asked_at >= called:
                proven.set()

    def _create_root_later(self) -> None:
        def created(result: Any) -> None:
            if isinstance(result.exception, ConnectionLoss | SessionExpiredError):
                # It may not have got there: the next connection tries again.
                return
            self._create_root = False
            if not result.successful():
                self._publish_faults([Fault("root", result.exception)])

        self._client.ensure_path_async(self._path).rawlink(created)

    # Publishing

    def _publish_events(self, events: list[Event]) -> None:
        for event in events:
            self._event_counts[event[0]] += 1
        if self._listeners and events:
            self._delivery.put([self._telling(event) for event in events])

    def _publish_faults(self, faults: list[Fault]) -> None:
        for kind, error in faults:
            self._fault_counts[kind] += 1
            self._delivery.put([self._reporting(error)])

    def _telling(self, event: Event) -> Call:
        def tell() -> None:
            told = self._tree_event(event)
            for listener in list(self._listeners):
                began_at = time.monotonic()
                try:
                    listener(told)
                except Exception as error:
                    self._fault_counts["listener"] += 1
                    report(error, self._fault_listeners)
                self._observers.listened(time.monotonic() - began_at)

        return tell

    def _reporting(self, error: Exception) -> Call:
        return lambda: report(error, self._fault_listeners)

    def _tree_event(self, event: Event) -> TreeEvent:
        data = None if event.record is None else self._node_data(event.path, event.record)
        old = self._node_data(event.path, event.old) if self._tell_old_data and event.old is not None else None
        return TreeEvent.make(event.type, data, old)

    # Paths

    def _below_root(self, path: str) -> str:
        """An absolute path as the tree knows it, relative to the root."""
        if path != self._path and not path.startswith(self._prefix + "/"):
            raise ValueError(f"{path!r} is outside of the tree at {self._path!r}")
        below = path[len(self._prefix) :]
        if below.endswith("/") or "//" in below:
            below = "".join("/" + name for name in below.split("/") if name)
        return below

    def _absolute(self, below: str) -> str:
        return self._prefix + below or "/"

    def _node_data(self, below: str, record: bytes) -> NodeData:
        return NodeData.make(self._absolute(below), data_of(record), stat_of(record))


def _check_times(**seconds: float | None) -> None:
    """Raises ValueError for a number of seconds that is not above 0; None is none."""
    for name, value in seconds.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}")
