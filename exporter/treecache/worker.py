"""Worker: a thread that takes turns, and that is restarted, with its failure noted, however it ends.

Another thread may take a turn as a *guest*, which saves the time until the worker's own thread runs.

Any exception of a turn, BaseExceptions included, is a *failure*: the worker counts as failed while it waits, longer
each time, and recovers; then it continues. A killed greenlet ends, since its killer may wait for that, and another
takes over.

While it has nothing to do for a long time, the worker *rests*: it has no thread then, and gets one when it is woken.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

from exporter.process.greenlets import Identity, has_ended, identity, is_kill, is_same
from exporter.treecache.wakeup import wakeup

#: A turn returns this to rest.
RESTS = math.inf
#: A guest returns this if it takes no turn.
DECLINED = -math.inf

#: Seconds from a failure to the restart: after the first failure, doubled by each further one, up to the longest.
FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
#: The time of a restart that nothing is known of yet.
_AT_ONCE = -math.inf
#: After this many seconds without a failure, the next one counts as the first.
_FORGIVEN_AFTER = 2 * LONGEST_DELAY
#: Seconds between checks whether a wait can still end.
_SLICE = 0.25


class Failure(NamedTuple):
    """Why a worker cannot continue, and since when, in Unix seconds: since the first of several failures in a row."""

    reason: str
    at: float


class Worker:
    """Takes turns in its own thread from `start` to `stop`.

    Args:
        handler: kazoo's handler, which provides threads and events.
        turn: does the waiting work; returns the seconds after which to call it again without a wake-up, None for no
            limit, or `RESTS`.
        recover: called before the first turn after a failure; an exception of it is the next failure.
        failed: called with the exception and the seconds until the restart.
        ended: called once after the last turn, in any thread.
    """

    def __init__(
        self,
        handler: Any,
        turn: Callable[[], float | None],
        *,
        recover: Callable[[], None] = lambda: None,
        failed: Callable[[BaseException, float], None] = lambda error, delay: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        #: The number of restarts after failures.
        self.restarts = 0
        self._handler = handler
        self._turn = turn
        self._recover = recover
        self._failed = failed
        self._ended = ended
        self._wake = wakeup(handler)
        #: Says whether no turn is requested.
        self.is_unasked: Callable[[], bool] = self._wake.is_clear
        self._failure: Failure | None = None
        self._failed_at = -math.inf
        self._failing_since = 0.0
        self._delay = FIRST_DELAY
        #: When it restarts after a failure; until then it ignores new work.
        self.retry_at: float | None = None
        self._stopping = False
        self._over = handler.event_object()
        #: Held by the thread while it lives, and before the start. Never waited for.
        self._token = threading.Lock()
        self._token.acquire()
        self._run: _Run | None = None
        #: Held while a turn is taken.
        self._turning = threading.Lock()
        #: The worker's thread while it takes turns, and the guest during its turn.
        self._identity: Identity | None = None
        self._guest: Identity | None = None
        #: When the worker's thread takes the next turn without a wake-up.
        self._due_at = math.inf

    # For callers

    def start(self) -> None:
        """Starts the thread; raises the handler's error if it cannot make one."""
        self._spawn()

    def wake(self) -> None:
        """Requests a turn. Does not wait, not even for a lock."""
        self._wake.set()
        if self._token.acquire(blocking=False):
            self._spawn_or_fail()
        elif self._is_lost:
            self.revive()

    def visit(self, turn: Callable[[], float | None]) -> bool:
        """Takes a turn in the caller's thread, which must be one of the operating system's, if no turn is requested.

        It does not wait for a turn that is under way. An exception of the turn is a failure; only one that kills a
        greenlet is raised.

        Args:
            turn: called when no turn is under way; does the waiting work, or returns `DECLINED`.

        Returns:
            Whether the turn was taken; if not, call `wake`.
        """
        if not self._turning.acquire(blocking=False):
            return False
        try:
            is_idle = self._identity is not None and self.retry_at is None and self._wake.is_clear()
            if self._stopping or not is_idle:
                return False
            # One of the operating system's threads, whose greenlets do not matter.
            self._guest = (threading.get_ident(), None)
            try:
                patience = turn()
            except BaseException as error:
                is_killed = self._fail(error) or is_kill(error)
                self.wake()
                if is_killed:
                    raise
                return True
            if patience == DECLINED:
                return False
            if patience is not None and time.monotonic() + patience < self._due_at:
                self.wake()
            return True
        finally:
            self._guest = None
            self._turning.release()

    def revive(self) -> None:
        """Starts another thread if the old one has died and the restart is due."""
        run = self._run
        due = self.retry_at is None or time.monotonic() >= self.retry_at
        if due and run is not None and self._is_lost and not self._stopping and run.replace.acquire(blocking=False):
            if self._failure is None:
                self._fail(_EndedFromOutsideError())
            self._spawn_or_fail()

    def stop(self) -> None:
        """Ends the thread after its turn; does not wait for it."""
        self._stopping = True
        self._wake.set()
        if self._run is None or self._is_lost or self._token.acquire(blocking=False):
            self._finish()

    def wait_over(self, timeout: float) -> bool:
        """Waits, after `stop`, up to `timeout` seconds for the thread's end; returns whether it has ended.

        Does not wait in the worker's own thread, nor at the interpreter's exit, when no threads run.
        """
        deadline = time.monotonic() + timeout
        while self._run is not None and not (self._over.is_set() or self.is_current() or sys.is_finalizing()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if self._is_lost:
                self._finish()
            else:
                self._over.wait(min(left, _SLICE))
        return bool(self._over.is_set())

    def is_current(self) -> bool:
        """Whether the caller runs in this worker's thread, or is its guest."""
        caller = identity()
        return any(one is not None and is_same(one, caller) for one in (self._identity, self._guest))

    @property
    def failure(self) -> Failure | None:
        """Why it cannot continue at present, or None."""
        failure = self._failure
        return _LOST if failure is None and self._is_lost and not self._stopping else failure

    # The thread

    def _spawn(self) -> None:
        run = self._run = _Run()
        try:
            run.thread = self._handler.spawn(self._work, run)
        except BaseException:
            run.is_lost = True
            raise

    def _spawn_or_fail(self) -> None:
        try:
            self._spawn()
        except Exception as error:
            self._fail(error)

    @property
    def _is_lost(self) -> bool:
        """Whether the thread has died without a regular end."""
        run = self._run
        if run is None or self._over.is_set():
            return False
        return run.is_lost or (not run.has_begun and run.thread is not None and has_ended(run.thread))

    def _work(self, run: _Run) -> None:
        run.has_begun = True
        try:
            # The first turn serves a wake-up that came before.
            if not self._wake.is_clear():
                self._wake.wait(0)
            while not self._takes_turns():
                pass
        except BaseException:
            # A killed greenlet ends. If even this fails, the next caller finds the thread lost.
            run.is_lost = True
            self._identity = None
            self._hand_over()
            return

    def _hand_over(self) -> None:
        """Hands over to another thread, which waits until the restart."""
        run = self._run
        if self._stopping:
            self._finish()
        elif run is not None and run.replace.acquire(blocking=False):
            self._spawn_or_fail()

    def _takes_turns(self) -> bool:
        """Takes turns until the end, or a rest, and returns True; False after a failure. Raises when it is killed."""
        try:
            self._identity = identity()
            while not self._stopping:
                if self._holds_off():
                    continue
                patience = self._take_turn()
                if patience != RESTS:
                    self._wake.wait(patience)
                elif self._rests():
                    return True
        except BaseException as error:
            if self._fail(error) or is_kill(error):
                raise
            return False
        self._identity = None
        self._finish()
        return True

    def _take_turn(self) -> float | None:
        with self._turning:
            if self.retry_at is not None:
                # A guest's turn failed meanwhile.
                return 0.0
            try:
                patience = self._turn()
            except BaseException:
                # So that no guest comes before the failure is noted.
                self.retry_at = _AT_ONCE
                raise
            self._due_at = math.inf if patience is None else time.monotonic() + patience
            return patience

    def _holds_off(self) -> bool:
        """After a failure, waits for a part of the time until the restart, or recovers if that is due."""
        if self.retry_at is None:
            return False
        pause = self.retry_at - time.monotonic()
        if pause > 0:
            self._wake.wait(pause)
            return True
        self._recover()
        self.retry_at = self._failure = None
        self.restarts += 1
        return False

    def _rests(self) -> bool:
        """Gives up the thread, unless a turn is requested; `wake` sets the wakeup first, then checks for a thread."""
        if not self._wake.is_clear() or self._stopping:
            self._wake.wait(0)
            return False
        self._identity = None
        self._token.release()
        if (not self._wake.is_clear() or self._stopping) and self._token.acquire(blocking=False):
            self._identity = identity()
            return False
        return True

    def _finish(self) -> None:
        if self._over.is_set():
            return
        is_guest = self._guest is not None and is_same(self._guest, identity())
        with nullcontext() if is_guest else self._turning:
            try:
                self._ended()
            finally:
                self._over.set()

    def _fail(self, error: BaseException) -> bool:
        """Notes a failure, even if memory is exhausted; returns whether the greenlet was killed meanwhile."""
        try:
            now = time.monotonic()
            is_first = now - self._failed_at > _FORGIVEN_AFTER
            self._delay = FIRST_DELAY if is_first else min(2 * self._delay, LONGEST_DELAY)
            self._failed_at = now
            self.retry_at = now + self._delay
            if is_first:
                self._failing_since = time.time()
            self._failure = Failure(in_words(error), self._failing_since)
            self._failed(error, self._delay)
        except BaseException as another:
            self._failure = self._failure or _UNSPEAKABLE
            if self.retry_at in (None, _AT_ONCE):
                self.retry_at = self._failed_at + self._delay
            return is_kill(another)
        return False


class _Run:
    """The life of one thread."""

    def __init__(self) -> None:
        self.thread: Any = None
        self.has_begun = False
        #: Whether it died without a regular end.
        self.is_lost = False
        #: Taken by the caller that starts the next thread.
        self.replace = threading.Lock()


class _EndedFromOutsideError(Exception):
    def __str__(self) -> str:
        return "its thread was ended from outside"


_LOST = Failure(str(_EndedFromOutsideError()), 0.0)
_UNSPEAKABLE = Failure("out of memory", 0.0)


def in_words(error: BaseException) -> str:
    """The type and message of an exception, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
