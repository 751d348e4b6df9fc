"""Publication: counts the events and faults of a cache, and calls its listeners, on another thread or inline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from exporter.process.greenlets import is_kill
from exporter.treecache.delivery import Delivery, Listener
from exporter.treecache.events import TreeEvent
from exporter.treecache.observers import CacheObservers
from exporter.treecache.outcome import AddedRun, Event, Fault, each
from exporter.treecache.reports import FaultReports
from exporter.treecache.stats import EVENT_NAMES, FAULT_KINDS


class Publication:
    """The listeners of one cache.

    Args:
        path: the cache's path, for the log.
        handler: kazoo's handler, which provides threads and events.
        decode: makes the events that listeners receive.
        observers: get the duration of each call of a listener.
        may_rest: see `Delivery`.
        failed: see `Delivery`.
    """

    def __init__(
        self,
        path: str,
        handler: Any,
        decode: Callable[[Event], TreeEvent],
        observers: CacheObservers,
        may_rest: Callable[[], bool],
        failed: Callable[[BaseException, float], None],
    ) -> None:
        self.listeners: list[Listener] = []
        #: The listeners that are called on the thread that publishes.
        self.inline_listeners: list[Listener] = []
        self.fault_listeners: list[Listener] = []
        self._decode = decode
        self._observers = observers
        self._reports = FaultReports(path, self.fault_listeners)
        self.delivery = Delivery(handler, may_rest=may_rest, idle=self._reports.sum_up, failed=failed)
        self._event_counts = [0] * len(EVENT_NAMES)
        self._fault_counts = dict.fromkeys(FAULT_KINDS, 0)

    @property
    def events(self) -> dict[str, int]:
        """How many events were published, by `EVENT_NAMES`."""
        return dict(zip(EVENT_NAMES, self._event_counts, strict=True))

    @property
    def faults(self) -> dict[str, int]:
        """How many faults there were, by `FAULT_KINDS`."""
        return dict(self._fault_counts)

    def publish(self, happened: Sequence[Event | AddedRun]) -> None:
        """Queues events for the listeners, and calls the inline listeners."""
        for one in happened:
            if isinstance(one, AddedRun):
                self._event_counts[TreeEvent.NODE_ADDED] += len(one.paths)
            else:
                self._event_counts[one.type] += 1
        if self.listeners:
            report = self._reports.report
            self.delivery.put([partial(self._tell, event, self.listeners, report) for event in each(happened)])
        if self.inline_listeners:
            for event in each(happened):
                self._tell(event, self.inline_listeners, self._report_later)

    def report(self, faults: Sequence[Fault]) -> None:
        """Queues faults for the fault listeners."""
        for kind, error in faults:
            self._fault_counts[kind] += 1
            self._report_later(error)

    def close(self, timeout: float) -> None:
        """Delivers the waiting events, for up to `timeout` seconds; no listener is called after that."""
        self.delivery.close(timeout)
        self._reports.sum_up(at_once=True)

    def _report_later(self, error: BaseException) -> None:
        self.delivery.put([partial(self._reports.report, error)])

    def _tell(self, event: Event, listeners: list[Listener], report: Callable[[BaseException], None]) -> None:
        told = self._decode(event)
        for listener in list(listeners):
            if self.delivery.is_over:
                return
            began_at = time.monotonic()
            try:
                listener(told)
            except BaseException as error:
                self._fault_counts["listener"] += 1
                if is_kill(error):
                    raise
                report(error)
            self._observers.listened(time.monotonic() - began_at)
