"""Harness: a replica at a model server, one step at a time; every event and request of it is judged."""

from __future__ import annotations

from typing import Any

from exporter.treecache.replica import Replica
from exporter.treecache.tree import Branch, record_of
from exporter.zookeeper.records import UNREADABLE, child_count, owner_and_size
from exporter.zookeeper.wire import GetChildren, GetData, MultiRead
from tests.simulation.eventlog import EventLog, gist
from tests.simulation.server import ModelServer
from tests.simulation.znodes import STAT

#: Rounds after which a replica that still has something to do is going round in circles.
#: Seconds that pass from one turn to the next.
_TURN = 0.001
_PATIENCE = 2_000
_EVERYTHING = 1_000_000


class Harness:
    """Drives a replica as a `TreeCache` does, and knows what it must hold."""

    def __init__(self, root: str = "/app", **options: Any) -> None:
        self.server = ModelServer(root)
        self.server.selector, self.server.max_depth = options.get("selector"), options.get("max_depth")
        self.replica = Replica(root, **options)
        self.log = EventLog(self.server, "" if root == "/" else root)
        self.faults: list[Exception] = []
        self.now = 0.0
        self._keeps_data = options.get("keep_data", True)
        self._rate = options.get("max_nodes_per_second")
        self._read = 0

    def deliver(self, count: int = 1) -> None:
        """Gives the replica the next messages of the stream."""
        for _ in range(min(count, len(self.server.stream))):
            self.replica.receive(self.server.stream.popleft(), self.now)

    def take(self) -> None:
        """Sends and publishes what follows; what is sent without a connection waits for the next one."""
        self.now += _TURN
        outcome = self.replica.take(self.now)
        self.server.requests.extend(outcome.requests)
        self.log.extend(outcome.events)
        self.faults.extend(fault.error for fault in outcome.faults)
        if self._rate is not None:
            self._read += sum(
                r.operations for r in outcome.requests if isinstance(r, GetData | GetChildren | MultiRead)
            )
            # A tenth of a second's reads may be saved up, and the last batch may end in a list, which takes two.
            assert self._read <= self._rate * self.now + max(1, self._rate / 10) + 2, "reads faster than it may"

    def settle(self) -> None:
        """Lets everything happen until nothing is left to do; a connection that goes meanwhile is made again."""
        server, reconnects = self.server, self.server.connected
        for _ in range(_PATIENCE):
            server.arrive_late()
            server.release()
            self.deliver(len(server.stream))
            self.take()
            if server.requests and server.connected:
                server.execute()
            elif server.stream:
                continue
            elif reconnects and not server.connected:
                server.connect()
            elif self.replica.wake_at is not None:
                self.now = max(self.now, self.replica.wake_at)
            else:
                return
        raise AssertionError("the replica does not come to rest")

    def start(self) -> None:
        """Connects and loads."""
        self.server.connect()
        self.settle()

    def resync(self) -> None:
        """Cuts the connection and settles at a server that knows all."""
        self.server.disconnect(_EVERYTHING)
        self.server.connect()
        self.settle()

    def held(self) -> dict[str, bytes]:
        """The readable znodes in the replica's tree, by path on the server."""
        prefix = "" if self.server.root == "/" else self.server.root
        walk = ((prefix + path or "/", record_of(entry)) for path, entry in self.replica.tree.walk())
        return {path: record for path, record in walk if record != UNREADABLE}

    def published(self) -> list[tuple[int, str]]:
        """Type and path of every event so far; forgets them."""
        events, self.log.events = self.log.events, []
        return [(event.type, event.path) for event in events]

    def check(self) -> None:
        """At rest the replica equals the server, the events replayed equal the replica, and nothing is left over."""
        replica, tree, held = self.replica, self.replica.tree, self.held()
        required, allowed = self.server.expected()
        if not self._keeps_data:
            required = {path: record[-STAT.size :] for path, record in required.items()}
            allowed = {path: record[-STAT.size :] for path, record in allowed.items()}
        assert {path: record for path, record in held.items() if path not in allowed} == required
        assert all(allowed[path] == record for path, record in held.items() if path in allowed)
        self.log.assert_equals(tree, held)
        assert replica.initialized
        assert self.log.initialized
        self.check_itself()
        assert len(tree) == len(held)
        assert tree.data_bytes == sum(owner_and_size(record)[1] for record in held.values())
        entries = list(tree.walk())
        assert tree.unreadable == len(entries) - len(held)

    def check_told(self) -> None:
        """At rest, with some events lost: all else is as it must be, if not in the stats of parents."""
        held, lost = self.held(), self.server.lost
        required, allowed = self.server.expected()
        for path in {path for path in required.keys() | held.keys() if path not in lost}:
            if path in required:
                assert path in held, f"{path} was told of"
                assert gist(held[path]) == gist(required[path][0 if self._keeps_data else -STAT.size :])
            elif path not in allowed and path not in self.server.ever_unreadable:
                assert any(path.startswith(gone + "/") for gone in lost), f"{path} was told to be gone"
        self.log.assert_equals(self.replica.tree, held)
        self.check_itself()

    def check_itself(self) -> None:
        """At rest nothing is left over, and the tree agrees with itself, whatever was not told of the server."""
        replica, agenda, tree = self.replica, self.replica._agenda, self.replica.tree
        entries = list(tree.walk())
        limited = self.server.selector is not None or self.server.max_depth is not None
        for path, entry in entries:
            record, children = record_of(entry), len(entry.children) if isinstance(entry, Branch) else 0
            assert children or not path or not isinstance(entry, Branch), f"{path!r} is not folded"
            if record and not limited:
                assert child_count(record) == children, f"{path!r} counts other children than are held"
        assert replica._reconciler.hidden == {path for path, entry in entries if record_of(entry) == UNREADABLE}
        assert replica.outstanding_operations == 0
        assert replica.pending_paths == 0
        assert not replica._in_flight
        assert not replica._heard
        assert agenda.loaded, f"{agenda._loading} paths are waited for by no one"
        assert not replica._reconciler._suspects
        assert not replica._reconciler.syncing
