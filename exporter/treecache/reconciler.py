"""Reconciler: applies the results of reads to the tree, by difference, and finds out what else must be read.

Only reads change the tree. Within a connection an older version of a znode never replaces a newer one; but during a
sync the server's answers always win, since the ensemble may have been restored from a backup.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import cast

from kazoo.exceptions import KazooException, NoAuthError

from exporter.treecache.agenda import Agenda, Loads
from exporter.treecache.backoff import PERSISTENT, Backoff, Strike, UnsettledError
from exporter.treecache.events import TreeEvent
from exporter.treecache.feed import Feed
from exporter.treecache.keeping import Keeping
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import AddedRun, Aside, Event, Fault, Outbox
from exporter.treecache.scope import Scope
from exporter.treecache.tree import NEVER_LISTED, Branch, Entry, OrphanError, Tree, listed_pzxid_of, record_of
from exporter.treecache.view import View
from exporter.zookeeper.paths import Paths, Siblings, runs_of
from exporter.zookeeper.records import (
    UNREADABLE,
    child_count,
    czxid_of,
    history_of,
    is_reported,
    pzxid_of,
    version_of,
)
from exporter.zookeeper.wire import ReadResult

#: Seconds until a contradiction is checked again: the first delay, and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 60.0
_FREE_LOOKS = 2
#: Seconds after which a suspect is checked even if there are changes all the time.
_PATIENCE = 1.0
_TOO_MANY = 1 << 31


class Reconciler:
    """The tree, and the rules by which reads change it.

    Args:
        shown_prefix: the root's path as users see it, without the client's chroot; it precedes relative paths.
        agenda: takes further reads.
        outbox: takes events and faults.
        options: define the tree's scope, and whether it holds data.
    """

    def __init__(
        self,
        shown_prefix: str,
        agenda: Agenda,
        outbox: Outbox,
        options: CacheOptions,
    ) -> None:
        self.tree = Tree()
        on_fault = functools.partial(outbox.fault, "selector")
        self.scope = Scope(shown_prefix, options.selector, options.max_depth, on_fault, options.shard)
        #: The outbox's events and faults.
        self.events, self.faults = outbox.events, outbox.faults
        #: Whether a sync is under way.
        self.syncing = False
        #: Whether the znode at a path must be listed even without children, because only a list watches for them.
        self.lists_leaf: Callable[[str], bool] = lambda path: False
        #: The names of the root's children that belong to other shards.
        self.others: frozenset[str] = frozenset()
        #: The unreadable znodes of the tree.
        self.hidden: set[str] = set()
        #: The znodes that exceed the limits of requests or replies, see `leave_out`.
        self.left_out: set[str] = set()
        self._shown_prefix = shown_prefix
        self._agenda = agenda
        #: Says whose data the tree holds.
        self.keeping = Keeping(options.keep_data)
        #: Takes the changes that are no events; None without views.
        self._asides: list[Aside] | None = None
        #: Suspects: znodes whose number of children may differ from those held, and since when one waits to be checked.
        self.suspects: set[str] = set()
        self._suspected_at: float | None = None
        #: Suspects that still differed after a list, and when to list them again.
        self._contradictory: dict[str, float] = {}
        #: When `recheck_suspects` is due even if nothing happens.
        self.recheck_at: float | None = None
        #: The znodes that the server contradicts itself about.
        self.contradictions = Backoff(_FIRST_LOOK, _LONGEST_LOOK, free=_FREE_LOOKS)
        self._lists_all = False

    def begin_sync(self, *, lists_all: bool = False) -> None:
        """Lets the server's answers always win, until `end_sync`.

        With `lists_all` every list of children is read again, even if the parent's stat says that it is current.
        """
        self.syncing = True
        self._lists_all = lists_all
        self.suspects.clear()
        self._contradictory.clear()
        self.recheck_at = None

    def end_sync(self) -> None:
        """Lets an older version of a znode never replace a newer one from now on."""
        self.syncing = False

    def follow(self, lists_leaf: Callable[[str], bool]) -> None:
        """Sets which znodes are listed even without children."""
        self.lists_leaf = lists_leaf

    def attend(self, feed: Feed) -> None:
        """Gives views also the changes that are no events, and keeps the data that they read."""
        self._asides = feed.asides
        self.keeping.follow(feed.views, feed.fail)

    def forget(self) -> None:
        """Drops every znode, without events."""
        self.tree.clear()
        self.others = frozenset()
        self.hidden.clear()
        self.left_out.clear()

    # Results of reads

    def suspect_parents(self, paths: Sequence[str]) -> None:
        """Notes that children were read, so that others may be missing."""
        self.suspects.update(run.stem[:-1] for run in runs_of(paths) if run.stem)

    def apply_run(self, run: Siblings, results: Sequence[ReadResult], loads: Loads) -> Sequence[int]:
        """Applies the records of siblings if they are new or unchanged.

        The results are those of `keeping`. Does the same as `apply_record` for each, at a fraction of the cost; the
        caller applies the results at the positions returned.
        """
        applied = self.tree.apply_run(run, results)
        if run.stem and any(isinstance(result, bytes) for result in results):
            # Also if these children are as they were, see `suspect_parents`.
            self.suspects.add(run.stem[:-1])
        if applied.are_new:
            self.events.append(AddedRun(Paths((run,)), cast(Sequence[bytes], results), applied.kinds))
        for position in applied.parents:
            path = run.stem + run.names[position]
            if self._is_listed(path, 1):
                self._agenda.want_list(path, self.syncing or path in loads)
        return applied.odd

    def apply_record(self, path: str, record: bytes, load: bool, listed: bool = False) -> None:
        """Applies a record; `listed` if the matching list of children is about to be applied as well.

        During a sync the load waits for everything that a new znode leads to, even if an event led to the znode first.
        """
        if not self.keeping.keeps_all:
            record = self.keeping.record(path, record)
        try:
            entry = self.tree.add(path, record)
        except OrphanError:
            # Its parent came or went meanwhile: a new list of the parent decides.
            self._agenda.want_list(_parent(path), load or self.syncing)
            return
        if entry is None:
            if path and not load:
                self.suspects.add(_parent(path))
            load = load or self.syncing
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if listed:
                # Only its child led here: the event of its creation was lost, and with it the parent's new stat.
                self._agenda.want_reads((_parent(path),) if path else (), load)
            elif self._is_listed(path, child_count(record)):
                self._agenda.want_list(path, load)
        elif self._update(path, entry, record, load, listed) and not listed:
            self._check_children(path, entry, record, load)

    def apply_names(self, path: str, pzxid: int, names: list[str], load: bool) -> None:
        """Applies a list of children that was read when the znode's pzxid was `pzxid`."""
        entry = self.tree.get(path)
        if entry is None or self._goes_back((pzxid,), (listed_pzxid_of(entry),)):
            return
        if path in self.left_out:
            self.left_out.discard(path)
            self._agenda.want_reads((path,), load or self.syncing)
        if names and (load or self.syncing) and not _held(entry) and not self.scope.may_leave_out_children(path):
            # All are new and wanted: most of a load.
            self._agenda.want_children(path, names)
            self.tree.list_at(path, pzxid)
            return
        wanted = self.scope.children(path, names)
        if not path:
            self.others = self.scope.others(names, wanted)
        if not wanted and not isinstance(entry, Branch):
            return
        branch = self.tree.list_at(path, pzxid)
        held = [f"{path}/{name}" for name in branch.children]
        for child in set(held).difference(wanted) if held else ():
            record = record_of(branch.children[child[len(path) + 1 :]])
            # A child that is younger than the list was read after it.
            if not record or czxid_of(record) <= pzxid or self.syncing:
                self._remove(child)
        cut = len(path) + 1
        # An unreadable child may have been created anew: no watch reports that.
        unknown = [child for child in wanted if not _readable(branch.children.get(child[cut:]))] if held else wanted
        self._agenda.want_reads(unknown, load or self.syncing)
        if not wanted:
            self.tree.fold(path)

    def hide(self, path: str, load: bool) -> None:
        """Holds a znode as unreadable: drops its data, and keeps the znodes known below it."""
        if self._hide(path, load, "no_auth", NoAuthError(f"{self._shown_prefix + path or '/'} may not be read")):
            self.hidden.add(path)
            self.left_out.discard(path)

    def leave_out(self, path: str, load: bool, problem: str) -> None:
        """Holds a znode as unreadable because its request or reply exceeds the limits; it is not polled."""
        if self._hide(path, load, "request", KazooException(f"{self._shown_prefix + path or '/'} {problem}")):
            self.left_out.add(path)

    def _hide(self, path: str, load: bool, kind: str, error: Exception) -> bool:
        """Holds a znode as unreadable if its parent is held."""
        try:
            entry = self.tree.add(path, UNREADABLE)
        except OrphanError:
            self._agenda.want_list(_parent(path), load or self.syncing)
            return False
        if entry is not None:
            held = record_of(entry)
            if held == UNREADABLE:
                return True
            self.tree.replace(path, UNREADABLE)
            self.events.append(Event(TreeEvent.NODE_REMOVED, path, held, held))
        elif path and not load:
            self.suspects.add(_parent(path))
        self._aside(View.NODE_UNREADABLE, path)
        self._fault(kind, error)
        return True

    def remove(self, path: str) -> None:
        """Removes a znode with all below it."""
        self._remove(path)
        if not path:
            return
        parent = _parent(path)
        self.tree.fold(parent)
        self.suspects.add(parent)
        entry = self.tree.get(parent)
        if isinstance(entry, Branch):
            # The ensemble may be restored to a state in which this child was listed.
            entry.listed_pzxid = NEVER_LISTED

    def _remove(self, path: str) -> None:
        if not path:
            self.others = frozenset()
        for gone, record in self.tree.remove(path):
            if record:
                self.events.append(Event(TreeEvent.NODE_REMOVED, gone, record, record))
            else:
                self._can_be_read(gone)
                self._aside(TreeEvent.NODE_REMOVED, gone)

    def recheck_suspects(self, now: float, *, at_rest: bool) -> None:
        """Lists suspects again that still differ without a pending event that explains it: at rest, or after a delay.

        A list may not settle it: some servers list children but say that they do not exist. Such znodes are listed at
        growing intervals, and reported once.
        """
        if self.suspects and not at_rest:
            self._suspected_at = now if self._suspected_at is None else self._suspected_at
            if now < self._suspected_at + _PATIENCE:
                return
        elif not self.suspects and (self.recheck_at is None or now < self.recheck_at):
            return
        suspects, self.suspects, self._suspected_at = self.suspects, set(), None
        for path in [path for path, due_at in self._contradictory.items() if due_at <= now]:
            del self._contradictory[path]
            suspects.add(path)
        for path in suspects:
            record = self._miscounts(path)
            if record is None:
                self.contradictions.settled(path)
                continue
            due_at = self.contradictions.due_at(path, now, pzxid_of(record))
            if due_at > now:
                self._contradictory[path] = due_at
            else:
                self._strike(path, now, pzxid_of(record))
                self._agenda.want_list(path, False)
        self.recheck_at = min(self._contradictory.values(), default=None)

    def _miscounts(self, path: str) -> bytes | None:
        """The record of a znode whose number of children differs from those held; None if it does not differ."""
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        if entry is None or not record or child_count(record) == _held(entry):
            return None
        return None if self.scope.may_leave_out_children(path) else record

    def read_again(self, path: str, load: bool, now: float, evidence: object) -> None:
        """Requests a read of a znode about which two answers differ, with growing delays on the same `evidence`."""
        due_at = self._strike(path, now, evidence).due_at
        if due_at > now:
            self._agenda.put_off(path, load, due_at)
        else:
            self._agenda.want_reads((path,), load)

    def _strike(self, path: str, now: float, evidence: object) -> Strike:
        strike = self.contradictions.strike(path, now, evidence)
        if strike.number == PERSISTENT:
            shown = self._shown_prefix + path or "/"
            message = f"{shown}: the server keeps contradicting itself about this znode or its children"
            self._fault("unsettled", UnsettledError(message))
        return strike

    def is_older(self, path: str, stat: bytes) -> bool:
        """Whether the record held of a znode, if any, is older than this stat, or has another number of children."""
        entry = self.tree.get(path)
        if entry is None or not (held := record_of(entry)):
            return entry is None
        held_version, version = version_of(held), version_of(stat)
        return held_version < version or (held_version == version and child_count(held) != child_count(stat))

    def children_of(self, path: str) -> int:
        """How many names a list of the znode's children may bring; for one left out, too many to share a batch."""
        if path in self.left_out:
            return _TOO_MANY
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return child_count(record) if record else 0

    def _update(self, path: str, entry: Entry, record: bytes, load: bool, listed: bool) -> bool:
        """Applies a known znode's new record; returns whether its children still have to be checked against it."""
        held = record_of(entry)
        if held == record:
            return True
        if held == UNREADABLE and path in self.left_out and not listed:
            # Its record fits, but its list of children may still be too long.
            self._agenda.want_list(path, load or self.syncing)
            return False
        if held == UNREADABLE:
            self._can_be_read(path)
            self.tree.replace(path, record)
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if not listed and (self._is_listed(path, child_count(record)) or _held(entry)):
                # Its children could not be listed, nor watched, while it was unreadable.
                self._agenda.want_list(path, load or self.syncing)
            return False
        (held_origin, held_change, held_version), (origin, change, version) = history_of(held), history_of(record)
        if held_origin != origin:
            if not self._goes_back(origin, held_origin):
                self._remove(path)
                self.apply_record(path, record, load, listed)
            return False
        if self._goes_back(version, held_version):
            return False
        self.renew(path, held, record, held_change != change)
        return True

    def renew(self, path: str, held: bytes, record: bytes, is_changed: bool) -> None:
        """Replaces a record by a newer one of the same znode; `is_changed` if its data was written."""
        self.tree.replace(path, record)
        if is_changed or is_reported(held, record):
            self.events.append(Event(TreeEvent.NODE_UPDATED, path, record, held))
        else:
            self._aside(TreeEvent.NODE_UPDATED, path, record, held)

    def _can_be_read(self, path: str) -> None:
        self.hidden.discard(path)
        self.left_out.discard(path)

    def _goes_back(self, read: tuple[int, ...], held: tuple[int, ...]) -> bool:
        return read < held and not self.syncing

    def _check_children(self, path: str, entry: Entry, record: bytes, load: bool) -> None:
        """Requests the list of a known znode, or makes it a suspect, if its new record and children do not match."""
        count, held = child_count(record), _held(entry)
        if load:
            is_known = listed_pzxid_of(entry) == pzxid_of(record) and not self._lists_all
            if self.lists_leaf(path) or (not is_known and (held or self._is_listed(path, count))):
                self._agenda.want_list(path, load)
        elif count != held:
            self.suspects.add(path)
        elif self.contradictions:
            self.contradictions.settled(path)

    def _is_listed(self, path: str, count: int) -> bool:
        """Whether to list the children of a znode that has `count` of them."""
        return self.lists_leaf(path) or (count > 0 and self.scope.descends(path))

    def _aside(self, kind: int, path: str, record: bytes | None = None, old: bytes | None = None) -> None:
        """Notes a change for views that is no event."""
        if self._asides is not None:
            self._asides.append(Aside(len(self.events), Event(kind, path, record, old)))

    def _fault(self, kind: str, error: BaseException) -> None:
        self.faults.append(Fault(kind, error))


def _held(entry: Entry) -> int:
    return len(entry.children) if isinstance(entry, Branch) else 0


def _readable(entry: Entry | None) -> bool:
    return entry is not None and record_of(entry) != UNREADABLE


def _parent(path: str) -> str:
    return path[: path.rindex("/")]
