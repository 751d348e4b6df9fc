"""Audit: reads znodes again and again that nothing has told of, and compares them with the tree. Sans-I/O.

Watches and the proof of freshness rest on assumptions: about ZooKeeper, about what lies between, about this program. An
audit rests on none of them. It goes through the tree bit by bit, so that in time every znode has its turn. Whatever is
dirty, or becomes it before the answer, is passed over; whatever differs is read a second time before it counts.

What ZooKeeper tells nobody of is no mismatch, but is read again where an audit comes across it: changes of an ACL,
what children that may not be read do to their parent's stat. Unreadable znodes, ``/zookeeper/config`` and the
statistics of quotas are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from exporter.treecache.agenda import Agenda, Wanted
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.stats import MISMATCH_KINDS
from exporter.treecache.tree import Branch, Entry, Tree, record_of
from exporter.zookeeper.records import UNREADABLE, child_count, owner_and_size, told_of, without_data
from exporter.zookeeper.wire import AUDIT, NO_NODE, UNREADABLE_CODES, ReadRequest, ReadResult, Request

#: Bytes that one round's requests, and its answers, may take.
_ROUND_BYTES = 512 * 1024
_NAME_BYTES = 24
#: After so many differences an audit has seen enough.
_ENOUGH = 1000
_UNTOLD = "untold"


class Audit:
    """Compares a tree with the server now and then. Times are monotonic seconds, given by the caller.

    Args:
        prefix: what stands before the tree's paths on the server.
        reconciler: the tree, and what belongs to it.
        agenda: where paths wait to be read.
        in_flight: the requests that were sent and not yet answered.
        interval: the seconds from the beginning of one audit to that of the next; None for none at all.
        sample: how many znodes one audit reads; 0 for all.
        keep_data: whether the tree holds the znodes' data.
    """

    def __init__(
        self,
        prefix: str,
        reconciler: Reconciler,
        agenda: Agenda,
        in_flight: Collection[Request],
        *,
        interval: float | None,
        sample: int,
        keep_data: bool,
    ) -> None:
        #: How many audits have come to their end, and how many znodes they have compared.
        self.completed = 0
        self.audited_nodes = 0
        self.mismatches = dict.fromkeys(MISMATCH_KINDS, 0)
        #: Whether an audit is under way.
        self.is_running = False
        self._prefix = prefix
        self._reconciler = reconciler
        self._agenda = agenda
        self._in_flight = in_flight
        self._interval = interval
        self._sample = sample
        self._keep_data = keep_data
        self._due_at: float | None = None
        self._walk: Iterator[str] = iter(())
        self._left = 0
        self._found = 0
        self._suspects: dict[str, None] = {}
        # One round: the requests under way, whether they are second looks, and what became dirty meanwhile.
        self._requests: set[ReadRequest] = set()
        self._is_second_look = False
        self._touched = Wanted()

    # When

    def loaded(self, now: float) -> None:
        """The tree is complete, so there is something to compare."""
        if self._due_at is None and self._interval is not None:
            self._due_at = now + self._interval

    def begin_if_due(self, now: float) -> None:
        """Begins an audit when it is time. Only while the tree is complete."""
        if self._due_at is None or self._interval is None or self.is_running or now < self._due_at:
            return
        self._due_at = now + self._interval
        self.is_running = True
        self._found = 0
        tree = self._reconciler.tree
        self._left = min(self._sample, len(tree) + tree.unreadable) or 1
        if not self._sample:
            self._walk = _wander(tree)

    @property
    def due_at(self) -> float | None:
        """When the next audit begins, None while one is under way."""
        return None if self.is_running else self._due_at

    def break_off(self) -> None:
        """The tree is complete no more: nothing can be concluded."""
        self._agenda.stop_noting(self._touched)
        self._requests.clear()
        self._suspects.clear()
        self._found = 0
        self.is_running = False

    def take_finding(self) -> bool:
        """Whether an audit has ended that found something; True once."""
        found = self._found > 0 and not self.is_running
        if found:
            self._found = 0
        return found

    # Asking

    def next_round(self, room: int) -> tuple[list[str], list[str]]:
        """Paths to read and paths to list now, of about `room` operations; none while a round is under way.

        An audit that finds nothing more to read comes to its end.
        """
        if not self.is_running or self._requests:
            return [], []
        self._is_second_look = bool(self._suspects)
        busy = self._busy()
        if self._is_second_look:
            suspects, self._suspects = self._suspects, {}
            reads = [path for path in suspects if not self._is_settling(path, busy)]
            self._suspects = dict.fromkeys(reads[room:])
            reads = reads[:room]
            if reads:
                return reads, []
            self._is_second_look = False
        return self._first_looks(room, busy)

    def asked(self, request: ReadRequest) -> None:
        """Notes that a request of the round is on its way."""
        if not self._requests:
            self._touched = Wanted()
            self._agenda.note(self._touched)
        request.purpose = AUDIT
        self._requests.add(request)

    def _first_looks(self, room: int, busy: set[str]) -> tuple[list[str], list[str]]:
        reads: list[str] = []
        lists: list[str] = []
        size = 0
        while room > 0 and size < _ROUND_BYTES:
            path = self._next_path()
            if path is None:
                if not reads and not lists:
                    self._end()
                break
            entry = self._reconciler.tree.get(path)
            record = record_of(entry) if entry is not None else UNREADABLE
            may_not_be_read = entry is not None and not record
            if may_not_be_read or self._is_left_out(path) or self._is_settling(path, busy):
                continue
            size += 8 * (len(self._prefix) + len(path))
            if record:
                size += owner_and_size(record)[1]
            if entry is not None and self._has_children(path, entry, record):
                lists.append(path)
                size += _NAME_BYTES * child_count(record)
                room -= 2
            else:
                reads.append(path)
                room -= 1
        return reads, lists

    def _next_path(self) -> str | None:
        """The next path to look at, None at the end. A sample goes on where the last one ended."""
        if not self._left:
            return None
        path = next(self._walk, None)
        if path is None:
            if not self._sample:
                self._left = 0
                return None
            self._walk = _wander(self._reconciler.tree)
            path = next(self._walk)
        if self._sample:
            self._left -= 1
        return path

    def _busy(self) -> set[str]:
        """The paths that are being read for another purpose."""
        reads = (r for r in self._in_flight if isinstance(r, ReadRequest) and r.purpose != AUDIT)
        return {path for request in reads for path in (*request.reads, *request.lists)}

    def _is_settling(self, path: str, busy: set[str]) -> bool:
        """Whether a path, or one above it, waits to be read or is being read."""
        return any(at in self._agenda or at in busy for at in _up(path))

    def _was_touched(self, path: str) -> bool:
        """Whether a path, or one above it, became dirty since this round began."""
        return any(at in self._touched for at in _up(path))

    def _is_left_out(self, path: str) -> bool:
        path = self._prefix + path
        return path.startswith("/zookeeper/") and (path == "/zookeeper/config" or path.endswith("/zookeeper_stats"))

    def _has_children(self, path: str, entry: Entry, record: bytes) -> bool:
        if isinstance(entry, Branch) and entry.children:
            return True
        return child_count(record) > 0 and not self._reconciler.scope.is_deepest(path)

    # Comparing

    def answered(self, request: ReadRequest, results: Sequence[ReadResult]) -> None:
        """Compares a request's answers: of each path read its record, of each path listed its record and its names."""
        answers = iter(results)
        for path in request.reads:
            self._compare(path, next(answers))
        for path, record, names in zip(request.lists, answers, answers, strict=True):
            self._compare(path, record)
            if isinstance(names, list):
                self._compare_names(path, names)

    def listed(self, request: ReadRequest, names: list[str]) -> None:
        """The same for names alone."""
        self._compare_names(request.lists[0], names)

    def over(self, request: ReadRequest) -> None:
        """A request of the round is over, whatever it brought."""
        self._requests.discard(request)
        if not self._requests:
            self._agenda.stop_noting(self._touched)
            if self._found + len(self._suspects) >= _ENOUGH:
                self._left = 0

    def _compare(self, path: str, result: ReadResult) -> None:
        if self._was_touched(path):
            return
        self.audited_nodes += not self._is_second_look
        difference = self._difference(path, result)
        if difference == _UNTOLD:
            self._agenda.want_reads((path,), False)
        elif difference is not None and self._is_second_look:
            self.mismatches[difference] += 1
            self._found += 1
        elif difference is not None:
            self._suspects[path] = None

    def _compare_names(self, path: str, names: list[str]) -> None:
        entry = self._reconciler.tree.get(path)
        if entry is None or self._was_touched(path):
            return
        there = set(self._reconciler.scope.children(path, names))
        held = {f"{path}/{name}" for name in entry.children} if isinstance(entry, Branch) else set()
        busy = self._busy() if there != held else set()
        for child in there ^ held:
            if len(self._suspects) >= _ENOUGH:
                break
            if child not in self._touched and child not in self._agenda and child not in busy:
                self._suspects[child] = None

    def _difference(self, path: str, result: ReadResult) -> str | None:
        """What is wrong with what is held of a path, one of `MISMATCH_KINDS`, or `_UNTOLD`; None if nothing is."""
        entry = self._reconciler.tree.get(path)
        if entry is not None and not record_of(entry):
            # It may not be read, or that has changed, of which no watch tells. What cannot be listed can be read.
            is_too_long = path not in self._reconciler.hidden
            return None if result in UNREADABLE_CODES or is_too_long else _UNTOLD
        if result in UNREADABLE_CODES:
            return _UNTOLD
        if result == NO_NODE:
            return None if entry is None else "extra"
        if not isinstance(result, bytes):
            return None
        if entry is None:
            return "missing"
        record = result if self._keep_data else without_data(result)
        held = record_of(entry)
        if record == held:
            return None
        return _UNTOLD if told_of(record) == told_of(held) else "stale"

    def _end(self) -> None:
        self.is_running = False
        self.completed += 1


def _wander(tree: Tree) -> Iterator[str]:
    """The path of every znode, parents before children, and the root's in any case.

    It remembers names alone, so that it may take hours and keep nothing alive.
    """
    yield ""
    root = tree.root
    if root is None:
        return
    levels = [("/", root, iter(list(root.children)))]
    while levels:
        prefix, branch, names = levels[-1]
        for name in names:
            if name not in branch.children:
                continue
            yield prefix + name
            entry = branch.children.get(name)
            if isinstance(entry, Branch):
                levels.append((f"{prefix}{name}/", entry, iter(list(entry.children))))
                break
        else:
            levels.pop()


def _up(path: str) -> Iterator[str]:
    """A path and all above it."""
    yield path
    while path:
        path = path[: path.rindex("/")]
        yield path
