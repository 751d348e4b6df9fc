"""Signals: until gentler handlers are installed, SIGTERM and SIGINT end the process immediately; SIGHUP is remembered.

The kernel discards these signals for the first process of a container unless that process has handlers: see
pid_namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

#: The signals that ask the process to end.
ENDING = (signal.SIGTERM, signal.SIGINT)


_hung_up = False


def take_early() -> None:
    """Installs handlers for the whole process, before anything else is imported. Call it in the main thread.

    It unblocks signals that were blocked before the program began: the kernel keeps a blocked signal pending, even for
    the first process of a container.
    """
    for number in ENDING:
        signal.signal(number, end_at_once)
    signal.signal(signal.SIGHUP, _remember)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [*ENDING, signal.SIGHUP])


def hung_up_early() -> bool:
    """Whether SIGHUP has come since `take_early`, or since the last call."""
    global _hung_up
    was, _hung_up = _hung_up, False
    return was


def _remember(_number: int, _frame: FrameType | None = None) -> None:
    global _hung_up
    _hung_up = True


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """In this context each signal of `ENDING` ends the process immediately. Enter it in the main thread."""
    before = {number: signal.signal(number, end_at_once) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once(number: int, _frame: FrameType | None = None) -> None:
    """A handler that ends the process as the signal does by default, or with status 128 + n if that is discarded."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
