"""Delivery: calls listeners in order, on a thread of its own, so that a slow one holds up nothing else."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from exporter.treecache.wakeup import wakeup

logger = logging.getLogger(__name__)

Listener = Callable[[Any], object]
Call = Callable[[], None]


class Delivery:
    """A queue of calls and the thread that makes them one after another, until closed and empty.

    Args:
        handler: kazoo's handler, which says what a thread and an event are.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._calls: deque[Call] = deque()
        self._wake = wakeup(handler)
        self._stopped = handler.event_object()
        self._closed = False
        self._thread_id: int | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def start(self) -> None:
        """Starts the thread."""
        self._handler.spawn(self._run)

    def put(self, calls: Iterable[Call]) -> None:
        """Queues calls; they must not raise."""
        self._calls.extend(calls)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Lets the thread end once the queue is empty; does not wait for it."""
        self._closed = True
        self._wake.set()

    def is_current(self) -> bool:
        """Whether the caller may be one of the listeners being called (greenlets can share a thread's identity)."""
        return self._thread_id == threading.get_ident()

    def wait_stopped(self, timeout: float) -> None:
        """Waits, at most so many seconds, until the thread has made its last call."""
        self._stopped.wait(timeout)

    def _run(self) -> None:
        self._thread_id = threading.get_ident()
        while True:
            self._wake.wait(None)
            while self._calls:
                call = self._calls[0]
                call()
                self._calls.popleft()
                del call
            if self._closed and not self._calls:
                self._stopped.set()
                return


def report(error: Exception, fault_listeners: Iterable[Listener]) -> None:
    """Tells fault listeners of an error, or the log where there are none."""
    listeners = list(fault_listeners)
    if not listeners:
        logger.error("nobody listens for faults of the tree cache: %s", error, exc_info=error)
    for listener in listeners:
        try:
            listener(error)
        except Exception:
            logger.exception("a fault listener of the tree cache failed")
