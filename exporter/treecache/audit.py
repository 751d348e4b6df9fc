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

import math
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import chain

from exporter.treecache.comparison import Comparison
from exporter.treecache.findings import ENOUGH, MismatchError
from exporter.treecache.glances import GLANCED, Glances
from exporter.treecache.looks import Look, Round, bytes_of
from exporter.treecache.options import CacheOptions
from exporter.treecache.reading import AUDIT_BYTES, AUDITED
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.scope import Scope
from exporter.treecache.sums import sizes
from exporter.treecache.tree import Branch, Entry, record_of
from exporter.treecache.walk import Walk
from exporter.zookeeper.paths import MANY, Siblings
from exporter.zookeeper.records import UNREADABLE, child_count, owner_and_size
from exporter.zookeeper.wire import ReadRequest

_NAME_BYTES = 24
#: Seconds until looks that were put off are made again, if nothing else is left to look at.
_PAUSE = 0.25

#: The maximum number of operations that a turn sends.
_MOST = 4 * AUDITED

#: Makes requests from the paths to read and the paths to list.
Audits = Callable[[Sequence[str], Sequence[str]], list[ReadRequest]]


class _Kind(Enum):
    """The kinds of audits: of the configured sample or all znodes; of all after an alarm; of a few, in a glance."""

    REGULAR = "regular"
    WHOLE = "whole"
    GLANCE = "glance"

    @property
    def is_glance(self) -> bool:
        return self is _Kind.GLANCE


class Audit:
    """Compares a tree with the server at intervals. Callers pass monotonic seconds.

    Args:
        prefix: the server's path of the root, which precedes relative paths.
        reconciler: has the tree and its scope.
        comparison: takes the answers.
        options: give the interval, and the size of the sample.
    """

    def __init__(self, prefix: str, reconciler: Reconciler, comparison: Comparison, options: CacheOptions) -> None:
        #: How many audits were completed.
        self.completed = 0
        #: Whether an audit is under way.
        self.is_running = False
        #: When `next_requests` is due even if nothing happens.
        self.resume_at: float | None = None
        self.comparison = comparison
        self._prefix = prefix
        self._reconciler = reconciler
        self._interval = options.audit_interval
        self._sample = options.audit_sample
        self._due_at: float | None = None
        self._turn = 0
        self._glances = Glances()
        #: The kind of the audit that is under way or due.
        self._kind = _Kind.REGULAR
        self._walk: Walk | None = None
        #: Fewer siblings than these are looked at one by one, which costs less.
        self._many = MANY

    # When

    def loaded(self, now: float) -> None:
        """The tree is complete: an interrupted audit continues."""
        if self._interval is None:
            return
        self._glances.plan(now, len(self._reconciler.tree))
        if self._walk is not None or self.comparison.later:
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
            if self._walk is None and not self.comparison.later:
                is_whole = self._kind is _Kind.WHOLE
                self._walk = Walk(self._reconciler.tree, 0 if is_whole else self._sample, self._turn)
                self._turn += not is_whole
        elif self._glances.are_due(now):
            self.is_running = True
            self._kind = _Kind.GLANCE
            self.comparison.later[""] = Look(is_counted=True)
            self._walk = Walk(self._reconciler.tree, GLANCED, self._glances.next_turn())

    @property
    def due_at(self) -> float | None:
        """When the next audit or glance is due, or the findings of the last; None while one is under way."""
        if self.is_running or self._due_at is None:
            return None
        if self.comparison.findings.found:
            return -math.inf
        return min(self._due_at, self._glances.due_at or self._due_at)

    @property
    def is_brief(self) -> bool:
        """Whether the next turn costs little: none is under way, or what it looks at next is at hand."""
        if not self.is_running:
            return True
        is_at_hand = self._walk is None or self._walk.has_at_hand(_MOST)
        return is_at_hand and len(self.comparison.later) < self._many

    def break_off(self) -> None:
        """The tree is no longer complete: ignores the answers under way."""
        self.comparison.break_off()
        if self._kind.is_glance:
            # The resync that follows reads everything.
            self._walk, self._kind = None, _Kind.REGULAR
            self.comparison.later.clear()
        self.is_running = False
        self.resume_at = None

    def take_finding(self) -> MismatchError | None:
        """The differences that an audit found, once, if everything should be read again because of them."""
        findings = self.comparison.findings
        return findings.take() if findings.found and not self.is_running else None

    def pause_until(self, at: float) -> None:
        """Makes a running audit send nothing before a monotonic time, nor before a later one that it waits for."""
        self.resume_at = at if self.resume_at is None else max(self.resume_at, at)

    # Asking

    def next_requests(self, audits: Audits, room: int, now: float) -> list[ReadRequest]:
        """The requests to send now, about `room` operations, made by `audits` from paths to read and paths to list.

        An audit with nothing left to look at, and no request under way, ends here.
        """
        size = AUDIT_BYTES - sum(round_.size for round_ in set(self.comparison.requests.values()))
        if not self.is_running or size <= 0 or (self.resume_at is not None and now < self.resume_at):
            return []
        self.resume_at = None
        round_ = self._next_round(room, size, now)
        requests = audits(round_.reads, round_.lists)
        self.comparison.begin(round_, requests)
        return requests

    def _next_round(self, room: int, size: int, now: float) -> Round:
        round_, comparison = Round(min(room, _MOST), size), self.comparison
        unsettled = comparison.unrest.unsettled()
        for path, look in list(comparison.later.items()):
            if not round_.has_room:
                break
            if not comparison.is_under_way(path) and not comparison.unrest.concerns(path, unsettled):
                del comparison.later[path]
                self._look_at(path, look, round_)
        if comparison.has_enough:
            self._walk = None
        is_pausing = self._take_steps(round_, unsettled)
        if round_.is_empty and not comparison.requests:
            self._wait_or_end(now, is_pausing)
        return round_

    def _take_steps(self, round_: Round, unsettled: set[str]) -> bool:
        """Fills a round with the next znodes of the walk; returns whether the walk wants to pause."""
        walk = self._walk
        while walk is not None and round_.has_room and not self._is_busy:
            run = walk.take(round_.room)
            if run is None:
                if not self._kind.is_glance:
                    self.comparison.skipped["unreadable"] += walk.unreadable
                walk = self._walk = None
            elif not run.names:
                return True
            else:
                walk.put_back(len(run.names) - self._take_some(run, round_, unsettled))
        if self._kind.is_glance and round_.is_large:
            self._walk = None
        return False

    @property
    def _is_busy(self) -> bool:
        """Whether what was found comes before other znodes."""
        return len(self.comparison.later) >= ENOUGH or self.comparison.has_much_to_read

    def _take_some(self, run: Siblings, round_: Round, unsettled: set[str]) -> int:
        """Looks at siblings of the walk, now or later: many leaves together, others one by one. Returns at how many."""
        comparison = self.comparison
        are_few = len(run.names) < self._many or self._kind.is_glance
        leaves = None if are_few else self._reconciler.tree.leaves(run)
        if leaves is not None and not self._are_special(run, round_, unsettled):
            keeps_all = self._reconciler.keeping.keeps_all
            return round_.add_leaves(self._prefix, run, list(map(len, leaves)) if keeps_all else sizes(leaves)[0])
        for taken, path in enumerate(run.paths()):
            if not round_.has_room or len(self.comparison.later) >= ENOUGH:
                return taken
            look = Look(is_counted=self._kind.is_glance)
            if _is_untracked(self._prefix + path):
                comparison.skip(look, "untracked")
            elif path in comparison.later or path in round_.looks or comparison.is_under_way(path):
                continue
            elif comparison.unrest.concerns(path, unsettled):
                comparison.later[path] = look
            else:
                self._look_at(path, look, round_)
        return len(run.names)

    def _are_special(self, run: Siblings, round_: Round, unsettled: set[str]) -> bool:
        """Whether siblings must be looked at one by one: some may be untracked, unsettled, or looked at already."""
        if _may_be_untracked(self._prefix + run.stem):
            return True
        special = chain(unsettled, round_.looks, self.comparison.looked_at())
        # There are few, mostly elsewhere.
        nearby = {path for path in special if path.startswith(run.stem)}
        return bool(nearby) and not nearby.isdisjoint(run.paths())

    def _look_at(self, path: str, look: Look, round_: Round) -> None:
        entry = self._reconciler.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        size = bytes_of(self._prefix + path, owner_and_size(record)[1] if record else 0)
        has_children = bool(record) and entry is not None and _has_children(self._reconciler.scope, path, entry, record)
        if has_children and not self._kind.is_glance and (look.lists or not look.is_second):
            round_.add_list(path, look, size + _NAME_BYTES * child_count(record))
        else:
            round_.add_read(path, look, size)

    def _wait_or_end(self, now: float, is_pausing: bool) -> None:
        if is_pausing:
            self.resume_at = now
            return
        for path, look in list(self.comparison.later.items()):
            del self.comparison.later[path]
            self.comparison.put_off(path, look, "changing")
        self.comparison.read_unreported()
        if self.comparison.later:
            self.resume_at = now + _PAUSE
        elif self._walk is None:
            self._end(now)
        else:
            self.resume_at = now

    def _end(self, now: float) -> None:
        self.is_running = False
        was_whole = self._kind is _Kind.WHOLE
        self.completed += not self._kind.is_glance
        self._kind = _Kind.REGULAR
        self._glances.plan(now, len(self._reconciler.tree))
        closed = set() if was_whole else set(self.comparison.closed)
        self.comparison.closed.clear()
        if self._glances.alarms(closed, now):
            self._kind, self._due_at = _Kind.WHOLE, now


def _is_untracked(path: str) -> bool:
    """Whether ZooKeeper changes the znode at a path without an event."""
    return _may_be_untracked(path) and (path == "/zookeeper/config" or path.endswith("/zookeeper_stats"))


def _may_be_untracked(path: str) -> bool:
    """Whether that may be so for a znode at this path or one of its siblings."""
    return path.startswith("/zookeeper/")


def _has_children(scope: Scope, path: str, entry: Entry, record: bytes) -> bool:
    """Whether a znode that is held has children to list."""
    if isinstance(entry, Branch) and entry.children:
        return True
    return child_count(record) > 0 and not scope.is_deepest(path)
