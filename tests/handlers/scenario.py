"""A program that keeps a cache under one of kazoo's handlers, for `test_handlers` to run in its own process.

    python -m tests.handlers.scenario HANDLER HOSTS MODE

HANDLER is threading, gevent, eventlet, or one of the latter two followed by ``-patched``: with the standard library
monkey-patched before anything else is imported. Prints one line for each step that went well.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib
import sys

HANDLER, HOSTS, MODE = sys.argv[1:]

if HANDLER == "gevent-patched":
    importlib.import_module("gevent.monkey").patch_all()
elif HANDLER == "eventlet-patched":
    importlib.import_module("eventlet").monkey_patch()

import time
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.zookeeper.kazoo.seam import adapt

NODES = 400
HANDLERS = {
    "threading": "SequentialThreadingHandler",
    "gevent": "SequentialGeventHandler",
    "eventlet": "SequentialEventletHandler",
}


def make_handler() -> Any:
    """The handler that was asked for."""
    name = HANDLER.removesuffix("-patched")
    return getattr(importlib.import_module(f"kazoo.handlers.{name}"), HANDLERS[name])()


class Scenario:
    """One client, one cache of /app, and what they go through."""

    def __init__(self) -> None:
        self.client = KazooClient(HOSTS, handler=make_handler())
        self.cache = TreeCache(self.client, "/app", mode=MODE)
        self.events: list[TreeEvent] = []
        self.cache.listen(self.events.append)

    def run(self) -> None:
        """Goes through everything, and says how far it came."""
        for step in (self.start, self.load, self.hear, self.reconnect, self.listen_badly, self.close):
            step()
            print(step.__name__, flush=True)

    def start(self) -> None:
        """The cache first, then its client."""
        self.cache.start()
        self.client.start()

    def load(self) -> None:
        """A tree of some size, by a second cache of the same client."""
        assert self.cache.wait_initialized(20)
        self.until(lambda: self.client.exists("/app"))
        for creation in [self.client.create_async(f"/app/{n}", b"x" * 1000) for n in range(NODES)]:
            creation.get(timeout=20)
        with TreeCache(self.client, "/app", mode=MODE) as other:
            assert other.wait_initialized(20)
            assert len(other) == NODES + 1
        self.until(lambda: len(self.cache) == NODES + 1)

    def hear(self) -> None:
        """Events of live changes, in their order."""
        self.until(lambda: len(self.events) == NODES + 2)
        self.client.create("/app/a", b"1")
        self.until(lambda: "/app/a" in self.cache)
        self.client.set("/app/a", b"2")
        self.until(lambda: self.cache.get_data("/app/a").data == b"2")
        self.client.delete("/app/a")
        self.until(lambda: len(self.events) == NODES + 5)
        assert self.kinds()[-3:] == [TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED]

    def reconnect(self) -> None:
        """The connection breaks, and all is as before."""
        adapt(self.client).hang_up()
        self.until(lambda: self.kinds()[-2:] == [TreeEvent.CONNECTION_SUSPENDED, TreeEvent.CONNECTION_RECONNECTED])
        self.until(lambda: self.client.connected)
        self.client.set("/app/1", b"after")
        self.until(lambda: self.cache.get_data("/app/1").data == b"after")
        self.until(lambda: self.kinds()[-1] == TreeEvent.NODE_UPDATED)

    def listen_badly(self) -> None:
        """A listener that waits and then raises delays neither the tree nor the connection."""
        faults: list[Exception] = []
        go_on = self.client.handler.event_object()
        self.cache.listen_fault(faults.append)

        def listener(event: TreeEvent) -> None:
            go_on.wait(20)
            raise RuntimeError("raised by a listener")

        self.cache.listen(listener)
        self.client.create("/app/b", b"1")
        self.client.create("/app/c", b"1")
        self.until(lambda: "/app/c" in self.cache)
        assert not faults
        go_on.set()
        self.until(lambda: len(faults) == 2)

    def close(self) -> None:
        """The cache is closed from one of its listeners and sends no more events; the client keeps working."""
        self.cache.listen(lambda event: self.cache.close())
        self.client.create("/app/d")
        self.until(lambda: len(self.cache) == 0)
        told = len(self.events)
        self.client.create("/app/e")
        self.client.get("/app/e")
        assert len(self.events) == told
        self.client.stop()
        self.client.close()

    def kinds(self) -> list[int]:
        """The types of the events so far."""
        return [event.event_type for event in self.events]

    def until(self, predicate: Callable[[], Any]) -> None:
        """Polls as this handler sleeps, which lets its other threads run."""
        deadline = time.monotonic() + 20
        while not predicate():
            assert time.monotonic() < deadline, "not true within 20 s"
            self.client.handler.sleep_func(0.01)


if __name__ == "__main__":
    Scenario().run()
