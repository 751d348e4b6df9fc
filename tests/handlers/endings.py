"""A program whose greenlets are killed and whose listeners raise, for `test_handlers` to run in its own process.

    python -m tests.handlers.endings HANDLER HOSTS

HANDLER is as in `tests.handlers.scenario`. Prints one line for each step that went well.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib
import sys

HANDLER, HOSTS = sys.argv[1:]

if HANDLER == "gevent-patched":
    importlib.import_module("gevent.monkey").patch_all()
elif HANDLER == "eventlet-patched":
    importlib.import_module("eventlet").monkey_patch()

import gc
import time
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent

HANDLERS = {
    "threading": "SequentialThreadingHandler",
    "gevent": "SequentialGeventHandler",
    "eventlet": "SequentialEventletHandler",
}


def make_handler() -> Any:
    """The handler that was asked for."""
    name = HANDLER.removesuffix("-patched")
    return getattr(importlib.import_module(f"kazoo.handlers.{name}"), HANDLERS[name])()


def raised() -> list[BaseException]:
    """What a listener may raise, that library's own exceptions among it."""
    library = importlib.import_module(HANDLER.removesuffix("-patched"))
    timeout = [library.Timeout(1000)] if hasattr(library, "Timeout") else []
    return [*timeout, SystemExit(), KeyboardInterrupt(), GeneratorExit()]


class Endings:
    """One client, one cache of /app, and all that may end them."""

    def __init__(self) -> None:
        self.client = KazooClient(HOSTS, handler=make_handler())
        self.cache = TreeCache(self.client, "/app")
        self.cache.start()
        self.client.start()
        assert self.cache.wait_initialized(30)
        self.events: list[TreeEvent] = []
        self.next = 0

    def run(self) -> None:
        """Goes through everything, and says how far it came."""
        for step in (self.listeners, self.listener_killed, self.engine, self.engine_killed, self.all_killed):
            step()
            print(step.__name__, flush=True)

    def listeners(self) -> None:
        """Any exception of a listener is a fault, and the others continue."""
        errors = raised()
        faults: list[BaseException] = []

        def listener(event: TreeEvent) -> None:
            if errors:
                raise errors[-1]

        self.cache.listen(listener)
        self.cache.listen_fault(faults.append)
        self.cache.listen(self.events.append)
        for number in range(len(raised())):
            self.change()
            self.until(lambda number=number: len(self.events) == len(faults) == number + 1)  # type: ignore[misc]
            errors.pop()
        assert self.cache.state == "in_sync", self.cache.state
        assert self.cache.stats().engine_restarts == 0

    def listener_killed(self) -> None:
        """A greenlet that is killed in a listener ends; another continues with the next event."""
        kills = self.kills()
        self.cache.listen(lambda event: kills.pop()() if kills else None)
        self.change()
        self.change()
        self.until(lambda: not kills and not self.cache.stats().undelivered_events)
        self.until(lambda: self.cache.state == "in_sync" and self.cache.initialized)

    def engine(self) -> None:
        """The engine restarts after any exception."""
        for error in raised():
            self.break_engine(error)

    def engine_killed(self) -> None:
        """When the engine's greenlet is killed, another takes over."""
        for kill in self.kills():
            before = self.cache.stats().engine_restarts
            take = self.cache._replica.take

            def killed(now: float, take: Any = take, kill: Callable[[], None] = kill) -> Any:
                self.cache._replica.take = take  # type: ignore[method-assign]
                kill()

            self.cache._replica.take = killed  # type: ignore[method-assign]
            self.change()
            self.until(lambda before=before: self.cache.stats().engine_restarts > before)  # type: ignore[misc]
            self.comes_back()

    def all_killed(self) -> None:
        """With every greenlet dead, the cache says that it has failed or is cut off, and closes immediately."""
        greenlets = self.greenlets()
        if greenlets:
            importlib.import_module("gevent").killall(greenlets, timeout=30)
            assert all(greenlet.dead for greenlet in greenlets)
            assert self.cache.state != "in_sync", self.cache.state
            assert not self.cache.initialized
            assert not self.cache.wait_initialized(0.1)
        began_at = time.monotonic()
        self.cache.close()
        assert time.monotonic() - began_at < 20
        assert self.cache.state == "closed"

    def break_engine(self, error: BaseException) -> None:
        """Makes the engine raise at its next turn, and waits until it has recovered."""
        before = self.cache.stats().engine_restarts
        take = self.cache._replica.take

        def broken(now: float) -> Any:
            self.cache._replica.take = take  # type: ignore[method-assign]
            raise error

        self.cache._replica.take = broken  # type: ignore[method-assign]
        self.change()
        self.until(lambda: self.cache.stats().engine_restarts == before + 1)
        self.comes_back()

    def comes_back(self) -> None:
        """Waits until the cache follows its tree."""
        self.until(lambda: self.cache.state == "in_sync" and self.cache.initialized)
        self.change()
        self.until(lambda: f"/app/{self.next}" in self.cache)

    def kills(self) -> list[Callable[[], None]]:
        """Ways to kill the greenlet that calls them; none where there are threads."""
        if HANDLER == "threading":
            return []
        exit_type = importlib.import_module("greenlet").GreenletExit

        def leave() -> None:
            raise exit_type

        return [leave]

    def greenlets(self) -> list[Any]:
        """Every greenlet of gevent's, but for the hub."""
        if not HANDLER.startswith("gevent"):
            return []
        kind = importlib.import_module("gevent").Greenlet
        return [one for one in gc.get_objects() if isinstance(one, kind) and not one.dead]

    def change(self) -> None:
        """Creates the next znode."""
        self.next += 1
        self.client.create(f"/app/{self.next}")

    def until(self, predicate: Callable[[], Any]) -> None:
        """Polls as this handler sleeps, which lets its other threads run."""
        deadline = time.monotonic() + 30
        while not predicate():
            assert time.monotonic() < deadline, "not true within 30 s"
            self.client.handler.sleep_func(0.01)


if __name__ == "__main__":
    Endings().run()
