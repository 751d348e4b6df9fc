"""Reconciler: applies what was read to the tree, by difference, and finds what else must be read for that.

Nothing but a read changes the tree. Within a connection an older version of a znode never replaces a newer one; while
a sync is under way the server's word is final, since the ensemble may have been restored from a backup.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import cast

from kazoo.exceptions import KazooException, NoAuthError

from exporter.treecache.agenda import Agenda, Loads
from exporter.treecache.backoff import PERSISTENT, Backoff, Strike, UnsettledError
from exporter.treecache.events import TreeEvent
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Event, Fault, Outbox
from exporter.treecache.scope import Scope
from exporter.treecache.tree import NEVER_LISTED, Branch, Entry, OrphanError, Tree, listed_pzxid_of, record_of
from exporter.zookeeper.records import (
    UNREADABLE,
    child_count,
    czxid_of,
    origin_and_change,
    pzxid_of,
    reported_part,
    version_of,
    without_data,
)
from exporter.zookeeper.wire import ReadResult

#: Seconds until a contradiction is looked into again: after the first two times, and at the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 60.0
_FREE_LOOKS = 2
#: Seconds after which a suspect is looked into although there are changes all the time.
_PATIENCE = 1.0
_TOO_MANY = 1 << 31


class Reconciler:
    """The tree, and the rules by which reads change it.

    Args:
        shown_prefix: what stands before a relative path as users see it, without the client's chroot.
        agenda: where further reads are wanted.
        outbox: where events and faults are told.
        options: of them what belongs to the tree, and whether its data does.
    """

    def __init__(
        self,
        shown_prefix: str,
        agenda: Agenda,
        outbox: Outbox,
        options: CacheOptions,
    ) -> None:
        self.tree = Tree()
        self.scope = Scope(
            shown_prefix,
            options.selector,
            options.max_depth,
            functools.partial(outbox.fault, "selector"),
            options.shard,
        )
        #: What changed in the tree, and what went wrong, until it is taken from the outbox.
        self.events, self.faults = outbox.events, outbox.faults
        #: Whether a sync is under way.
        self.syncing = False
        #: Whether the znode at a path must be listed also without children, because only a list watches for them.
        self.lists_leaf: Callable[[str], bool] = lambda path: False
        #: The names of the root's children that belong to other shares.
        self.others: frozenset[str] = frozenset()
        #: The znodes of the tree that may not be read.
        self.hidden: set[str] = set()
        #: Those that no server with these limits lets be read, see `leave_out`.
        self.left_out: set[str] = set()
        self._shown_prefix = shown_prefix
        self._agenda = agenda
        self._keep_data = options.keep_data
        #: Znodes that may count other children than are held, and since when one of them waits to be looked into.
        self._suspects: set[str] = set()
        self._suspected_at: float | None = None
        #: Those that still did after a list, and when to list them again.
        self._contradictory: dict[str, float] = {}
        #: When `recheck_suspects` is due although nothing happens.
        self.recheck_at: float | None = None
        #: What the server contradicts itself about.
        self.contradictions = Backoff(_FIRST_LOOK, _LONGEST_LOOK, free=_FREE_LOOKS)
        self._lists_all = False

    def begin_sync(self, *, lists_all: bool = False) -> None:
        """From now on the server's word is final, until `end_sync`.

        With `lists_all` no list of children is taken for good because its parent says that nothing has changed.
        """
        self.syncing = True
        self._lists_all = lists_all
        self._suspects.clear()
        self._contradictory.clear()
        self.recheck_at = None

    def end_sync(self) -> None:
        """From now on an older version of a znode never replaces a newer one."""
        self.syncing = False

    def follow(self, lists_leaf: Callable[[str], bool]) -> None:
        """From now on lists what this says also without children, because only a list watches for them."""
        self.lists_leaf = lists_leaf

    def forget(self) -> None:
        """Lets go of every znode without a word."""
        self.tree.clear()
        self.others = frozenset()
        self.hidden.clear()
        self.left_out.clear()

    # What was read

    def kept(self, results: list[ReadResult]) -> list[ReadResult]:
        """Of what was read, what is to be kept."""
        if self._keep_data:
            return results
        return [without_data(result) if isinstance(result, bytes) else result for result in results]

    def apply_run(self, paths: Sequence[str], results: Sequence[ReadResult], start: int, loads: Loads) -> int:
        """Takes over records that are `kept`, from position `start` on, while their znodes are new or have no news.

        Gives the position it came to. The same as `apply_record` for each, at a fraction of the cost.
        """
        end, parents, heads = self.tree.add_run(paths, results, start)
        for path, record in zip(paths[start:end], results[start:end], strict=True):
            self.events.append(Event(TreeEvent.NODE_ADDED, path, cast(bytes, record)))
        for path in parents:
            if self._is_listed(path, 1):
                self._agenda.want_list(path, self.syncing or path in loads)
        self._suspects.update(heads)
        return self.tree.same_run(paths, results, end)

    def apply_record(self, path: str, record: bytes, load: bool, listed: bool = False) -> None:
        """Takes over a record; `listed` when the children that go with it are about to be applied as well.

        Whatever a new znode leads to during a sync is the load's, even where an event led to the znode first.
        """
        if not self._keep_data:
            record = without_data(record)
        try:
            entry = self.tree.add(path, record)
        except OrphanError:
            # Its parent came or went meanwhile: let a list of the parent, sent from now on, decide.
            self._agenda.want_list(_parent(path), load or self.syncing)
            return
        if entry is None:
            if path and not load:
                self._suspects.add(_parent(path))
            load = load or self.syncing
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if listed and path:
                # Only its child led here: the event of its own creation was lost, and with it its parent's new stat.
                self._agenda.want_reads((_parent(path),), load)
            elif self._is_listed(path, child_count(record)):
                self._agenda.want_list(path, load)
        elif self._update(path, entry, record, load, listed) and not listed:
            self._check_children(path, entry, record, load)

    def apply_names(self, path: str, pzxid: int, names: list[str], load: bool) -> None:
        """Takes over a list of children that was read when the znode's pzxid was `pzxid`."""
        entry = self.tree.get(path)
        if entry is None or self._goes_back((pzxid,), (listed_pzxid_of(entry),)):
            return
        if path in self.left_out:
            self.left_out.discard(path)
            self._agenda.want_reads((path,), load or self.syncing)
        wanted = self.scope.children(path, names)
        if not path:
            self.others = self.scope.others(names, wanted)
        if not wanted and not isinstance(entry, Branch):
            return
        branch = self.tree.branch(path)
        assert branch is not None
        for child in {f"{path}/{name}" for name in branch.children}.difference(wanted):
            record = record_of(branch.children[child[len(path) + 1 :]])
            # A child that is younger than the list was read after it.
            if not record or czxid_of(record) <= pzxid or self.syncing:
                self._remove(child)
        cut = len(path) + 1
        # One that may not be read may be another by now: of that no watch tells.
        unknown = [child for child in wanted if not _readable(branch.children.get(child[cut:]))]
        self._agenda.want_reads(unknown, load or self.syncing)
        branch.listed_pzxid = pzxid
        if not wanted:
            self.tree.fold(path)

    def hide(self, path: str, load: bool) -> None:
        """The znode exists and may not be read: its data is gone from here, what is known below it stays."""
        if self._hide(path, load, "no_auth", NoAuthError(f"{self._shown_prefix + path or '/'} may not be read")):
            self.hidden.add(path)
            self.left_out.discard(path)

    def leave_out(self, path: str, load: bool, problem: str) -> None:
        """The znode exists, and no request for it is within the limits: as if it may not be read, but not polled."""
        if self._hide(path, load, "request", KazooException(f"{self._shown_prefix + path or '/'} {problem}")):
            self.left_out.add(path)

    def _hide(self, path: str, load: bool, kind: str, error: Exception) -> bool:
        """Holds a znode as unreadable, if its parent is known."""
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
            self._suspects.add(_parent(path))
        self._fault(kind, error)
        return True

    def remove(self, path: str) -> None:
        """The znode is gone, and with it all below it."""
        self._remove(path)
        if not path:
            return
        parent = _parent(path)
        self.tree.fold(parent)
        self._suspects.add(parent)
        entry = self.tree.get(parent)
        if isinstance(entry, Branch):
            # An ensemble may be restored to when this child was listed.
            entry.listed_pzxid = NEVER_LISTED

    def _remove(self, path: str) -> None:
        if not path:
            self.others = frozenset()
        for gone, record in self.tree.remove(path):
            if record:
                self.events.append(Event(TreeEvent.NODE_REMOVED, gone, record, record))
            else:
                self._can_be_read(gone)

    def recheck_suspects(self, now: float, *, at_rest: bool) -> None:
        """Lists again what still counts other children when no event is left to explain it: at rest, or after a while.

        Lists may not settle it: there are servers that list children which they say are not there. Those are listed
        ever less often, and named once.
        """
        if self._suspects and not at_rest:
            self._suspected_at = now if self._suspected_at is None else self._suspected_at
            if now < self._suspected_at + _PATIENCE:
                return
        elif not self._suspects and (self.recheck_at is None or now < self.recheck_at):
            return
        suspects, self._suspects, self._suspected_at = self._suspects, set(), None
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
        """The record of a znode that counts other children than are held and should be; None if it does not."""
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        if entry is None or not record or child_count(record) == _held(entry):
            return None
        return None if self.scope.may_leave_out_children(path) else record

    def read_again(self, path: str, load: bool, now: float, evidence: object) -> None:
        """Has a znode read of which one answer tells what another did not; later each time, on the same `evidence`."""
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
        """Whether what is held of a znode, if anything is, is older than this stat of it, or counts other children."""
        entry = self.tree.get(path)
        if entry is None:
            return True
        held = record_of(entry)
        if not held:
            return False
        held_version, version = version_of(held), version_of(stat)
        return held_version < version or (held_version == version and child_count(held) != child_count(stat))

    def children_of(self, path: str) -> int:
        """How many names a list of the znode's children may bring; of those left out, too many for any company."""
        if path in self.left_out:
            return _TOO_MANY
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return child_count(record) if record else 0

    def _update(self, path: str, entry: Entry, record: bytes, load: bool, listed: bool) -> bool:
        """Takes over a known znode's new record; False when that ends what was known of its children."""
        held = record_of(entry)
        if held == record:
            return True
        if held == UNREADABLE and path in self.left_out and not listed:
            # The other half of what there is to read is still too much.
            self._agenda.want_list(path, load or self.syncing)
            return False
        if held == UNREADABLE:
            self._can_be_read(path)
            self.tree.replace(path, record)
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if not listed and (self._is_listed(path, child_count(record)) or _held(entry)):
                # Nothing below it could be listed, or watched, for as long as it was unreadable.
                self._agenda.want_list(path, load or self.syncing)
            return False
        (held_origin, held_change), (origin, change) = origin_and_change(held), origin_and_change(record)
        if held_origin != origin:
            if not self._goes_back(origin, held_origin):
                self._remove(path)
                self.apply_record(path, record, load, listed)
            return False
        if self._goes_back(version_of(record), version_of(held)):
            return False
        self.tree.replace(path, record)
        if held_change != change or reported_part(record) != reported_part(held):
            self.events.append(Event(TreeEvent.NODE_UPDATED, path, record, held))
        return True

    def _can_be_read(self, path: str) -> None:
        self.hidden.discard(path)
        self.left_out.discard(path)

    def _goes_back(self, read: tuple[int, ...], held: tuple[int, ...]) -> bool:
        return read < held and not self.syncing

    def _check_children(self, path: str, entry: Entry, record: bytes, load: bool) -> None:
        """Sees to it that the children held are those that a known znode's new record counts."""
        count, held = child_count(record), _held(entry)
        if load:
            is_known = listed_pzxid_of(entry) == pzxid_of(record) and not self._lists_all
            if self.lists_leaf(path) or (not is_known and (held or self._is_listed(path, count))):
                self._agenda.want_list(path, load)
        elif count != held:
            self._suspects.add(path)
        elif self.contradictions:
            self.contradictions.settled(path)

    def _is_listed(self, path: str, count: int) -> bool:
        """Whether the children of a znode that has so many are to be listed."""
        return self.lists_leaf(path) or (count > 0 and self.scope.descends(path))

    def _fault(self, kind: str, error: BaseException) -> None:
        self.faults.append(Fault(kind, error))


def _held(entry: Entry) -> int:
    return len(entry.children) if isinstance(entry, Branch) else 0


def _readable(entry: Entry | None) -> bool:
    return entry is not None and record_of(entry) != UNREADABLE


def _parent(path: str) -> str:
    return path[: path.rindex("/")]
