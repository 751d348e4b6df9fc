"""CacheObservers: the observers of one cache. Each gets the notifications that it overrides; errors do no harm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar, TypeVarTuple

from exporter.process.greenlets import is_kill
from exporter.process.repetitions import Repetitions
from exporter.treecache.events import TreeEvent
from exporter.treecache.freshness import Verified
from exporter.treecache.observer import CacheObserver
from exporter.treecache.outcome import AddedRun, Event, SyncBegun, SyncEnded, each
from exporter.treecache.reports import INTERVAL
from exporter.treecache.sent import Sent
from exporter.treecache.worker import in_words
from exporter.zookeeper.observers import overriding
from exporter.zookeeper.records import modified_at

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Told = TypeVarTuple("Told")

_CHANGES = (TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED)


class CacheObservers:
    """The observers of one cache. Any thread may add and remove them while others notify them."""

    def __init__(self) -> None:
        self._sync: SyncBegun | None = None
        self._keep(())

    def add(self, observer: CacheObserver) -> None:
        """Notifies an observer from now on."""
        self._keep((*self._all, observer))

    def remove(self, observer: CacheObserver) -> None:
        """Stops notifying an observer."""
        self._keep(tuple(other for other in self._all if other is not observer))

    def _keep(self, observers: tuple[CacheObserver, ...]) -> None:
        self._all = observers
        # The notifications of each change: only observers that override them are called.
        self._of_sending = overriding(CacheObserver, "sending", observers)
        self._of_refreshes = overriding(CacheObserver, "refreshed", observers)
        self._of_propagation = overriding(CacheObserver, "propagated", observers)
        self._of_listeners = overriding(CacheObserver, "listened", observers)

    def sync(self, news: SyncBegun | SyncEnded) -> None:
        """A sync began or ended."""
        begun = news if isinstance(news, SyncBegun) else self._sync
        self._sync = news if isinstance(news, SyncBegun) else None
        if begun is None:
            # The engine failed when this sync began, so its beginning was not reported.
            return
        for observer in self._all:
            if isinstance(news, SyncBegun):
                _tell(observer.sync_began, news)
            else:
                _tell(observer.sync_ended, begun, news.at, news.complete)

    def sending(self, sent: Sent) -> AbstractContextManager[object] | None:
        """The context to send a request in, if any."""
        contexts: ExitStack | None = None
        for observer in self._of_sending:
            context = _tell(observer.sending, sent)
            if context is not None:
                contexts = contexts or ExitStack()
                _tell(contexts.enter_context, context)
        return contexts

    def refreshed(self, answered: Sequence[Sent], happened: Sequence[Event | AddedRun]) -> None:
        """The answers to these requests were applied and caused these events."""
        at, unix_now = time.monotonic(), time.time()
        for sent in answered:
            for observer in self._of_refreshes:
                _tell(observer.refreshed, sent, at)
        if not self._of_propagation:
            return
        changed = {path: record for kind, path, record, _ in each(happened) if kind in _CHANGES and record}
        for sent in answered:
            delays = [max(0.0, unix_now - modified_at(changed[path])) for path in sent.causes if path in changed]
            for observer in self._of_propagation if delays else ():
                _tell(observer.propagated, sent, delays)

    def listened(self, seconds: float) -> None:
        """A listener was called and took this long."""
        for observer in self._of_listeners:
            _tell(observer.listened, seconds)

    def verified(self, verified: Verified) -> None:
        """A freshness check succeeded."""
        for observer in self._all:
            _tell(observer.verified, verified.at - verified.asked_at, verified.exemplar)


def _tell(notify: Callable[[*Told], Answer], *told: *Told) -> Answer | None:
    """Notifies an observer; returns its answer.

    Logs its exception, each kind once a minute, and returns None; raises it if it kills a greenlet.
    """
    try:
        return notify(*told)
    except BaseException as error:
        if is_kill(error):
            raise
        if _LOGGED.admit(type(error).__name__) is not None:
            logger.error("an observer of a tree cache failed: %s", in_words(error), exc_info=error)
        return None


_LOGGED = Repetitions(INTERVAL)
