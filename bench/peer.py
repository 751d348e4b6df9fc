"""One cache in its own process, driven by JSON lines: `python -m bench.peer PEER HOSTS`, PEER being one of `CACHES`.

Each line on standard input is a command, each line on standard output its answer. Times are Unix seconds.

    {"do": "load"}                         -> {"seconds": S}, once the cache is initialized
    {"do": "load_in_company", "after": S}  -> {"meanwhile": [S, ...], "after": [S, ...]}, how long other requests of the
                                              client took during the load and for so many seconds after it
    {"do": "digest"}                       -> {"digest": D} of all that the cache holds; see `bench.truth`
    {"do": "memory"}                       -> {"resident": BYTES, "live": BYTES}, growth since before the load
    {"do": "wait", "path": P, "data": D}   -> {"at": T}, once the cache holds D at P
    {"do": "wait_all", "paths": [P, ...], "data": D} -> {"at": T}, once the cache holds D at all of them
    {"do": "reconnected"}                  -> {"at": T}, when the last connection was made
    {"do": "cpu"}                          -> {"seconds": S}, CPU time of this process so far
    {"do": "audit"}                        -> {"seconds": S, "cpu": S}, the time and CPU time of the next audit
    {"do": "listen"}                       -> {}; the listener now notes the age of data "T<unix time>" at each event
    {"do": "ages"}                         -> {"ages": [S, ...]}, the ages noted so far
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import kazoo.recipe.cache
from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState
from prometheus_client import CollectorRegistry

import exporter
from bench.trees import ROOT
from bench.truth import digest
from exporter.zookeeper.kazoo.seam import adapt

CACHES: dict[str, Any] = {
    "kazoo": kazoo.recipe.cache.TreeCache,
    "ours": exporter.TreeCache,
    # Its listener is called without a change of threads.
    "ours-inline": exporter.TreeCache,
    # It compares everything with the server, a second after the load and each second from then on.
    "ours-audited": functools.partial(exporter.TreeCache, audit_interval=1.0),
}


class Peer:
    """The commands, by name."""

    def __init__(self, name: str, hosts: str) -> None:
        self._client = KazooClient(hosts=hosts, randomize_hosts=False)
        self._client.start()
        self._listens: dict[str, Any] = {"inline": True} if name == "ours-inline" else {}
        if name != "kazoo":
            # As in an application.
            exporter.instrument(self._client, registry=CollectorRegistry())
        self._cache = CACHES[name](self._client, ROOT)
        self._connected_at = time.time()
        self._client.add_listener(self._on_state)
        self._resident = resident_bytes()
        self._ages: list[float] = []

    def load(self) -> dict[str, Any]:
        started = time.perf_counter()
        self._cache.start()
        while not self._cache._is_initialized:
            time.sleep(0.001)
        return {"seconds": time.perf_counter() - started}

    def load_in_company(self, after: float) -> dict[str, Any]:
        with self._asking() as meanwhile:
            self.load()
        with self._asking() as afterwards:
            time.sleep(after)
        return {"meanwhile": meanwhile, "after": afterwards}

    @contextmanager
    def _asking(self) -> Iterator[list[float]]:
        """Makes other requests of the client, one after another, and notes how long each takes."""
        seconds: list[float] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                began = time.perf_counter()
                self._client.exists("/")
                seconds.append(time.perf_counter() - began)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield seconds
        finally:
            over.set()
            thread.join()

    def digest(self) -> dict[str, Any]:
        paths = [ROOT]
        for path in paths:
            paths += [f"{path}/{name}" for name in self._cache.get_children(path)]
        return {"digest": digest((path, self._cache.get_data(path).data) for path in paths)}

    def memory(self) -> dict[str, Any]:
        return {"resident": resident_bytes() - self._resident, "live": live_bytes(self._held())}

    def wait(self, path: str, data: str) -> dict[str, Any]:
        return self._wait([path], data, 0.0005)

    def wait_all(self, paths: list[str], data: str) -> dict[str, Any]:
        # Less often, since there may be many such processes.
        return self._wait(paths, data, 0.01)

    def _wait(self, paths: list[str], data: str, interval: float) -> dict[str, Any]:
        wanted = data.encode()
        for path in paths:
            while (node := self._cache.get_data(path)) is None or node.data != wanted:
                time.sleep(interval)
        return {"at": time.time()}

    def reconnected(self) -> dict[str, Any]:
        return {"at": self._connected_at}

    def cpu(self) -> dict[str, Any]:
        return {"seconds": time.process_time()}

    def audit(self) -> dict[str, Any]:
        audit = self._cache._replica.audit
        while not audit.is_running:
            time.sleep(0.001)
        began, cpu, completed = time.perf_counter(), time.process_time(), audit.completed
        while audit.completed == completed:
            time.sleep(0.001)
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    def listen(self) -> dict[str, Any]:
        self._cache.listen(self._note_age, **self._listens)
        return {}

    def ages(self) -> dict[str, Any]:
        return {"ages": self._ages}

    def _on_state(self, state: KazooState) -> None:
        if state == KazooState.CONNECTED:
            self._connected_at = time.time()

    def _note_age(self, event: Any) -> None:
        if event.event_data is not None and event.event_data.data[:1] == b"T":
            self._ages.append(time.time() - float(event.event_data.data[1:]))

    def _held(self) -> list[Any]:
        """The objects that hold the tree; kazoo's cache also fills the client's tables of watchers."""
        if isinstance(self._cache, exporter.TreeCache):
            tree = self._cache._replica.tree
            return [tree.root, tree._names]
        client = adapt(self._client)
        return [self._cache._root, client.data_watchers, client.child_watchers]


def resident_bytes() -> int:
    """This process's resident memory, after free memory is returned to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def live_bytes(roots: list[Any]) -> int:
    """The total size of all objects of the tree that can be reached from `roots`."""
    caches = (kazoo.recipe.cache.TreeCache, exporter.TreeCache)
    elsewhere = (type, ModuleType, FunctionType, BuiltinFunctionType, KazooClient, *caches)
    seen: set[int] = set()
    total, level = 0, roots
    while level:
        fresh = [thing for thing in level if id(thing) not in seen and not isinstance(thing, elsewhere)]
        level = []
        for thing in fresh:
            if id(thing) not in seen:
                seen.add(id(thing))
                total += sys.getsizeof(thing)
                level += gc.get_referents(thing)
                if isinstance(thing, dict):
                    # The garbage collector does not report the keys of a dictionary whose keys are all strings.
                    level += thing.keys()
    return total


def main() -> None:
    """Serves commands until standard input ends."""
    peer = Peer(*sys.argv[1:])
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(peer, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
