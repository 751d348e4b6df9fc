"""Delivery: calls listeners in order, on its own thread, so that a slow listener delays nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from exporter.treecache.worker import RESTS, Failure, Worker

Listener = Callable[[Any], object]
Call = Callable[[], None]


class Delivery:
    """A queue of calls, and the thread that makes them one after another, until closed and empty.

    Args:
        handler: kazoo's handler, which provides threads and events.
        may_rest: whether no call is expected for a long time, so that an empty queue needs no thread.
        idle: called when no call waits; returns the seconds until it wants to be called again, None for never.
        failed: called with the exception that ended the thread, and the seconds until another takes over.
    """

    def __init__(
        self,
        handler: Any,
        *,
        may_rest: Callable[[], bool] = lambda: False,
        idle: Callable[[], float | None] = lambda: None,
        failed: Callable[[BaseException, float], None] = lambda error, delay: None,
    ) -> None:
        self._calls: deque[Call] = deque()
        self._at_work = 0
        self._moved_at = time.monotonic()
        self._may_rest = may_rest
        self._idle = idle
        self._closed = False
        #: Whether no call begins any more.
        self.is_over = False
        self._worker = Worker(handler, self._turn, failed=failed)

    def __len__(self) -> int:
        return len(self._calls) + self._at_work

    def start(self) -> None:
        """Starts the thread."""
        self._worker.start()

    def put(self, calls: Iterable[Call]) -> None:
        """Queues calls; an exception of one of them ends the thread, and another continues with the next call."""
        if not (self._calls or self._at_work):
            self._moved_at = time.monotonic()
        self._calls.extend(calls)
        if self._worker.is_unasked():
            self._worker.wake()

    def wake(self) -> None:
        """Makes the thread check whether it may rest."""
        self._worker.wake()

    def close(self, timeout: float) -> None:
        """Makes the waiting calls, for up to `timeout` seconds, then drops the rest; no call begins after that.

        Called from one of the calls, it does not wait.
        """
        self._closed = True
        deadline = time.monotonic() + timeout
        if len(self):
            self._worker.wake()
            self._worker.wait_over(timeout)
        self.is_over = True
        self._calls.clear()
        self._worker.stop()
        self._worker.wait_over(deadline - time.monotonic())

    def revive(self) -> None:
        """Starts another thread if the old one has died."""
        self._worker.revive()

    def is_current(self) -> bool:
        """Whether the caller is the call being made."""
        return self._worker.is_current()

    @property
    def stands_for(self) -> float:
        """The seconds since the last call ended, while others wait or one is under way; 0 if none is."""
        return max(0.0, time.monotonic() - self._moved_at) if len(self) else 0.0

    @property
    def failure(self) -> Failure | None:
        """Why no calls can be made for now, or None."""
        return self._worker.failure

    @property
    def restarts(self) -> int:
        """How often another thread took over."""
        return self._worker.restarts

    def _turn(self) -> float | None:
        calls = self._calls
        while calls:
            # In this order, so that a call under way always counts; `close` may remove the last call.
            self._at_work = 1
            try:
                call = calls.popleft() if calls and not self.is_over else None
                if call is not None:
                    call()
                del call
            except IndexError:
                continue
            finally:
                self._at_work = 0
                self._moved_at = time.monotonic()
        if self._closed:
            self._worker.stop()
            return 0.0
        patience = self._idle()
        return RESTS if self._may_rest() else patience
