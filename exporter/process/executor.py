"""ThreadExecutor: a thread for work that takes long or may hang (a hash, a file on a network); it delays no exit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ThreadExecutor(Executor):
    """Runs one task after another in a thread, which starts with the first task.

    Python waits at its exit for the threads of its own executors; it does not wait for this one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._todo: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(
        self, function: Callable[Parameters, Result], /, *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Future[Result]:
        """Queues a task. Raises RuntimeError after `shutdown`, and if no thread can be started."""
        if self._closed:
            raise RuntimeError(f"the executor {self._name} is shut down")
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        future: Future[Result] = Future()
        self._todo.put((future, partial(function, *arguments, **named)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Takes no more tasks; by default cancels the waiting tasks, and does not wait for the running one."""
        self._closed = True
        if cancel_futures:
            self._cancel_what_waits()
        self._todo.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _cancel_what_waits(self) -> None:
        while True:
            try:
                work = self._todo.get_nowait()
            except Empty:
                return
            if work is not None:
                work[0].cancel()

    def _work(self) -> None:
        while (work := self._todo.get()) is not None:
            future, act = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = act()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
