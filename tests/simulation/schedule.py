"""Schedule: carries out a plan step by step, and checks the replica after each step and at rest."""

from __future__ import annotations

from exporter.treecache.reading import SINGLE_WINDOW as CLASSIC_WINDOW
from exporter.treecache.tree import Entry, record_of
from exporter.zookeeper.messages import BARRIERS, CHANGED, CHILD, CREATED, DELETED, Unanswered
from exporter.zookeeper.wire import MARSHALLING_ERROR, THROTTLED, ReadRequest
from tests.simulation.harness import Harness
from tests.simulation.plan import Options, Plan, draw
from tests.simulation.znodes import INT, STAT

_ABSENT_PARENT = "/nowhere"
_NAMES = ("a", "b", "c")
_BELOW = [
    *(f"/{x}" for x in _NAMES),
    *(f"/{x}/{y}" for x in _NAMES for y in _NAMES),
    *(f"/{x}/a/{y}" for x in _NAMES for y in _NAMES),
    "/a/a/a/a",
    "/a/a/a/a/a",
]
_ERRORS = (THROTTLED, THROTTLED, -1)
_OWNER = 7
_EVERYTHING = 1_000_000


class Chosen:
    """Keeps nothing called c below the first level and does not descend into b."""

    def keep(self, path: str) -> bool:
        return not path.endswith("/a/c")

    def descend(self, path: str) -> bool:
        return not path.endswith("/b")


class Schedule:
    """One replica, one server, and the steps that may happen to them."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._harness = Harness(
            options.root,
            mode=options.mode,
            batch_size=options.batch_size,
            window=options.window,
            keep_data=options.keep_data,
            selector=Chosen() if options.selects else None,
            max_depth=options.max_depth,
            max_nodes_per_second=options.max_nodes_per_second,
            freshness_interval=options.freshness_interval,
            audit_interval=options.audit_interval,
            audit_sample=options.audit_sample,
            shard=options.shard,
            glances=options.glances,
        )
        self._harness.judges_words = True
        self._harness.is_prompt = options.prompt
        if options.families:
            self._harness.let_families_wait()
        server = self._server = self._harness.server
        server.knows_recursive = options.knows_recursive
        server.closes_after_refusal = options.closes_after_refusal
        server.reports_unreadable = options.reports_unreadable
        server.one_mode_a_path = options.one_mode_a_path
        server.hesitation = options.hesitation
        self._root = "" if options.root == "/" else options.root
        self._window = options.window if options.mode == "recursive" else CLASSIC_WINDOW
        self._make_path(options.root)
        if options.begins != "empty":
            for path in ("/a/a/a", "/a/b", "/b/a", "/b/b", "/c"):
                self._make_path(self._root + path)
        server.connect()
        if options.begins == "loaded":
            self._harness.settle()

    # Running

    def run(self, plan: Plan) -> None:
        """Carries out every step, then lets the replica come to rest and compares."""
        for kind, number, other in plan.steps:
            getattr(self, "_" + kind)(number, other)
        self._finish()

    def _finish(self) -> None:
        self._settle(0, 0)
        server = self._server
        refused = self._is_refused
        # A refused replica has nothing to check yet.
        server.hesitation = 0
        if refused:
            server.knows_recursive = True
        if (
            not refused
            and self._options.audit_interval is not None
            and (server.poisoned or server.unreported or server.lost)
        ):
            # Only audits find it.
            self._harness.audit()
            server.poisoned = server.unreported = False
            server.lost.clear()
            self._harness.check()
        if refused or server.unreported or server.lost or server.read_only:
            self._harness.resync()
        server.catch_up(_EVERYTHING)
        self._harness.verify()
        self._harness.check()

    @property
    def _is_refused(self) -> bool:
        """Whether the replica reads nothing: its mode is recursive, but the server seems not to support it."""
        knows = self._server.knows_recursive and self._harness.word is not False
        return self._options.mode == "recursive" and not knows

    # Steps: changes

    def _create(self, number: int, other: int, owner: int = 0) -> None:
        nodes, path = self._server.leader.nodes, self._any_path(number)
        parent = nodes.get(path.rpartition("/")[0] or "/")
        if path not in nodes and parent is not None and not parent.owner:
            self._server.create(path, b"%d" % other, owner)

    def _create_deep(self, number: int, other: int) -> None:
        self._make_path(self._any_path(number) + ("", "/x/y/z")[other % 2])

    def _create_wide(self, number: int, other: int) -> None:
        path, nodes = self._known_path(number), self._server.leader.nodes
        if path in nodes and not nodes[path].owner:
            for child in range(other % 6 + 1):
                name = f"{path.rstrip('/')}/w{child}"
                if name not in nodes:
                    self._server.create(name)

    def _create_ephemeral(self, number: int, other: int) -> None:
        self._create(number, other, _OWNER)

    def _create_root(self, number: int, other: int) -> None:
        self._make_path(self._root + _BELOW[number % len(_BELOW)])

    def _create_again(self, number: int, other: int) -> None:
        path = self._known_path(number)
        if path not in ("/", "") and path in self._server.leader.nodes:
            self._server.delete_all(path)
            self._server.create(path, b"%d" % other)
            for child in range(other % 3):
                self._server.create(f"{path}/{_NAMES[child]}")

    def _set(self, number: int, other: int) -> None:
        path = self._known_path(number)
        if path in self._server.leader.nodes:
            self._server.set(path, b"%d" % (other % 100))

    def _delete(self, number: int, other: int) -> None:
        path, nodes = self._known_path(number), self._server.leader.nodes
        while path in nodes and nodes[path].children:
            path = f"{path.rstrip('/')}/{min(nodes[path].children)}"
        if path in nodes and path != "/":
            self._server.delete(path)

    def _delete_all(self, number: int, other: int) -> None:
        path = self._known_path(number)
        if path != "/" and path in self._server.leader.nodes:
            self._server.delete_all(path)

    def _delete_root(self, number: int, other: int) -> None:
        if self._root in self._server.leader.nodes:
            self._server.delete_all(self._root)

    def _end_ephemerals(self, number: int, other: int) -> None:
        ended = [path for path, node in self._server.leader.nodes.items() if node.owner == _OWNER]
        if ended:
            with self._server.multi():
                for path in ended:
                    self._server.delete(path)

    def _multi(self, number: int, other: int) -> None:
        with self._server.multi():
            for position in range(3):
                write = (self._create, self._set, self._create_again, self._create_wide)[(other >> 2 * position) & 3]
                write(number + position * (other % 5), other)

    def _hide(self, number: int, other: int) -> None:
        self._set_readable(number, False)

    def _show(self, number: int, other: int) -> None:
        self._set_readable(number, True)

    # Steps: messages and time

    def _deliver(self, number: int, other: int) -> None:
        self._harness.deliver(number % 4 + 1)

    def _take(self, number: int, other: int) -> None:
        self._harness.take()
        sent = sum(isinstance(request, ReadRequest) for request in self._harness.replica._in_flight)
        # The watch for the root's creation may exceed the window.
        assert sent <= self._window + 1, f"{sent} outstanding reads"

    def _execute(self, number: int, other: int) -> None:
        for _ in range(number % 3 + 1):
            if self._server.requests and self._server.connected:
                self._server.execute()

    def _turn(self, number: int, other: int) -> None:
        self._harness.deliver(len(self._server.stream))
        self._take(0, 0)
        self._execute(number, other)

    def _hold(self, number: int, other: int) -> None:
        if self._server.requests and self._server.connected:
            self._server.execute(hold=True)

    def _release(self, number: int, other: int) -> None:
        self._server.release()

    def _delay(self, number: int, other: int) -> None:
        self._turn(0, 0)
        # During a sync the server's answers always win, so their order must be that of the wire.
        if not self._server.connected or self._harness.replica._reconciler.syncing:
            return
        path = self._server.delay()
        if path is not None and other % 4:
            # A newer change that may overtake it.
            self._set_and_extend(path, other)
            self._turn(2, 0)
            self._turn(2, 0)

    def _arrive_late(self, number: int, other: int) -> None:
        self._server.arrive_late()

    def _tick(self, number: int, other: int) -> None:
        self._harness.now += (0.01, 0.1, 1.0, 30.0)[number % 4]

    def _poll(self, number: int, other: int) -> None:
        self._harness.replica.poll()

    def _barrier(self, number: int, other: int) -> None:
        if self._server.connected:
            self._harness.request_barrier(BARRIERS[number % len(BARRIERS)])

    def _verify(self, number: int, other: int) -> None:
        self._harness.replica.verify(self._harness.now, self._harness.now)

    def _catch_up(self, number: int, other: int) -> None:
        self._server.catch_up(number % 4 + 1)

    def _settle(self, number: int, other: int) -> None:
        server = self._server
        if not server.connected:
            self._connect(0, 0)
        server.catch_up(_EVERYTHING)
        self._harness.settle()
        if self._is_refused:
            return
        if server.unreported or server.poisoned:
            self._harness.check_itself()
        elif server.lost:
            self._harness.check_told()
        else:
            self._harness.check()

    def _inform(self, number: int, other: int) -> None:
        self._server.inform()

    def _forget_inquiry(self, number: int, other: int) -> None:
        self._server.is_asked = False

    # Steps: faults

    def _cut(self, number: int, other: int) -> None:
        if self._server.connected:
            self._server.disconnect(number % 8)
            if other % 3:
                self._connect(number >> 3, other >> 2)

    def _expire(self, number: int, other: int) -> None:
        if self._server.connected:
            self._server.disconnect(number % 8)
        self._server.expire()
        if other % 3:
            self._connect(number >> 3, other >> 2)

    def _connect(self, number: int, other: int) -> None:
        if self._server.connected:
            return
        lag = number % 9 if other % 2 else 0
        self._server.connect(read_only=other % 16 == 1, lag=lag)

    def _restore(self, number: int, other: int) -> None:
        if self._server.connected:
            self._server.disconnect(number % 8)
        if other % 4:
            self._server.expire()
        history = len(self._server.history)
        self._server.restore(0 if other % 3 == 0 else max(0, history - number % 12))
        if number % 5 == 0:
            self._connect(0, 0)

    def _fail(self, number: int, other: int) -> None:
        errors = _ERRORS if self._options.mode == "recursive" else (*_ERRORS, MARSHALLING_ERROR)
        self._server.mishaps.append(errors[number % len(errors)])

    def _spoil(self, number: int, other: int) -> None:
        self._server.mishaps.append(("garble", "part")[number % 2])

    def _stray(self, number: int, other: int) -> None:
        if self._server.connected:
            below = self._root + _BELOW[number % len(_BELOW)]
            path = (below, self._root or "/", f"{self._root}{_ABSENT_PARENT}/x")[other % 3]
            self._server.stray((CREATED, DELETED, CHANGED, CHILD)[(other >> 2) % 4], path)

    def _lose(self, number: int, other: int) -> None:
        if other % 2:
            # The first events of a whole branch, whose last ones still come.
            self._create_deep(number, other)
            other = 0
        for _ in range(number % 3 + 1):
            self._server.lose(other)

    def _mislead(self, number: int, other: int) -> None:
        self._server.lose(other, instead=self._root or "/")

    def _poison(self, number: int, other: int) -> None:
        """Makes the replica hold a wrong record, or none, or a znode that does not exist: a bug, or a flipped bit."""
        if self._options.audit_interval is None:
            return
        # Publish what follows from earlier messages first.
        self._take(0, 0)
        entries = [path for path, entry in self._harness.replica.tree.walk() if record_of(entry)]
        if not entries:
            return
        path = entries[number % len(entries)]
        record = record_of(_found(self._harness, path))
        kind = other % 8
        if kind < 2 and path:
            self._harness.poison(path, None)
        elif kind == 2 and self._harness.replica._reconciler.scope.covers(f"{path}/poison"):
            self._harness.poison(f"{path}/poison", record)
        else:
            self._harness.poison(path, poisoned(record, other >> 3))

    def _swap(self, number: int, other: int) -> None:
        server = self._server
        may_be = server.connected and not server.read_only and not server.late
        if not may_be or self._options.audit_interval is None:
            return
        self._server.swap(max(0, len(self._server.history) - number % 12))

    def _fail_to_queue(self, number: int, other: int) -> None:
        """kazoo fails the next request although the client is connected. Not drawn: it happens as a connection ends."""
        if self._server.connected and self._server.requests:
            self._server.stream.append(Unanswered(self._server.requests.popleft(), connected=True))

    def _stumble(self, number: int, other: int) -> None:
        """The replica's driver met an unexpected error."""
        if number % 2:
            self._harness.deliver(other % 4)
        self._harness.replica.start_over(self._harness.now)

    def _change_server(self, number: int, other: int) -> None:
        if not self._server.connected:
            self._server.knows_recursive = number % 2 == 0
            self._server.has_refused = False

    # Targets of steps

    def _any_path(self, number: int) -> str:
        """A path that may or may not exist; sometimes the root's, or one beside it."""
        if number % 16 == 0:
            return self._root or "/a"
        if number % 16 == 1:
            return (self._root or "/a") + "beside"
        return self._root + _BELOW[number % len(_BELOW)]

    def _known_path(self, number: int) -> str:
        """The path of a znode at or below the root, or the root's if no znode exists."""
        paths = [path for path in self._server.leader.nodes if path.startswith(self._root + "/") and path != "/"]
        if not paths or number % 8 == 0:
            return self._root or "/"
        return paths[(number >> 3) % len(paths)]

    def _make_path(self, path: str) -> None:
        nodes, made = self._server.leader.nodes, ""
        for name in path.split("/")[1:]:
            if made in nodes and nodes[made].owner:
                return
            made += "/" + name
            if made not in nodes and path != "/":
                self._server.create(made)

    def _set_and_extend(self, path: str, number: int) -> None:
        nodes, child = self._server.leader.nodes, f"{path.rstrip('/')}/late"
        if path in nodes:
            self._server.set(path, b"%d" % number)
            if child not in nodes and not nodes[path].owner:
                self._server.create(child)

    def _set_readable(self, number: int, readable: bool) -> None:
        path = self._known_path(number)
        node = self._server.leader.nodes.get(path)
        if node is not None and node.readable != readable:
            self._server.set_readable(path, readable)


def _found(harness: Harness, path: str) -> Entry:
    entry = harness.replica.tree.find(path)
    assert entry is not None
    return entry


def poisoned(record: bytes, number: int) -> bytes:
    """A record with different data, or with an older or newer part of its stat."""
    data, stat = record[: -STAT.size], list(STAT.unpack(record[-STAT.size :]))
    what = number % 5
    if what == 0 and len(data) > INT.size:
        return data[:-1] + bytes((data[-1] ^ 1,)) + record[-STAT.size :]
    by = (-1, 1, -(1 << 40), 1 << 40)[(number // 5) % 4]
    # czxid, mzxid, mtime or pzxid.
    stat[(3, 0, 1, 3, 10)[what]] += by
    return data + STAT.pack(*stat)


def run(plan: Plan) -> None:
    """Carries out a plan. Raises an AssertionError, or the replica's own error, if the replica is wrong."""
    Schedule(plan.options).run(plan)


def run_seed(seed: int) -> None:
    """Carries out a seed's plan."""
    run(draw(seed))
