"""TreeCache: the public cache. Drives a replica from its session's stream and delivers the events to listeners."""

from __future__ import annotations

import functools
import logging
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import Parameter, Signature
from typing import Any, NamedTuple, TypeVar, Unpack

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, KazooException, SessionExpiredError
from kazoo.protocol.paths import normpath
from kazoo.protocol.states import KeeperState

from exporter.process.forks import Home
from exporter.process.repetitions import Repetitions
from exporter.treecache.delivery import Listener
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.feed import Feed
from exporter.treecache.freshness import Verified
from exporter.treecache.lifecycle import state_of
from exporter.treecache.observer import CacheObserver
from exporter.treecache.observers import CacheObservers
from exporter.treecache.options import CacheKeywords, CacheOptions, parameters
from exporter.treecache.outcome import Event, Fault, Outcome
from exporter.treecache.placement import ARRIVING, is_short
from exporter.treecache.publication import Publication
from exporter.treecache.reading import GATHERED
from exporter.treecache.replica import Replica
from exporter.treecache.reports import INTERVAL
from exporter.treecache.sent import Sent
from exporter.treecache.stats import CacheStats
from exporter.treecache.tree import Branch, Tree, record_of
from exporter.treecache.view import View
from exporter.treecache.worker import DECLINED, RESTS, Failure, Worker, in_words
from exporter.zookeeper.messages import Connected, Lost, Message, Reply, Suspended, WatchEvent
from exporter.zookeeper.moments import SteadyTime
from exporter.zookeeper.records import UNREADABLE, data_of, stat_of
from exporter.zookeeper.session import Session, Subscription

#: Seconds between reads of unreadable znodes: no watch reports that one becomes readable.
_POLL_INTERVAL = 10.0
#: Seconds that `close` waits for the listeners, and for a turn of the engine that is under way.
_LAST_CALLS, _LAST_TURN = 1.0, 5.0
#: After this many bytes of answers the engine sends what follows before it applies more: servers work in the meantime.
_TURN_BYTES = 64 * 1024
#: Seconds until the cache tries again to create the root, if that got no answer although the client is connected.
_CREATE_AGAIN = 1.0
#: Seconds between checks whether a wait can still end.
_SLICE = 0.5

#: In these states kazoo has no connection and will have none until it is started again.
_STOPPED = (KeeperState.CLOSED, KeeperState.AUTH_FAILED)
_NO_ANSWER = (ConnectionLoss, ConnectionClosedError, SessionExpiredError)

logger = logging.getLogger(__name__)

AnyListener = TypeVar("AnyListener", bound=Listener)
AnyView = TypeVar("AnyView", bound=View)


class TreeCache:
    """An in-memory copy of a subtree of znodes, kept up to date through watches.

    A drop-in for ``kazoo.recipe.cache.TreeCache``; the keyword-only arguments are additions.

    Args:
        client: the kazoo client to read through, started or not; the cache follows its connection.
        path: the root of the subtree, inside the client's chroot.
        create_root: whether to create the root when it is missing, as kazoo's does. False changes no znode; a missing
            root then means an empty cache, which fills when the root appears.
        keep_data: False keeps the znodes' stats without their data.
        mode: the strategy: ``"recursive"`` for one recursive watch and bulk reads, which needs ZooKeeper 3.6;
            ``"classic"`` for one-shot watches on each znode and single reads; ``"auto"`` for recursive if the server
            supports it, else classic.
        batch_size: the maximum number of operations in one request, at least 1.
        window: the maximum number of outstanding bulk reads, at least 1; an audit may have as many more.
        selector: decides which znodes belong to the cache and which to descend into; None for all.
        max_depth: how far below the root znodes may be, 0 for the root alone; None for any depth.
        max_nodes_per_second: the maximum number of znodes to read in a second; None for no limit.
        shard: which of the root's children to hold, with all below them; None for all. Nothing below the others is
            watched or read.
        old_data: whether events carry the previous data, as `TreeEvent.old_data`.
        freshness_interval: the seconds from one freshness check to the next, see `verified_at`; None to check on demand
            only, by `verify`. Caches that share a client share the cost of a check to the ensemble.
        freshness_timeout: the seconds after which a freshness check that has not succeeded counts as failed.
        freshness_barrier: the request that a freshness check sends: ``"quorum"``, a write that changes nothing, which
            is airtight and adds a record of about 86 bytes to the log of each server, 1.5 MB a day at one each 5 s; or
            ``"sync"``, which writes nothing and is a best effort: while the leader answers it, or a deposed leader, it
            may miss the latest writes.
        audit_interval: the seconds from the beginning of one audit to that of the next; None for no audits. An audit
            compares znodes with the server's, and the cache reads everything again if they differ without an event.
        audit_sample: how many znodes one audit compares, 0 for all: different ones each time, spread evenly over the
            tree, so that each has its turn. Znodes that cannot be compared are counted.
        max_reply_bytes: the longest reply that the client accepts from a server, from 1 MiB to 2 GiB; None for
            256 MiB. A longer reply ends the connection. If caches share a client, the largest limit counts.
        name: the cache's name in metrics and spans; by default its path.

    Raises:
        ValueError: the path has a part ``.`` or ``..``, or an argument is out of range.
    """

    STATE_LATENT = 0
    STATE_STARTED = 1
    STATE_CLOSED = 2

    def __init__(
        self,
        client: KazooClient,
        path: str,
        **options: Unpack[CacheKeywords],
    ) -> None:
        self._options = CacheOptions(**options)
        self._client = client
        self._path = normpath("/" + path)
        self._prefix = "" if self._path == "/" else self._path
        self._create_root = self._options.create_root
        root = normpath((client.chroot or "") + self._path)
        self._replica = Replica(root, self._options, self._path, jitter=random.random)
        self._root_on_server = root
        self._state = self.STATE_LATENT
        self._session: Session | None = None
        self._home = Home()
        self._subscription: Subscription | None = None
        self._inbox: deque[Message | _RootSettled] = deque()
        self._engine = Worker(
            client.handler,
            self._turn,
            recover=self._recover,
            failed=self._on_engine_failure,
            ended=self._forget,
        )
        self._refusal: Failure | None = None
        self._failures = Repetitions(INTERVAL)
        #: The connection that waits for the root's creation, and when to try that again.
        self._waiting_connection: Connected | None = None
        self._create_at: float | None = None
        self._initialized = client.handler.event_object()
        self._observers = CacheObservers()
        self._gathering = False
        #: Whether one of the messages that arrive together wants a turn of the engine.
        self._wants_turn = False
        self._poll_at = 0.0
        #: When the engine has work even without a message, as of its last turn (monotonic seconds).
        self._due_at = math.inf
        self._verified_unix = SteadyTime()
        #: The callers of `verify` that wait: the monotonic time of each call, and the event that ends its wait.
        self._verifications: list[tuple[float, Any]] = []
        self._publication = Publication(
            self._path, client.handler, self._tree_event, self._observers, self._may_rest, self._on_delivery_failure
        )
        self._delivery = self._publication.delivery
        #: Passes changes to the views; None without any.
        self._feed: Feed | None = None
        self._views: tuple[View, ...] = ()
        #: Views to add to the feed, and to remove from it, by a turn of the engine.
        self._view_changes: deque[tuple[View, bool]] = deque()

    # Lifecycle

    def start(self) -> None:
        """Starts the cache. Needs no connection and waits for none.

        With `create_root` and a connected client, it creates the root before it returns. Without a connection the root
        is created on the first one, and an error then goes to the fault listeners.

        Raises:
            KazooException: the cache was started or closed before, or the root cannot be created.
            ValueError: the client is instrumented and has another cache of this name.
            IncompatibleKazooError: the installed kazoo lacks private attributes that the cache needs.
        """
        if self._state == self.STATE_CLOSED:
            raise KazooException("already closed")
        if self._state == self.STATE_STARTED:
            raise KazooException("already started")
        self._session = Session.attach(self._client)
        self._session.observers.join(self)
        if self._options.max_reply_bytes is not None:
            self._session.limit_replies(self._options.max_reply_bytes)
        self._home = Home()
        self._state = self.STATE_STARTED
        try:
            if self._create_root and self._client.connected:
                self._create_root = False
                self._client.ensure_path(self._path)
            self._delivery.start()
            self._subscribe()
            self._engine.start()
        except BaseException as error:
            self._refusal = Failure(f"start failed: {in_words(error)}", time.time())
            self._session.observers.leave(self)
            raise

    def close(self) -> None:
        """Closes the cache: removes its watches from the server, ends its threads and forgets its znodes.

        It continues to deliver events for up to a second, then drops the rest. After it returns, no listener is called
        any more; it waits within the same second for a listener that runs, unless that is the caller. It always returns
        within seconds, and immediately at the interpreter's exit, when no threads run. Closing again does nothing; so
        does closing before the start.
        """
        if self._state != self.STATE_STARTED:
            return
        self._state = self.STATE_CLOSED
        if not self._home.is_here() or sys.is_finalizing():
            # In a fork's child and at the interpreter's exit there are no threads, and any lock may be held.
            return
        # First, so that observers do not measure a cache that is being emptied.
        if self._session is not None:
            self._session.observers.leave(self)
        self._engine.stop()
        self._engine.wait_over(_LAST_TURN)
        if self._subscription is not None:
            self._subscription.close()
        self._inbox.clear()
        self._publication.close(_LAST_CALLS)

    def __enter__(self) -> TreeCache:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Listening

    def listen(self, listener: AnyListener, *, inline: bool = False) -> AnyListener:
        """Calls `listener` with each `TreeEvent` from now on, one at a time, in order. Usable as a decorator.

        A listener has a thread that it shares with the cache's other listeners only, so it may take its time. With
        `inline` it is called where the cache is kept up to date, without a change of threads: on the connection's
        thread, or on the engine's. The client and its session wait for it there. So it must return in microseconds, and
        must neither wait, nor call the client, nor `verify` or `wait_initialized`.
        """
        (self._publication.inline_listeners if inline else self._publication.listeners).append(listener)
        return listener

    def listen_fault(self, listener: AnyListener) -> AnyListener:
        """Calls `listener` with the exception of each fault, of the cache or of a listener. Usable as a decorator."""
        self._publication.fault_listeners.append(listener)
        return listener

    # Observing

    @property
    def name(self) -> str:
        """The cache's name in metrics and spans."""
        return self._options.name or self._path

    def observe(self, observer: CacheObserver) -> None:
        """Notifies an observer of the cache's work from now on."""
        self._observers.add(observer)

    def add_view(self, view: AnyView) -> AnyView:
        """Feeds a view with the contents of the cache and their changes; returns it.

        With ``keep_data=False`` the data that the view reads is kept all the same. If the cache runs already, the view
        first gets what it holds, soon after this call; data that was not kept before it gets when the znode changes or
        the tree is read again. An exception of the view ends the view, and goes to the fault listeners.

        Raises:
            KazooException: the cache was closed before.
            ValueError: the cache has this view already.
        """
        if self._state == self.STATE_CLOSED:
            raise KazooException("a view cannot be added to a closed cache")
        if any(other is view for other in self._views):
            raise ValueError("the cache has this view already")
        self._views = (*self._views, view)
        if self._state == self.STATE_LATENT:
            self._feed = self._feed or Feed(self._publication.report)
            self._feed.add(view)
            self._replica.attend(self._feed)
        else:
            self._view_changes.append((view, True))
            self._engine.wake()
        return view

    def remove_view(self, view: View) -> None:
        """Stops feeding a view; a call that is under way may still end. One that the cache does not have is ignored."""
        self._views = tuple(other for other in self._views if other is not view)
        self._view_changes.append((view, False))
        if self._state == self.STATE_LATENT:
            self._change_views()
        else:
            self._engine.wake()

    def disregard(self, observer: CacheObserver) -> None:
        """Stops notifying an observer."""
        self._observers.remove(observer)

    # Reading

    def get_data(self, path: str, default: Any = None) -> Any:
        """The `NodeData` of a znode, or `default` if it is not in the cache or is unreadable.

        Raises:
            ValueError: the path is outside of the cache's tree.
        """
        below = self._below_root(path)
        entry = self._tree.find(below)
        if entry is None:
            return default
        record = record_of(entry)
        return default if record == UNREADABLE else self._node_data(below, record)

    def get_children(self, path: str, default: Any = None) -> Any:
        """The names of a znode's children as a frozenset, or `default` if the znode is not in the cache.

        With a shard, the root has the names of all its children, although the cache holds only those of the shard.

        Raises:
            ValueError: the path is outside of the cache's tree.
        """
        below = self._below_root(path)
        entry = self._tree.find(below)
        if entry is None:
            return default
        held = frozenset(entry.children) if isinstance(entry, Branch) else frozenset()
        return held if below else held | (self._replica.others if self._is_open else frozenset())

    def __len__(self) -> int:
        return len(self._tree)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        """The absolute paths of the znodes in the cache, parents before children."""
        for below, entry in self._tree.walk():
            if record_of(entry) != UNREADABLE:
                yield self._absolute(below)

    @property
    def _is_open(self) -> bool:
        """Whether the cache is neither closed nor a fork's copy."""
        return self._state != self.STATE_CLOSED and (self._state == self.STATE_LATENT or self._home.is_here())

    @property
    def _tree(self) -> Tree:
        """The znodes held: none after `close` and in a fork's child, even if threads still run."""
        return self._replica.tree if self._is_open else Tree()

    @property
    def state(self) -> str:
        """The state of the cache; docs/compatibility.md defines each.

        One of ``"loading"``, ``"in_sync"``, ``"catching_up"``, ``"disconnected"``, ``"failed"`` and ``"closed"``.
        """
        return state_of(
            is_closed=not self._is_open,
            failure=self._failure,
            is_connected=self._state == self.STATE_STARTED and bool(self._client.connected),
            is_held_off=self._waiting_connection is not None,
            replica=self._replica,
        )

    @property
    def _failure(self) -> Failure | None:
        return self._refusal or self._engine.failure or self._delivery.failure

    @property
    def initialized(self) -> bool:
        """Whether the session's first sync is complete. False while the cache is failed, and after its close."""
        return bool(self._initialized.is_set()) and self.state not in ("failed", "closed")

    @property
    def _is_initialized(self) -> bool:
        """The attribute that users of kazoo's cache poll."""
        return self.initialized

    def wait_initialized(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds until the session's first sync is complete; returns whether it is.

        With None it has no time limit. It does not wait for a closed cache, nor for one whose start failed.
        """
        self._wait(self._initialized, lambda: self.initialized, timeout)
        return self.initialized

    def _wait(self, event: Any, is_true: Callable[[], bool], timeout: float | None) -> None:
        """Waits for an event, for as long as it can still be set."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        is_held_up = self._engine.is_current
        while not (is_true() or is_held_up() or self._refusal or sys.is_finalizing()) and self._is_open:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._revive()
            if event.is_set():
                # The event is set, but its condition no longer holds, as when a cache has failed since.
                self._client.handler.sleep_func(min(left, _SLICE))
            else:
                event.wait(min(left, _SLICE))

    @property
    def verified_at(self) -> float:
        """Up to when the cache is verified to hold every change, in Unix seconds; 0.0 before the first freshness check.

        Everything that was committed before this moment is in the cache. The moment stays the same until the next
        successful freshness check; so ``time.time() - cache.verified_at`` is the cache's staleness, the most that it
        can be behind. This holds during any failure, and needs no clock of the ensemble. docs/staleness.md says what it
        covers.

        It is T0 by the wall clock, read right after the monotonic clock and before the barrier is sent: never before
        the call that `verify` waits for, and never after the verified moment. If the wall clock is set back later, it
        goes back by as much, so that the cache does not look fresher than it is; if the clock is set forward, the cache
        looks older until the next freshness check.
        """
        verified = self._replica.freshness.verified
        return self._verified_unix.of(None if verified is None else verified.asked)

    def verify(self, timeout: float | None = None) -> bool:
        """Waits until the cache is verified to hold everything that was committed before this call.

        Returns True then, and False after `timeout` seconds (None for no limit), or if the cache is not started or is
        closed meanwhile. Do not call it from kazoo's own listeners and watchers.
        """
        called, done = time.monotonic(), self._client.handler.event_object()
        waiting = (called, done)
        self._verifications.append(waiting)
        if self._state == self.STATE_STARTED and self._is_open:
            self._engine.wake()
            self._wait(done, lambda: self._is_verified_since(called), timeout)
        with suppress(ValueError):
            self._verifications.remove(waiting)
        return self._state == self.STATE_STARTED and self._is_open and self._is_verified_since(called)

    def _is_verified_since(self, moment: float) -> bool:
        verified = self._replica.freshness.verified
        return verified is not None and verified.asked_at >= moment

    @property
    def session_timeout(self) -> float:
        """The session timeout in seconds that the server granted; 0.0 before the first session."""
        return 0.0 if self._session is None else self._session.stats().session_timeout

    @property
    def unheard_for(self) -> float:
        """The seconds since the client last heard from a server; 0.0 before the first time."""
        heard_at = 0.0 if self._session is None else self._session.stats().last_heard_at
        return max(0.0, time.time() - heard_at) if heard_at else 0.0

    def stats(self) -> CacheStats:
        """A snapshot of the cache; costs the same for any number of znodes."""
        self._revive()
        replica, tree = self._replica, self._tree
        oldest = replica.oldest_sent_at if self._is_open else None
        state = self.state
        failure = self._failure if state == "failed" else None
        return CacheStats(
            path=self._path,
            mode=replica.mode,
            initialized=self.initialized,
            nodes=dict(tree.kinds),
            data_bytes=tree.data_bytes,
            unreadable_nodes=tree.unreadable,
            outstanding_operations=replica.outstanding_operations if self._is_open else 0,
            pending_paths=replica.pending_paths if self._is_open else 0,
            unsettled_nodes=replica.unsettled(time.monotonic()) if self._is_open else 0,
            undelivered_events=len(self._delivery) if self._is_open else 0,
            oldest_operation_age=0.0 if oldest is None else time.monotonic() - oldest,
            events=self._publication.events,
            faults=self._publication.faults,
            syncs=dict(replica.syncs),
            verified_at=self.verified_at,
            verified_in=replica.freshness.verified_in,
            freshness_interval=self._options.freshness_interval or 0.0,
            freshness_timeout=self._options.freshness_timeout,
            stale_after=self._options.stale_after,
            verification_failures=dict(replica.freshness.failures),
            audits=replica.audit.completed,
            audited_nodes=replica.audit.comparison.audited_nodes,
            audit_mismatches=dict(replica.audit.comparison.findings.mismatches),
            audit_skipped=dict(replica.audit.comparison.skipped),
            state=state,
            failure=_why(failure, state),
            failed_at=0.0 if failure is None else failure.at,
            engine_restarts=self._engine.restarts + self._delivery.restarts,
            root=_root_state(tree, self.initialized),
            undelivered_for=self._delivery.stands_for if self._is_open else 0.0,
        )

    # The engine's thread

    def _subscribe(self) -> None:
        """Subscribes to the session's stream, with a new inbox that no earlier subscription fills."""
        assert self._session is not None
        inbox: deque[Message | _RootSettled] = deque()
        self._subscription = self._session.subscribe(
            self._root_on_server, functools.partial(self._hear, inbox), self._on_arrived
        )
        self._inbox = inbox

    def _hear(self, inbox: deque[Message | _RootSettled], message: Message | _RootSettled) -> None:
        engine = self._engine
        if engine.retry_at is not None and not isinstance(message, _CONNECTION):
            # Everything will be read again anyway.
            return
        inbox.append(message)
        if not engine.is_unasked() or (self._gathering and type(message) is WatchEvent and len(inbox) < GATHERED):
            return
        if isinstance(message, ARRIVING):
            self._wants_turn = True
        else:
            engine.wake()

    def _on_arrived(self, sends_at_once: bool) -> None:
        """Takes the engine's turn on the connection's thread if it is short, else has the engine's own thread do it."""
        if self._wants_turn:
            self._wants_turn = False
            if not (sends_at_once and self._engine.visit(self._short_turn)):
                self._engine.wake()

    def _short_turn(self) -> float | None:
        """Takes a turn on the connection's thread if it is short."""
        inbox, now = self._inbox, time.monotonic()
        if len(inbox) == 1 and now < self._due_at and not isinstance(inbox[0], _RootSettled):
            outcome = self._replica.shortcut(inbox[0], now)
            if outcome is not None:
                inbox.popleft()
                self._gathering = bool(outcome.requests)
                try:
                    self._carry_out(outcome)
                finally:
                    if not outcome.requests:
                        self._publish(outcome)
                # A request that the server would not accept is answered on this side, while it is submitted.
                return 0.0 if inbox else None
        return self._turn() if self._is_turn_short() else DECLINED

    def _is_turn_short(self) -> bool:
        # A selector is the application's: it may take its time, or call the client.
        if self._options.selector is not None or self._view_changes:
            return False
        return is_short(self._replica, tuple(self._inbox), self._due_at - time.monotonic())

    def _may_rest(self) -> bool:
        """Whether no message will come until the client is started again."""
        return self._client.client_state in _STOPPED and not self._inbox

    def _revive(self) -> None:
        """Starts threads that have died; for callers that may block for a moment."""
        if self._state == self.STATE_STARTED and self._is_open:
            self._engine.revive()
            self._delivery.revive()

    def _forget(self) -> None:
        """The engine's last act: forgets the znodes."""
        self._replica.forget()
        self._initialized.clear()
        for _, event in list(self._verifications):
            event.set()
        if self._feed is not None:
            self._feed.reset()

    def _recover(self) -> None:
        """After a failure, keeps the znodes, resets everything else and reads the tree again, by difference.

        Of the messages in the inbox it keeps only the connection's changes: listeners still need their events.
        """
        self._replica.detach(time.monotonic())
        old, inbox, self._waiting_connection, self._create_at = self._subscription, self._inbox, None, None
        self._subscribe()
        try:
            if old is not None:
                old.close()
        finally:
            # Only now, since a change that comes before the new subscription is in the old inbox alone. One that comes
            # before the end of the old subscription is in both.
            again = set(map(id, list(self._inbox)))
            heard = [one for one in list(inbox) if isinstance(one, _CONNECTION) and id(one) not in again]
            if heard and self._inbox and isinstance(heard[-1], Connected):
                del heard[-1]
            self._inbox.extendleft(reversed(heard))

    def _on_engine_failure(self, error: BaseException, delay: float) -> None:
        self._initialized.clear()
        if self._state == self.STATE_STARTED:
            self._log_failure("failed", error, delay)
        self._publication.report([Fault("engine", error)])
        if self._feed is not None:
            self._feed.interrupt()

    def _on_delivery_failure(self, error: BaseException, delay: float) -> None:
        self._log_failure("cannot call its listeners", error, delay)

    def _log_failure(self, what: str, error: BaseException, delay: float) -> None:
        """Logs one traceback a minute for each reason."""
        reason = in_words(error)
        held_back = self._failures.admit(what + reason)
        if held_back is not None:
            often = f", {held_back} more times before" if held_back else ""
            message = "tree cache %s %s: %s%s; restarting in %.1f s"
            logger.error(message, self._path, what, reason, often, delay, exc_info=error)

    def _turn(self) -> float | None:
        """Applies messages that have arrived, then sends and publishes the results; returns how long to wait."""
        inbox, replica, now = self._inbox, self._replica, time.monotonic()
        applied = 0
        while inbox and applied < _TURN_BYTES:
            message = inbox[0]
            # Removed only when applied, so that a failure loses no change of the connection.
            self._apply(message, now)
            inbox.popleft()
            applied += len(message.body) if isinstance(message, Reply) else 0
        if self._create_at is not None and now >= self._create_at:
            self._create_root_later()
        for called, _ in list(self._verifications):
            replica.verify(called, now)
        outcome = replica.take(now)
        try:
            self._carry_out(outcome)
            self._plan()
        finally:
            # Published even if the rest fails: the tree has these changes already. Last, because the listeners' thread
            # can run only when this one waits.
            self._publish(outcome)
        self._change_views()
        if self._may_rest():
            self._delivery.wake()
            return RESTS
        return None if self._due_at == math.inf else max(0.0, self._due_at - time.monotonic())

    def _apply(self, message: Message | _RootSettled, now: float) -> None:
        if isinstance(message, _RootSettled):
            self._on_root_settled(message, now)
        elif isinstance(message, Connected) and self._create_root and not message.read_only:
            self._waiting_connection = message
            self._create_root_later()
        else:
            if isinstance(message, (Suspended, Lost)):
                self._waiting_connection = self._create_at = None
            self._replica.receive(message, now)

    def _carry_out(self, outcome: Outcome) -> None:
        assert self._session is not None
        for sync in outcome.syncs:
            self._observers.sync(sync)
        for sent in outcome.requests:
            self._submit(sent)
        for kind in outcome.barriers:
            self._session.request_barrier(kind, self._root_on_server)
        for reason in outcome.distrusts:
            self._session.drop(reason)
        if outcome.inquiries:
            self._session.inquire()
        for verified in outcome.verified:
            self._on_verified(verified)
        if outcome.refreshed:
            self._observers.refreshed(outcome.refreshed, outcome.events)

    def _publish(self, outcome: Outcome) -> None:
        """Views first, so that they have a change when listeners get it."""
        try:
            if self._feed is not None:
                self._feed.take(outcome.events, interrupted=bool(outcome.syncs), is_complete=self._replica.is_in_sync)
        finally:
            if self._replica.initialized != self._initialized.is_set():
                if self._replica.initialized:
                    self._initialized.set()
                else:
                    self._initialized.clear()
            try:
                if outcome.events:
                    self._publication.publish(outcome.events)
            finally:
                if outcome.faults:
                    self._publication.report(outcome.faults)

    def _change_views(self) -> None:
        """Adds and removes views, when the feed has all that the tree has."""
        changes = self._view_changes
        while changes:
            view, is_new = changes.popleft()
            if is_new:
                self._feed = self._feed or Feed(self._publication.report)
                self._feed.join(view, self._replica.tree, is_complete=self._replica.is_in_sync)
            elif self._feed is not None:
                self._feed.remove(view)
            if self._feed is not None:
                self._replica.attend(self._feed)

    def _submit(self, sent: Sent) -> None:
        assert self._subscription is not None
        context = self._observers.sending(sent)
        if context is None:
            self._subscription.submit(sent.request)
            return
        with context:
            self._subscription.submit(sent.request)

    def _plan(self) -> None:
        """Notes when the engine has work even without a message."""
        self._gathering = self._replica.is_gathering
        now = time.monotonic()
        is_polling = now >= self._poll_at
        if is_polling:
            self._poll_at = now + _POLL_INTERVAL
            is_polling = self._replica.poll()
        wake_at = self._replica.wake_at
        due_at = math.inf if wake_at is None else wake_at
        if self._create_at is not None:
            due_at = min(due_at, self._create_at)
        if self._replica.tree.unreadable:
            due_at = min(due_at, self._poll_at)
        self._due_at = min(due_at, now) if is_polling or self._inbox else due_at

    def _on_verified(self, verified: Verified) -> None:
        """Called once for each freshness check that succeeded."""
        self._observers.verified(verified)
        for called, event in list(self._verifications):
            if verified.asked_at >= called:
                event.set()

    def _create_root_later(self) -> None:
        """Creates the root; the replica gets the connection's message after that."""
        inbox, self._create_at = self._inbox, None

        def settled(result: Any) -> None:
            self._hear(inbox, _RootSettled(None if result.successful() else result.exception))

        self._client.ensure_path_async(self._path).rawlink(settled)

    def _on_root_settled(self, settled: _RootSettled, now: float) -> None:
        connected = self._waiting_connection
        if connected is None:
            return
        if isinstance(settled.error, _NO_ANSWER):
            # The request may not have arrived. The next connection tries again, and this one, if it lives on.
            self._create_at = now + _CREATE_AGAIN
            return
        self._create_root, self._waiting_connection = False, None
        if settled.error is not None:
            self._publication.report([Fault("root", settled.error)])
        self._replica.receive(connected, now)

    # Decoding

    def _tree_event(self, event: Event) -> TreeEvent:
        data = None if event.record is None else self._node_data(event.path, event.record)
        old = self._node_data(event.path, event.old) if self._options.old_data and event.old is not None else None
        return TreeEvent.make(event.type, data, old)

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


class _RootSettled(NamedTuple):
    """The root was created, or its creation failed."""

    error: BaseException | None


#: Messages about the connection itself.
_CONNECTION = (Connected, Suspended, Lost)


def _why(failure: Failure | None, state: str) -> str | None:
    """Why a cache is failed; if its threads are fine, the server does not support its mode."""
    if state != "failed":
        return None
    return failure.reason if failure is not None else "the server does not support the configured mode"


def _root_state(tree: Tree, is_loaded: bool) -> str:
    """One of `ROOT_STATES`."""
    root = tree.root
    if root is None:
        return "missing" if is_loaded else "unknown"
    return "unreadable" if root.record == UNREADABLE else "readable"


#: Makes `help` show the keywords instead of their type.
TreeCache.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        Parameter("client", Parameter.POSITIONAL_OR_KEYWORD, annotation="KazooClient"),
        Parameter("path", Parameter.POSITIONAL_OR_KEYWORD, annotation="str"),
        *parameters(),
    ]
)
