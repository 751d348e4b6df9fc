"""Reconciler: applies what was read to the tree, by difference, and finds what else must be read for that.

Nothing but a read changes the tree. Within a connection an older version of a znode never replaces a newer one; while
a sync is under way the server's word is final, since the ensemble may have been restored from a backup.
"""

from __future__ import annotations

from collections.abc import Sequence

from kazoo.exceptions import NoAuthError

from exporter.treecache.agenda import Agenda, Loads
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event, Fault
from exporter.treecache.scope import Scope, Selector
from exporter.treecache.tree import Branch, Entry, OrphanError, Tree, listed_pzxid_of, record_of
from exporter.zookeeper.records import UNREADABLE, child_count, pzxid_of, version_of, without_data, zxids
from exporter.zookeeper.wire import ReadResult


class Reconciler:
    """The tree, and the rules by which reads change it.

    Args:
        prefix: what stands before a relative path on the server.
        told_prefix: the same in the paths that users see, without the client's chroot.
        agenda: where further reads are wanted.
        keep_data, selector, max_depth: see `TreeCache`.
    """

    def __init__(
        self,
        prefix: str,
        told_prefix: str,
        agenda: Agenda,
        *,
        keep_data: bool,
        selector: Selector | None,
        max_depth: int | None,
    ) -> None:
        self.tree = Tree()
        self.scope = Scope(told_prefix, selector, max_depth, lambda error: self._fault("selector", error))
        self.events: list[Event] = []
        self.faults: list[Fault] = []
        #: Whether a sync is under way.
        self.syncing = False
        #: Whether znodes without children must be listed too, because only a list watches for them.
        self.lists_leaves = False
        self._told_prefix = told_prefix
        self._agenda = agenda
        self._keep_data = keep_data
        self._suspects: set[str] = set()

    def begin_sync(self) -> None:
        """From now on the server's word is final, until `syncing` is reset."""
        self.syncing = True
        self._suspects.clear()

    # What was read

    def apply_run(self, paths: Sequence[str], results: Sequence[ReadResult], start: int, loads: Loads) -> int:
        """Takes over records from position `start` on, for as long as their znodes are new; gives where it came to."""
        if not self._keep_data:
            results = [without_data(result) if isinstance(result, bytes) else result for result in results]
        end = self.tree.add_run(paths, results, start)
        for position in range(start, end):
            path, record = paths[position], results[position]
            assert isinstance(record, bytes)
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if child_count(record):
                self._agenda.want_list(path, path in loads)
        return end

    def apply_record(self, path: str, record: bytes, load: bool, listed: bool = False) -> None:
        """Takes over a record; `listed` when the children that go with it are about to be applied as well."""
        if not self._keep_data:
            record = without_data(record)
        try:
            entry = self.tree.add(path, record)
        except OrphanError:
            # Its parent came or went meanwhile: let a list of the parent, sent from now on, decide.
            self._agenda.want_list(_parent(path), load)
            return
        if entry is None:
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            if listed and path:
                # Only its child led here: the event of its own creation was lost, and with it its parent's new stat.
                self._agenda.want_reads((_parent(path),), load)
            elif self.lists_leaves or child_count(record):
                self._agenda.want_list(path, load)
        elif self._update(path, entry, record, load, listed) and not listed:
            self._check_children(path, entry, record, load)

    def apply_names(self, path: str, pzxid: int, names: list[str], load: bool) -> None:
        """Takes over a list of children that was read when the znode's pzxid was `pzxid`."""
        entry = self.tree.get(path)
        if entry is None or self._goes_back((pzxid,), (listed_pzxid_of(entry),)):
            return
        wanted = self.scope.children(path, names)
        if not wanted and not isinstance(entry, Branch):
            return
        branch = self.tree.branch(path)
        assert branch is not None
        for child in {f"{path}/{name}" for name in branch.children}.difference(wanted):
            record = record_of(branch.children[child[len(path) + 1 :]])
            # A child that is younger than the list was read after it.
            if not record or zxids(record)[0] <= pzxid or self.syncing:
                self.remove(child)
        cut = len(path) + 1
        self._agenda.want_reads([child for child in wanted if child[cut:] not in branch.children], load)
        branch.listed_pzxid = pzxid
        if not wanted:
            self.tree.fold(path)

    def hide(self, path: str, load: bool) -> None:
        """The znode exists and may not be read: its data is gone from here, what is known below it stays."""
        try:
            entry = self.tree.add(path, UNREADABLE)
        except OrphanError:
            self._agenda.want_list(_parent(path), load)
            return
        if entry is not None:
            held = record_of(entry)
            if held == UNREADABLE:
                return
            self.tree.replace(path, UNREADABLE)
            self.events.append(Event(TreeEvent.NODE_REMOVED, path, held, held))
        self._fault("no_auth", NoAuthError(f"{self._told_prefix + path or '/'} may not be read"))

    def remove(self, path: str) -> None:
        """The znode is gone, and with it all below it."""
        for gone, record in self.tree.remove(path):
            if record:
                self.events.append(Event(TreeEvent.NODE_REMOVED, gone, record, record))

    def recheck_suspects(self) -> None:
        """At rest, when no event is left to explain it, lists again whatever still counts other children."""
        suspects, self._suspects = self._suspects, set()
        for path in suspects:
            entry = self.tree.get(path)
            record = record_of(entry) if entry is not None else UNREADABLE
            if entry is None or not record or child_count(record) == _held(entry):
                continue
            if listed_pzxid_of(entry) != pzxid_of(record):
                self._agenda.want_list(path, False)

    def children_of(self, path: str) -> int:
        """How many names a list of the znode's children may bring."""
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return child_count(record) if record else 0

    def _update(self, path: str, entry: Entry, record: bytes, load: bool, listed: bool) -> bool:
        """Takes over a known znode's new record; False when that ends what was known of its children."""
        held = record_of(entry)
        if held == record:
            return True
        if held == UNREADABLE:
            self.tree.replace(path, record)
            self.events.append(Event(TreeEvent.NODE_ADDED, path, record))
            return True
        (held_czxid, held_mzxid), (czxid, mzxid) = zxids(held), zxids(record)
        if held_czxid != czxid:
            if not self._goes_back((czxid,), (held_czxid,)):
                self.remove(path)
                self.apply_record(path, record, load, listed)
            return False
        if self._goes_back(version_of(record), version_of(held)):
            return False
        self.tree.replace(path, record)
        if held_mzxid != mzxid:
            self.events.append(Event(TreeEvent.NODE_UPDATED, path, record, held))
        return True

    def _goes_back(self, read: tuple[int, ...], held: tuple[int, ...]) -> bool:
        return read < held and not self.syncing

    def _check_children(self, path: str, entry: Entry, record: bytes, load: bool) -> None:
        """Sees to it that the children held are those that a known znode's new record counts."""
        count, held = child_count(record), _held(entry)
        if load:
            if self.lists_leaves or ((count or held) and listed_pzxid_of(entry) != pzxid_of(record)):
                self._agenda.want_list(path, load)
        elif count != held and not self.scope.may_leave_out_children(path):
            self._suspects.add(path)

    def _fault(self, kind: str, error: Exception) -> None:
        self.faults.append(Fault(kind, error))


def _held(entry: Entry) -> int:
    return len(entry.children) if isinstance(entry, Branch) else 0


def _parent(path: str) -> str:
    return path[: path.rindex("/")]
