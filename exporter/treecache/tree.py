"""Tree: the znodes of one cache, kept small, with running totals.

A znode without children is just its record (see `exporter.zookeeper.records`) in its parent's table; one with
children is a `Branch`. Paths are relative to the cache's root: ``""`` is the root itself, ``"/a/b"`` a descendant.

One thread at a time changes a tree while any number of threads read it, without locks: each change that readers can
notice is a single assignment to, deletion from, or update of one table, which no other thread sees half done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from exporter.treecache.stats import NODE_KINDS
from exporter.treecache.sums import Sums, have_children, sums
from exporter.zookeeper.paths import Siblings, runs_of
from exporter.zookeeper.records import (
    CHILDREN_FROM_END,
    OWNER_FROM_END,
    child_count,
    kind_of,
    owner_and_size,
    pzxid_of,
)

#: The `listed_pzxid` of a znode that was never listed.
NEVER_LISTED = -1
#: The part of a record that the totals depend on, its owner and the size of its data; empty for an unreadable znode.
_COUNTED = slice(-OWNER_FROM_END, -CHILDREN_FROM_END)
#: How many names of znodes are known before all are forgotten.
_KNOWN_NAMES = 16_384


class Branch:
    """A znode with children.

    ``listed_pzxid`` is the pzxid at which its list of children was last read: the list need not be read again while the
    znode's pzxid is the same.
    """

    __slots__ = ("children", "listed_pzxid", "record")

    def __init__(self, record: bytes, listed_pzxid: int = NEVER_LISTED) -> None:
        self.record = record
        self.children: dict[str, Entry] = {}
        self.listed_pzxid = listed_pzxid


Entry = bytes | Branch


def record_of(entry: Entry) -> bytes:
    """The record of a znode, with or without children."""
    return entry if isinstance(entry, bytes) else entry.record


def listed_pzxid_of(entry: Entry) -> int:
    """The pzxid at which a znode's children were listed, or NEVER_LISTED."""
    if isinstance(entry, Branch):
        return entry.listed_pzxid
    return pzxid_of(entry) if entry and child_count(entry) == 0 else NEVER_LISTED


class Applied(NamedTuple):
    """What `Tree.apply_run` did about siblings.

    Either all of them are new and were added; then ``parents`` are the positions of the znodes that have children on
    the server, and ``kinds`` how many there are of each kind. Or nothing was changed; then ``odd`` are the positions of
    the znodes that differ from the tree.
    """

    are_new: bool
    parents: Sequence[int]
    odd: Sequence[int]
    kinds: Mapping[str, int]


class OrphanError(LookupError):
    """The tree lacks the parent of a znode."""


class _Names:
    """Names of znodes: what several parents call a child, such as ``state`` below each partition, is one string.

    Only names of late are known, so that names which come once cost little.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def known(self, names: Sequence[str]) -> Sequence[str]:
        """The same names, each as the string that is known."""
        if len(self._known) > _KNOWN_NAMES:
            self._known.clear()
        return list(map(self._known.setdefault, names, names))


class Tree:
    """The znodes of one cache. Totals count readable znodes; unreadable ones are counted separately."""

    def __init__(self) -> None:
        self.root: Branch | None = None
        self.kinds = dict.fromkeys(NODE_KINDS, 0)
        self.data_bytes = 0
        self.unreadable = 0
        self._names = _Names()
        self._cursor: tuple[str, Branch] | None = None

    def __len__(self) -> int:
        return sum(self.kinds.values())

    # Reading, from any thread

    def find(self, path: str) -> Entry | None:
        """The znode at a path, or None."""
        entry: Entry | None = self.root
        if path:
            for name in path[1:].split("/"):
                if not isinstance(entry, Branch):
                    return None
                entry = entry.children.get(name)
        return entry

    def walk(self) -> Iterator[tuple[str, Entry]]:
        """Every znode with its path, parents before children; the tree may change during the iteration."""
        root = self.root
        if root is None:
            return
        yield "", root
        levels = [("/", _items(root))]
        while levels:
            prefix, children = levels[-1]
            for name, entry in children:
                path = prefix + name
                yield path, entry
                if isinstance(entry, Branch):
                    levels.append((path + "/", _items(entry)))
                    break
            else:
                levels.pop()

    def runs(self) -> Iterator[Siblings]:
        """Every znode's path, parents before children; the tree may change during the iteration. Faster than `walk`."""
        if self.root is None:
            return
        yield Siblings("", ("",))
        levels = [iter((("/", self.root),))]
        while levels:
            stem, branch = next(levels[-1], (None, None))
            if stem is None or branch is None:
                levels.pop()
                continue
            # Copying a dict is atomic.
            children = branch.children.copy()
            yield Siblings(stem, list(children))
            levels.append(_below(stem, children))

    # From the one thread that may change it

    def leaves(self, run: Siblings) -> list[bytes] | None:
        """The records of siblings; None unless all are held, can be read, and are said to have no children."""
        parent = self._parent(run.stem[:-1]) if run.stem else None
        if parent is None or run.names[0] not in parent.children:
            return None
        held = list(map(parent.children.get, run.names))
        if set(map(type, held)) != {bytes} or not all(held):
            return None
        records = cast(list[bytes], held)
        return None if have_children(records) else records

    def differing(self, paths: Sequence[str], records: Sequence[object]) -> list[int]:
        """The positions of the znodes that are not held with just these records, or that have children."""
        odd: list[int] = []
        start = 0
        for run in runs_of(paths):
            found = self._differing(run, records[start : start + len(run.names)])
            odd += [start + position for position in found]
            start += len(run.names)
        return odd

    def _differing(self, run: Siblings, records: Sequence[object]) -> Sequence[int]:
        """The positions where an entry is not just the record, without children."""
        parent = self._parent(run.stem[:-1]) if run.stem else None
        if parent is None:
            return range(len(run.names))
        held = list(map(parent.children.get, run.names))
        if held == records and set(map(type, held)) == {bytes} and not have_children(cast(list[bytes], held)):
            return ()
        return [
            position
            for position, (entry, record) in enumerate(zip(held, records, strict=True))
            if not entry or not isinstance(entry, bytes) or entry != record or child_count(entry)
        ]

    def get(self, path: str) -> Entry | None:
        """The same as `find`, but faster for siblings one after another."""
        if not path:
            return self.root
        cut = path.rindex("/")
        parent = self._parent(path[:cut])
        return None if parent is None else parent.children.get(path[cut + 1 :])

    def add(self, path: str, record: bytes) -> Entry | None:
        """Adds a znode and returns None; if the tree has it already, changes nothing and returns its entry.

        Raises:
            OrphanError: the znode's parent is not in the tree.
        """
        if not path:
            return self._add_root(record)
        cut = path.rindex("/")
        head = path[:cut]
        cursor = self._cursor
        parent = cursor[1] if cursor is not None and cursor[0] == head else self._parent_to_be(head)
        name = path[cut + 1 :]
        held = parent.children.get(name)
        if held is not None:
            return held
        (known,) = self._names.known((name,))
        parent.children[known] = record
        self._count(record, +1)
        return None

    def apply_run(self, run: Siblings, records: Sequence[object]) -> Applied:
        """Adds siblings if all of them are new; else compares them.

        Does the same as `add` for each, or as a comparison of each, at a fraction of the cost.
        """
        stem, names = run
        if not stem:
            return Applied(False, (), range(len(names)), {})
        parent = self._parent(stem[:-1])
        if parent is None or names[0] not in parent.children:
            fresh = dict(zip(self._names.known(names), records, strict=True))
            are_new = len(fresh) == len(names) and (parent is None or parent.children.keys().isdisjoint(fresh))
            if are_new and set(map(type, records)) == {bytes}:
                parent = parent or self.branch(stem[:-1])
                if parent is not None:
                    added = self._add_siblings(parent, cast(dict[str, bytes], fresh))
                    return Applied(True, added.parents, (), added.kinds)
        # What comes twice is applied in order.
        are_distinct = len(set(names)) == len(names)
        return Applied(False, (), self._differing(run, records) if are_distinct else range(len(names)), {})

    def _add_siblings(self, parent: Branch, fresh: dict[str, bytes]) -> Sums:
        """Adds children; returns their totals."""
        if parent.children:
            parent.children.update(fresh)
        else:
            parent.children = cast(dict[str, Entry], fresh)
        added = sums(list(fresh.values()))
        for kind, count in added.kinds.items():
            self.kinds[kind] += count
        self.data_bytes += added.data_bytes
        return added

    def replace(self, path: str, record: bytes) -> None:
        """Replaces the record of a znode in the tree."""
        head, _, name = path.rpartition("/")
        parent = self._parent(head) if path else None
        entry = self.root if parent is None else parent.children[name]
        assert entry is not None
        assert parent is not None or not path
        held = record_of(entry)
        if held[_COUNTED] != record[_COUNTED]:
            self._count(held, -1)
            self._count(record, +1)
        if isinstance(entry, Branch):
            entry.record = record
        elif parent is not None:
            parent.children[name] = record

    def branch(self, path: str) -> Branch | None:
        """The znode at a path as a branch, to which children can be added; None if it is not in the tree."""
        entry = self.get(path)
        if isinstance(entry, bytes):
            head, _, name = path.rpartition("/")
            parent = self._parent(head)
            assert parent is not None
            entry = parent.children[name] = Branch(entry, listed_pzxid_of(entry))
        return entry

    def list_at(self, path: str, pzxid: int) -> Branch:
        """Notes that the children of a znode in the tree were listed at this pzxid; returns it as a branch."""
        branch = self.branch(path)
        assert branch is not None
        branch.listed_pzxid = pzxid
        return branch

    def fold(self, path: str) -> None:
        """Turns a branch without children back into a plain record."""
        head, _, name = path.rpartition("/")
        parent = self._parent(head) if path else None
        entry = self.get(path)
        if parent is not None and isinstance(entry, Branch) and not entry.children:
            parent.children[name] = entry.record
            self._cursor = None

    def remove(self, path: str) -> list[tuple[str, bytes]]:
        """Removes a znode with all below it; returns their paths and records, children before parents."""
        entry = self.get(path)
        if entry is None:
            return []
        if path:
            head, _, name = path.rpartition("/")
            parent = self._parent(head)
            assert parent is not None
            del parent.children[name]
        else:
            self.root = None
        self._cursor = None
        removed = list(_descend(path, entry))
        removed.reverse()
        for _, record in removed:
            self._count(record, -1)
        return removed

    def clear(self) -> None:
        """Drops every znode. Walks under way continue over the old znodes."""
        self.root = self._cursor = None
        self._names = _Names()
        self.kinds = dict.fromkeys(NODE_KINDS, 0)
        self.data_bytes = self.unreadable = 0

    def _add_root(self, record: bytes) -> Entry | None:
        if self.root is not None:
            return self.root
        self.root = Branch(record, listed_pzxid_of(record))
        self._count(record, +1)
        return None

    def _parent(self, head: str) -> Branch | None:
        """The branch at a path; the last one is cached."""
        cursor = self._cursor
        if cursor is not None and cursor[0] == head:
            return cursor[1]
        entry = self.find(head)
        if not isinstance(entry, Branch):
            return None
        self._cursor = (head, entry)
        return entry

    def _parent_to_be(self, head: str) -> Branch:
        branch = self._parent(head) or self.branch(head)
        if branch is None:
            raise OrphanError(head)
        self._cursor = (head, branch)
        return branch

    def _count(self, record: bytes, sign: int) -> None:
        if not record:
            self.unreadable += sign
            return
        owner, size = owner_and_size(record)
        self.kinds["persistent" if owner == 0 else kind_of(owner)] += sign
        self.data_bytes += sign * size


def branches(children: Mapping[str, Entry]) -> dict[str, Branch]:
    """Those of a znode's children that have children."""
    if Branch not in set(map(type, children.values())):
        return {}
    return {name: entry for name, entry in children.items() if isinstance(entry, Branch)}


def _below(stem: str, children: Mapping[str, Entry]) -> Iterator[tuple[str, Branch]]:
    """The same, each with its path and a slash; `stem` is the znode's."""
    return ((f"{stem}{name}/", child) for name, child in branches(children).items())


def _items(branch: Branch) -> Iterator[tuple[str, Entry]]:
    """The children as they are now. Copying a dict is atomic; a list of pairs may be interrupted by the collector."""
    return iter(branch.children.copy().items())


def _descend(path: str, entry: Entry) -> Iterator[tuple[str, bytes]]:
    """A detached znode and all below it, parents before children."""
    stack = [(path, entry)]
    while stack:
        path, entry = stack.pop()
        if isinstance(entry, Branch):
            yield path, entry.record
            stack.extend((f"{path}/{name}", child) for name, child in entry.children.items())
        else:
            yield path, entry
