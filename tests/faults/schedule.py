"""Schedules: random faults from a seed, and writers that run at the same time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter.demo.server import ZooKeeperServer
from tests.faults.conftest import quick_client, started
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import DOWN, UP, Proxy
from tests.support import expire

NAMES = ("a", "b", "c", "ü")
Fault = Callable[[], object]


class Writer(threading.Thread):
    """Changes the tree at random, with a client that bypasses the proxy, until it is stopped."""

    def __init__(self, hosts: str, root: str, seed: str) -> None:
        super().__init__(daemon=True)
        self.client = quick_client(hosts, timeout=4.0)
        self._hosts = hosts
        self._root = root
        self._random = random.Random(seed)
        self._stopping = threading.Event()

    def run(self) -> None:
        with started(self.client):
            while not self._stopping.is_set():
                operations = [self._operation() for _ in range(self._random.randrange(1, 20))]
                for operation in operations:
                    self._finish(operation)
                self._stopping.wait(self._random.random() * 0.03)

    def stop(self) -> None:
        """Stops after the pending operations; its ephemeral znodes end with its session."""
        self._stopping.set()
        self.join(30)
        assert not self.is_alive()

    def _finish(self, operation: Any) -> None:
        while not self._stopping.is_set():
            try:
                operation.get(timeout=0.2)
            except self.client.handler.timeout_exception:
                continue
            except KazooException:
                return
            return

    def _operation(self) -> Any:
        draw, client, path = self._random, self.client, self._path()
        data = b"%d" % draw.randrange(1000)
        kind = draw.randrange(10)
        if kind < 3:
            return client.create_async(path, data, makepath=draw.random() < 0.5)
        if kind == 3:
            return client.create_async(path, data, ephemeral=True)
        if kind < 6:
            return client.set_async(path, data)
        if kind == 6:
            return self._delete_all(path)
        if kind == 7:
            client.delete_async(path)
            return client.create_async(path, data)
        if kind == 8:
            return client.delete_async(path)
        transaction = client.transaction()
        transaction.create(f"{path}/t", data)
        transaction.set_data(path, data)
        transaction.delete(f"{path}/t")
        transaction.create(f"{path}/t", data)
        return transaction.commit_async()

    def _path(self) -> str:
        return self._root + "".join("/" + self._random.choice(NAMES) for _ in range(self._random.randrange(1, 4)))

    def _delete_all(self, path: str) -> Any:
        """Deletes the znode and any znodes below it, one by one."""
        for first in NAMES:
            for second in NAMES:
                self.client.delete_async(f"{path}/{first}/{second}")
            self.client.delete_async(f"{path}/{first}")
        return self.client.delete_async(path)


class Faults:
    """The possible faults, and how to end them all."""

    def __init__(self, seed: int, proxy: Proxy, reader: KazooClient, place: ZooKeeperServer | Ensemble) -> None:
        self.drawn: list[str] = []
        self._random = random.Random(f"faults {seed}")
        self._proxy = proxy
        self._reader = reader
        self._place = place
        self._faults: Sequence[Fault] = (
            self.cut,
            self.refuse,
            self.slow_down,
            self.stall_up,
            self.stall_down,
            self.break_up,
            self.break_down,
            self.expire,
            *((self.stop_a_server, self.kill_a_server, self.move) if isinstance(place, Ensemble) else (self.restart,)),
        )

    def happen(self, count: int) -> None:
        """Causes this many random faults, one after another or together, and heals them all."""
        for _ in range(count):
            fault = self._random.choice(self._faults)
            self.drawn.append(getattr(fault, "__name__", ""))
            fault()
            time.sleep(self._random.random() * 0.2)
            if self._random.random() < 0.6:
                self.heal()
        self.heal()

    def heal(self) -> None:
        """Ends all faults."""
        self._proxy.heal()
        if isinstance(self._place, Ensemble):
            self._place.heal()

    def cut(self) -> None:
        self._proxy.cut()

    def refuse(self) -> None:
        self._proxy.refuse()
        self._proxy.cut()

    def slow_down(self) -> None:
        self._proxy.delay = self._random.choice((0.01, 0.05))

    def stall_up(self) -> None:
        self._proxy.stall(UP)

    def stall_down(self) -> None:
        self._proxy.stall(DOWN)

    def break_up(self) -> None:
        self._proxy.break_frame(UP)

    def break_down(self) -> None:
        self._proxy.break_frame(DOWN)

    def expire(self) -> None:
        client_id = self._reader.client_id
        if client_id is not None:
            expire(client_id, self._place.hosts)

    def restart(self) -> None:
        assert isinstance(self._place, ZooKeeperServer)
        self._place.restart()

    def stop_a_server(self) -> None:
        assert isinstance(self._place, Ensemble)
        self._random.choice(self._place.members).suspend()

    def kill_a_server(self) -> None:
        assert isinstance(self._place, Ensemble)
        self._random.choice(self._place.members).kill()

    def move(self) -> None:
        assert isinstance(self._place, Ensemble)
        self._proxy.target = self._random.choice(self._place.members).port
        self._proxy.cut()
