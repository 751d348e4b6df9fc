"""Audit: reads znodes regularly without a watch event, and compares them with the tree. Sans-I/O.

Watches and freshness checks rest on assumptions about ZooKeeper, the network and this program. An audit does not. It
*looks* at the znodes of the tree, or at a different sample each time (see `Walk`), and at the names of their children.
A znode that is dirty, or becomes so before the answer, is looked at again later; a znode that differs is read a second
time before it counts. Znodes that cannot be compared count as *skipped*:

- ``changing``: the znode was dirty, or changed, at every look;
- ``failed``: its reads failed;
- ``unreadable``: the session may not read it;
- ``untracked``: ZooKeeper changes it without an event: ``/zookeeper/config``, and the statistics of quotas.

A change without an event is no mismatch, but the audit has the znode read again: a changed ACL, or the effect of
unreadable children on their parent's stat. A znode that is *older* than its copy in the cache is always a mismatch:
within a connection a server goes back only if its state is restored.

Between two audits, `Glances` read a few znodes and list none; they do not count as audits.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate

from exporter.treecache.agenda import Agenda
from exporter.treecache.findings import ENOUGH, UNREPORTED, Findings, MismatchError
from exporter.treecache.glances import GLANCED, Glances
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Outbox
from exporter.treecache.reading import AUDIT_BYTES
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.scope import Scope
from exporter.treecache.sent import InFlight
from exporter.treecache.stats import SKIP_REASONS
from exporter.treecache.tree import Branch, Entry, Tree, record_of
from exporter.treecache.unrest import Unrest
from exporter.treecache.walk import Walk
from exporter.zookeeper.capabilities import UNREADABLE_CODES
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.records import UNREADABLE, child_count, owner_and_size
from exporter.zookeeper.wire import (
    NO_NODE,
    OK,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    ReadResult,
)

_NAME_BYTES = 24
#: How often a look is put off, and the seconds in between when nothing else is left to look at.
_TRIES = 3
_PAUSE = 0.25


class _Kind(Enum):
    """The kinds of audits: of the configured sample or all znodes; of all after an alarm; of a few, in a glance."""

    REGULAR = "regular"
    WHOLE = "whole"
    GLANCE = "glance"

    @property
    def is_glance(self) -> bool:
        return self is _Kind.GLANCE


class _Look:
    """One look at a znode: how often it was put off, whether it is the second one, and whether it was counted."""

    __slots__ = ("is_counted", "is_second", "lists", "tries")

    def __init__(self, *, is_second: bool = False, lists: bool = False, is_counted: bool = False) -> None:
        self.tries = 0
        self.is_second = is_second
        #: Whether a second look is about children that the tree lacks.
        self.lists = lists
        self.is_counted = is_second or is_counted


#: Stands for the look at a path that is not being looked at.
_GONE = _Look()


class Audit:
    """Compares a tree with the server at intervals. Callers pass monotonic seconds.

    Args:
        prefix: the server's path of the root, which precedes relative paths.
        reconciler: has the tree and its scope.
        agenda: the paths that wait to be read.
        in_flight: the requests sent and not yet answered.
        outbox: takes answers that cannot be decoded.
        options: give the interval, and the size of the sample.
    """

    def __init__(
        self,
        prefix: str,
        reconciler: Reconciler,
        agenda: Agenda,
        in_flight: InFlight,
        outbox: Outbox,
        options: CacheOptions,
    ) -> None:
        #: How many audits were completed, how many znodes they have compared, and how many they have skipped.
        self.completed = 0
        self.audited_nodes = 0
        self.skipped = dict.fromkeys(SKIP_REASONS, 0)
        #: Whether an audit is under way.
        self.is_running = False
        #: When `next_round` is due even if nothing happens.
        self.resume_at: float | None = None
        self._prefix = prefix
        self._reconciler = reconciler
        self._agenda = agenda
        self._unrest = Unrest(agenda, in_flight, reconciler.tree)
        self._outbox = outbox
        self._interval = options.audit_interval
        self._sample = options.audit_sample
        self._findings = Findings(prefix, reconciler)
        #: The numbers of differences, by `MISMATCH_KINDS`.
        self.mismatches = self._findings.mismatches
        self._due_at: float | None = None
        self._turn = 0
        self._glances = Glances()
        #: The kind of the audit that is under way or due.
        self._kind = _Kind.REGULAR
        self._walk: Walk | None = None
        #: Looks that were put off, and second looks; they survive a reconnect.
        self._later: dict[str, _Look] = {}
        #: Znodes that changed without an event, to be read when no second look needs their copies unchanged.
        self._unreported: set[str] = set()
        #: Paths that have become unreadable, unless an alarm already caused an audit of the whole tree.
        self._closed: set[str] = set()
        #: The requests of a round that are not answered yet.
        self.requests: set[ReadRequest] = set()
        # None stands for a first look at a leaf, of which there are very many.
        self._reading: dict[str, _Look | None] = {}
        self._listing: dict[str, _Look] = {}

    # When

    def loaded(self, now: float) -> None:
        """The tree is complete: an interrupted audit continues."""
        if self._interval is None:
            return
        self._glances.plan(now, len(self._reconciler.tree))
        if self._walk is not None or self._later:
            self._due_at = now
        elif self._due_at is None:
            self._due_at = now + self._interval

    def begin_if_due(self, now: float) -> None:
        """Begins an audit if one is due, or resumes one. Call it only while the tree is complete."""
        if self._due_at is None or self._interval is None or self.is_running:
            return
        if now >= self._due_at:
            self._due_at = now + self._interval
            self.is_running = True
            if self._walk is None and not self._later:
                is_whole = self._kind is _Kind.WHOLE
                self._walk = Walk(self._reconciler.tree, 0 if is_whole else self._sample, self._turn)
                self._turn += not is_whole
        elif self._glances.are_due(now):
            self.is_running = True
            self._kind = _Kind.GLANCE
            self._later[""] = _Look(is_counted=True)
            self._walk = Walk(self._reconciler.tree, GLANCED, self._glances.next_turn())

    @property
    def due_at(self) -> float | None:
        """When the next audit or glance is due; None while one is under way."""
        if self.is_running or self._due_at is None:
            return None
        return min(self._due_at, self._glances.due_at or self._due_at)

    def break_off(self) -> None:
        """The tree is no longer complete: ignores the answers under way."""
        self._unrest.end_round()
        self.requests.clear()
        self._later.update((path, look or _Look()) for path, look in self._reading.items())
        self._later.update(self._listing)
        self._reading.clear()
        self._listing.clear()
        if self._kind.is_glance:
            # The resync that follows reads everything.
            self._walk, self._kind = None, _Kind.REGULAR
            self._later.clear()
        self._closed.clear()
        self.is_running = False
        self.resume_at = None

    def take_finding(self) -> MismatchError | None:
        """The differences that an audit found, once, if everything should be read again because of them."""
        return self._findings.take() if self._findings.found and not self.is_running else None

    # Asking

    def next_round(self, room: int, now: float) -> tuple[list[str], list[str]]:
        """The paths to read and to list now, about `room` operations; none while a round is under way.

        An audit with nothing left to look at ends here.
        """
        is_waiting = self.resume_at is not None and now < self.resume_at
        if not self.is_running or self.requests or is_waiting:
            return [], []
        self.resume_at = None
        round_ = _Round(room)
        unsettled = self._unrest.unsettled()
        for path, look in list(self._later.items()):
            if not round_.has_room:
                break
            if not self._unrest.concerns(path, unsettled):
                del self._later[path]
                self._look_at(path, look, round_)
        is_pausing = self._take_steps(round_, unsettled)
        if not round_.reads and not round_.lists:
            self._wait_or_end(now, is_pausing)
        return round_.reads, round_.lists

    def asked(self, request: ReadRequest) -> None:
        """Notes that a request of the round was sent."""
        if not self.requests:
            self._unrest.begin_round()
        self.requests.add(request)

    def _take_steps(self, round_: _Round, unsettled: set[str]) -> bool:
        """Fills a round with the next znodes of the walk; returns whether the walk wants to pause."""
        walk = self._walk
        while walk is not None and round_.has_room and len(self._later) < ENOUGH:
            paths = walk.take(round_.room)
            if paths is None:
                if not self._kind.is_glance:
                    self.skipped["unreadable"] += walk.unreadable
                walk = self._walk = None
            elif not paths:
                return True
            else:
                walk.put_back(paths[self._take_some(paths, round_, unsettled) :])
        if self._kind.is_glance and round_.is_large:
            self._walk = None
        return False

    def _take_some(self, paths: Sequence[str], round_: _Round, unsettled: set[str]) -> int:
        """Looks at znodes of the walk, now or later: leaves together, others one by one. Returns for how many."""
        others = (unsettled, self._later.keys(), self._reading.keys())
        if not self._kind.is_glance and all(other.isdisjoint(paths) for other in others):
            sizes = _sizes_of_leaves(self._reconciler.tree, self._prefix, paths)
            if sizes is not None:
                taken = round_.add_reads(paths, sizes)
                self._reading.update(dict.fromkeys(paths[:taken]))
                return taken
        for taken, path in enumerate(paths):
            if not round_.has_room or len(self._later) >= ENOUGH:
                return taken
            look = _Look(is_counted=self._kind.is_glance)
            if _is_untracked(self._prefix + path):
                self._skip(look, "untracked")
            elif path in self._later or path in self._reading:
                continue
            elif self._unrest.concerns(path, unsettled):
                self._later[path] = look
            else:
                self._look_at(path, look, round_)
        return len(paths)

    def _look_at(self, path: str, look: _Look, round_: _Round) -> None:
        entry = self._reconciler.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        size = _bytes_of(self._prefix + path, owner_and_size(record)[1] if record else 0)
        self._reading[path] = look
        has_children = bool(record) and entry is not None and _has_children(self._reconciler.scope, path, entry, record)
        if has_children and not self._kind.is_glance and (look.lists or not look.is_second):
            self._listing[path] = look
            round_.add(round_.lists, path, 2, size + _NAME_BYTES * child_count(record))
        else:
            round_.add(round_.reads, path, 1, size)

    def _wait_or_end(self, now: float, is_pausing: bool) -> None:
        if is_pausing:
            self.resume_at = now
            return
        for path, look in list(self._later.items()):
            del self._later[path]
            self._put_off(path, look, "changing")
        self._read_unreported()
        if self._later:
            self.resume_at = now + _PAUSE
        elif self._walk is None:
            self._end(now)
        else:
            self.resume_at = now

    def _end(self, now: float) -> None:
        self.is_running = False
        self.completed += not self._kind.is_glance
        self._kind = _Kind.REGULAR
        self._glances.plan(now, len(self._reconciler.tree))
        closed, self._closed = self._closed, set()
        if self._glances.alarms(closed, now):
            self._kind, self._due_at = _Kind.WHOLE, now

    # Comparing

    def take_answer(self, reply: Reply, request: ReadRequest) -> None:
        """Compares an answer; one that cannot be decoded is left to the next audit."""
        try:
            if isinstance(request, MultiRead) and reply.error == OK:
                self._answered(request, request.decode(reply.body, reply.offset))
            elif isinstance(request, GetChildren) and reply.error == OK:
                self._compare_names(request.lists[0], request.decode(reply.body, reply.offset)[0])
            elif isinstance(request, GetData):
                self._answered(request, [reply.error or request.decode(reply.body, reply.offset)])
        except (struct.error, ValueError) as error:
            self._outbox.fault("request", error)
            self._outbox.distrusts.append("bad_reply")
        self.over(request)

    def _answered(self, request: ReadRequest, results: Sequence[ReadResult]) -> None:
        """Compares the answers to a request: the record of each path read, the record and names of each path listed."""
        for position in self._differing(request.reads, results):
            self._compare(request.reads[position], results[position])
        answers = iter(results[len(request.reads) :])
        for path, record, names in zip(request.lists, answers, answers, strict=True):
            self._compare(path, record)
            if isinstance(names, list):
                self._compare_names(path, names)

    def _differing(self, paths: Sequence[str], results: Sequence[ReadResult]) -> list[int]:
        """The positions to compare one by one. Counts the others, which are right at the first look."""
        looks, touched = self._reading, self._unrest.touched
        kept = self._reconciler.kept(paths, list(results))
        odd = set(self._reconciler.tree.differing(paths, kept))
        odd.update(at for at, path in enumerate(paths) if looks.get(path, _GONE) is not None or path in touched)
        right = [path for at, path in enumerate(paths) if at not in odd]
        for path in right:
            del looks[path]
        self._findings.are_right(right)
        self.audited_nodes += len(right)
        return sorted(odd)

    def over(self, request: ReadRequest) -> None:
        """A request of the round is over; paths that it did not answer are looked at again."""
        self.requests.discard(request)
        read = (*request.reads, *request.lists) if isinstance(request, MultiRead) else request.reads
        for looks, paths in ((self._reading, read), (self._listing, request.lists)):
            for path in [path for path in paths if path in looks]:
                look = looks.pop(path) or _Look()
                if path not in self._later:
                    self._put_off(path, look, "failed")
        if not self.requests:
            self._unrest.end_round()
            if self._findings.found + sum(look.is_second for look in self._later.values()) >= ENOUGH:
                self._walk = None
            self._read_unreported()

    def _read_unreported(self) -> None:
        if self._unreported and not any(look.is_second for look in self._later.values()):
            self._agenda.want_reads(self._unreported, False)
            self._unreported = set()

    def _put_off(self, path: str, look: _Look, reason: str) -> None:
        look.tries += 1
        if look.tries <= _TRIES:
            self._later[path] = look
        else:
            self._skip(look, reason)

    def _skip(self, look: _Look, reason: str) -> None:
        self.skipped[reason] += not look.is_counted or look.is_second

    def _compare(self, path: str, result: ReadResult) -> None:
        if path not in self._reading:
            return
        look = self._reading.pop(path) or _Look()
        if self._unrest.was_touched(path):
            self._put_off(path, look, "changing")
        elif isinstance(result, int) and result not in (NO_NODE, *UNREADABLE_CODES):
            self._put_off(path, look, "failed")
        else:
            self._judge(path, look, result)

    def _judge(self, path: str, look: _Look, result: ReadResult) -> None:
        difference = self._findings.difference(path, result)
        if difference == UNREPORTED:
            self._unreported.add(path)
            if result in UNREADABLE_CODES and self._kind is not _Kind.WHOLE:
                self._closed.add(path)
        elif difference is not None and not look.is_second:
            look.is_second = True
            look.tries = 0
            self._later[path] = look
            return
        elif difference is not None:
            self._findings.count(path, difference)
        elif not look.lists:
            self._findings.are_right((path,))
        if not look.is_counted:
            look.is_counted = True
            if result in UNREADABLE_CODES:
                self.skipped["unreadable"] += 1
            else:
                self.audited_nodes += 1

    def _compare_names(self, path: str, names: list[str]) -> None:
        look = self._listing.pop(path, None)
        entry = self._reconciler.tree.get(path)
        if look is None or entry is None:
            return
        if self._unrest.was_touched(path):
            if path not in self._later:
                self._put_off(path, look, "changing")
            return
        scope = self._reconciler.scope
        wanted = scope.children(path, names)
        there = set(wanted)
        held = {f"{path}/{name}" for name in entry.children} if isinstance(entry, Branch) else set()
        dirty = self._unrest.unsettled() | self._unrest.touched if there != held else set()
        for child in there ^ held:
            if len(self._later) >= ENOUGH:
                break
            if child not in dirty:
                self._later.setdefault(child, _Look(is_second=True))
        if path or scope.others(names, wanted) == self._reconciler.others:
            return
        # The names of the root's children in other shards are not the known ones.
        if look.lists:
            self._findings.count("", "stale")
        else:
            self._later.setdefault("", _Look(is_second=True, lists=True))


def _is_untracked(path: str) -> bool:
    """Whether ZooKeeper changes the znode at a path without an event."""
    return _may_be_untracked(path) and (path == "/zookeeper/config" or path.endswith("/zookeeper_stats"))


def _sizes_of_leaves(tree: Tree, prefix: str, paths: Sequence[str]) -> list[int] | None:
    """The bytes of requests and answers for siblings; None unless all are leaves of the tree that can be compared."""
    data_bytes = None if _may_be_untracked(prefix + paths[0]) else tree.leaf_sizes(paths)
    if data_bytes is None:
        return None
    return [_bytes_of(prefix + path, size) for path, size in zip(paths, data_bytes, strict=True)]


def _bytes_of(path: str, data_bytes: int) -> int:
    """The bytes of a request and its answer, about."""
    return 8 * len(path) + data_bytes


def _may_be_untracked(path: str) -> bool:
    """Whether that may be so for a znode at this path or one of its siblings."""
    return path.startswith("/zookeeper/")


def _has_children(scope: Scope, path: str, entry: Entry, record: bytes) -> bool:
    """Whether a znode that is held has children to list."""
    if isinstance(entry, Branch) and entry.children:
        return True
    return child_count(record) > 0 and not scope.is_deepest(path)


class _Round:
    """The paths to read and list together, within bounds."""

    def __init__(self, room: int) -> None:
        self.reads: list[str] = []
        self.lists: list[str] = []
        #: How many more operations there may be.
        self.room = room
        self._size = 0

    @property
    def has_room(self) -> bool:
        return self.room > 0 and not self.is_large

    @property
    def is_large(self) -> bool:
        return self._size >= AUDIT_BYTES

    def add_reads(self, paths: Sequence[str], sizes: Sequence[int]) -> int:
        """Adds paths to read, at least one, until the round is large; returns how many."""
        ends = list(accumulate(sizes))
        fit = min(len(paths), 1 + bisect_left(ends, AUDIT_BYTES - self._size))
        self.reads += paths[:fit]
        self.room -= fit
        self._size += ends[fit - 1]
        return fit

    def add(self, to: list[str], path: str, operations: int, size: int) -> None:
        to.append(path)
        self.room -= operations
        self._size += size
