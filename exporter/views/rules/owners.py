"""Owners: the states of ``owner`` and ``election``: who holds a znode, since when, and how often that changed.

An election is a directory of sequential ephemeral znodes; the one that was created first leads. So do kazoo's Election
and Lock, and Curator's LeaderLatch, LeaderSelector and InterProcessMutex
(https://zookeeper.apache.org/doc/current/recipes.html#sc_leaderElection): what precedes the number, such as a GUID,
does not matter.

Who holds what is decided when a batch is over. If several candidates went between two reads, those that were next in
turn have led in between, as far as anybody can tell; but not those of the same session, which went at the same moment.
What both came and went between two reads, or while the connection was lost, was never seen and is not counted.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from exporter.views.rules.readings import UnusableError, owner_of
from exporter.views.rules.rule import Family, Rule
from exporter.views.rules.series import PAST, Key, take_one
from exporter.views.rules.state import State
from exporter.zookeeper.records import czxid_of, kind_of, modified_at, owner_and_size

#: How ZooKeeper ends the name of a sequential znode: ``%010d`` of a 32-bit number, which may overflow.
_SEQUENCE = re.compile(r"(?:-[0-9]{9}|[0-9]{10})\Z")
#: How many candidates that went between two decisions are looked at.
_MOST_GONE = 1000


class _Holder(NamedTuple):
    """Who holds: the zxid that created its znode, what it is called, and since when it holds."""

    czxid: int
    label: str
    since: float


class _Standing(NamedTuple):
    """A series: the holder, if there is one, the last one, the changes, and the candidates of an election."""

    holder: _Holder | None
    last: _Holder | None
    changes: int
    candidates: int | None


class _Owning(State):
    """What owners and elections have in common."""

    def __init__(self, rule: Rule, wall: Callable[[], float]) -> None:
        super().__init__(rule)
        self._owner = owner_of(rule)
        self._wall = wall
        #: The series that changes of this batch concern.
        self._touched: set[Key] = set()
        #: The holder that cannot be named, and why, by series.
        self._nameless: dict[Key, tuple[str, str]] = {}

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        """A znode is unreadable: it may be the one that counts, so nobody knows who holds."""
        super().hidden(pattern, path, captured)
        self._touched.add(self._key(captured))

    def shown(self, pattern: int, path: str, captured: Key) -> None:
        super().shown(pattern, path, captured)
        self._touched.add(self._key(captured))

    def settle(self, *, is_live: bool) -> None:
        touched, self._touched = self._touched, set()
        for key in touched:
            self._settle(key, is_live)

    def _settle(self, key: Key, is_live: bool) -> None:
        raise NotImplementedError

    def _stand(
        self, key: Key, age: int, holding: tuple[str, bytes] | None, candidates: int | None, passed: int = 0
    ) -> None:
        """Notes who holds now: path and record of the znode, or None; `passed` others held since the last time."""
        before: _Standing | None = self.series.get(key)
        holder = self._holder(key, holding)
        last, changes = (before.last, before.changes + passed) if before is not None else (None, 0)
        if holder is not None and last is not None:
            if holder[:2] != last[:2]:
                changes += 1
                holder = holder._replace(since=self._since(holder, last, before, holding))
            else:
                holder = last
        self.series.put(key, age, _Standing(holder, holder or last, changes, candidates))

    def _holder(self, key: Key, holding: tuple[str, bytes] | None) -> _Holder | None:
        nameless, owner = None, None
        if holding is not None:
            path, record = holding
            try:
                owner = self._owner(record)
            except UnusableError as error:
                nameless = (path, error.reason)
        if nameless != self._nameless.get(key):
            self._rename(key, nameless)
        if holding is None or owner is None:
            return None
        return _Holder(czxid_of(holding[1]), owner.label, owner.since)

    def _rename(self, key: Key, nameless: tuple[str, str] | None) -> None:
        before = self._nameless.pop(key, None)
        if before is not None:
            self.unusable.remove(*before)
        if nameless is not None:
            self.unusable.add(*nameless)
            self._nameless[key] = nameless

    def _since(
        self, holder: _Holder, last: _Holder, before: _Standing | None, holding: tuple[str, bytes] | None
    ) -> float:
        """When a new holder began to hold."""
        raise NotImplementedError

    def _samples(self, is_known: bool) -> Sequence[tuple[Family, Mapping[Key, float]]]:
        standings: dict[Key, _Standing] = self.series.values.copy()
        holders = {key: one.holder for key, one in standings.items() if one.holder is not None} if is_known else {}
        info: dict[Key, float] = {(*key, holder.label): 1 for key, holder in holders.items()}
        changes: dict[Key, float] = {key: one.changes for key, one in standings.items()}
        since: dict[Key, float] = {key: holder.since for key, holder in holders.items()}
        candidates: dict[Key, float] = {
            key: one.candidates for key, one in standings.items() if one.candidates is not None and is_known
        }
        return tuple(zip(self.rule.families, (info, changes, since, candidates), strict=False))


class Owners(_Owning):
    """The owner of each series is its one znode; if there are several, all are unusable."""

    def __init__(self, rule: Rule, wall: Callable[[], float]) -> None:
        super().__init__(rule, wall)
        self._znodes: dict[Key, dict[str, bytes]] = {}

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        if not self._concerns(record):
            return
        key = self._key(captured)
        znodes = self._znodes.setdefault(key, {})
        znodes[path] = record
        self.unusable.join(path, znodes)
        self._touched.add(key)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        if self._concerns(record):
            key = self._key(captured)
            self._znodes[key][path] = record
            self._touched.add(key)

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        if not self._concerns(record):
            return
        key = self._key(captured)
        znodes = self._znodes[key]
        self.unusable.leave(path, znodes)
        del znodes[path]
        if not znodes:
            del self._znodes[key]
        self._touched.add(key)

    def _settle(self, key: Key, is_live: bool) -> None:
        znodes = self._znodes.get(key, {})
        if znodes or self.series.get(key) is not None:
            age = min(map(czxid_of, znodes.values()), default=PAST)
            is_single = len(znodes) == 1 and not self._unread[key]
            self._stand(key, age, next(iter(znodes.items())) if is_single else None, None)
        else:
            self._rename(key, None)

    def _since(
        self, holder: _Holder, last: _Holder, before: _Standing | None, holding: tuple[str, bytes] | None
    ) -> float:
        if holder.czxid == last.czxid and holding is not None:
            # It handed over in the same znode.
            return modified_at(holding[1])
        return holder.since


class _Candidates:
    """The candidates of one directory, in the order of their creation."""

    def __init__(self) -> None:
        self.by_path: dict[str, bytes] = {}
        #: Those that went since the last decision; without one, the last of them.
        self.gone: deque[bytes] = deque(maxlen=_MOST_GONE)
        self._order: list[tuple[int, int, str]] = []

    def put(self, path: str, record: bytes) -> None:
        if path not in self.by_path or czxid_of(self.by_path[path]) != czxid_of(record):
            heapq.heappush(self._order, (czxid_of(record), _number(path), path))
        self.by_path[path] = record
        if len(self._order) > 2 * len(self.by_path) + 64:
            self._order = sorted((czxid_of(one), _number(path), path) for path, one in self.by_path.items())

    def remove(self, path: str) -> None:
        self.gone.append(self.by_path.pop(path))

    def take_passed(self, holder: int, first: tuple[str, bytes] | None) -> int:
        """How many of those that went led after the holder, whose znode this zxid created, and before the first."""
        gone = list(self.gone)
        self.gone.clear()
        until = czxid_of(first[1]) if first is not None else None
        sessions = {
            owner_and_size(record)[0]
            for record in gone
            if czxid_of(record) > holder and (until is None or czxid_of(record) < until)
        }
        of_holder = {owner_and_size(record)[0] for record in gone if czxid_of(record) == holder}
        return len(sessions - of_holder) if of_holder else 0

    def first(self) -> tuple[str, bytes] | None:
        """Path and record of the first one."""
        while self._order:
            czxid, _, path = self._order[0]
            record = self.by_path.get(path)
            if record is not None and czxid_of(record) == czxid:
                return path, record
            heapq.heappop(self._order)
        return None


class Elections(_Owning):
    """The owner of each series is the first candidate in its one directory."""

    def __init__(self, rule: Rule, wall: Callable[[], float]) -> None:
        super().__init__(rule, wall)
        self.patterns = (rule.match, rule.match.rstrip("/") + "/*")
        #: The directories of each series, with the zxids that created them.
        self._directories: dict[Key, dict[str, int]] = {}
        self._candidates: dict[str, _Candidates] = {}
        #: How many unreadable candidates each directory has.
        self._hidden: Counter[str] = Counter()

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        super().hidden(pattern, path, captured)
        if pattern == 1:
            self._hidden[_parent(path)] += 1

    def shown(self, pattern: int, path: str, captured: Key) -> None:
        super().shown(pattern, path, captured)
        if pattern == 1:
            take_one(self._hidden, _parent(path))

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        key = self._key(captured)
        if pattern == 0:
            directories = self._directories.setdefault(key, {})
            directories[path] = czxid_of(record)
            self.unusable.join(path, directories)
        elif self._is_candidate(path, record):
            self._candidates.setdefault(_parent(path), _Candidates()).put(path, record)
        self._touched.add(key)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        if pattern == 1 and self._is_candidate(path, record):
            self._candidates[_parent(path)].put(path, record)
            self._touched.add(self._key(captured))

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        key = self._key(captured)
        if pattern == 0:
            directories = self._directories[key]
            self.unusable.leave(path, directories)
            del directories[path]
            if not directories:
                del self._directories[key]
            self._forget(path)
        elif self._is_candidate(path, record):
            head = _parent(path)
            self._candidates[head].remove(path)
            if head not in self._directories.get(key, {}):
                self._forget(head)
        self._touched.add(key)

    def _forget(self, directory: str) -> None:
        """Forgets the candidates of a directory that is gone; if there are some, it is just unreadable."""
        candidates = self._candidates.get(directory)
        if candidates is not None and not candidates.by_path:
            del self._candidates[directory]

    def _is_candidate(self, path: str, record: bytes) -> bool:
        kind = kind_of(owner_and_size(record)[0])
        return kind == (self.rule.kind or "ephemeral") and _SEQUENCE.search(path) is not None

    def _settle(self, key: Key, is_live: bool) -> None:
        directories = self._directories.get(key, {})
        if len(directories) == 1:
            ((path, age),) = directories.items()
            candidates, hidden = self._candidates.get(path), self._hidden[path]
            if hidden:
                if candidates is not None:
                    candidates.gone.clear()
                known = 0 if candidates is None else len(candidates.by_path)
                self._stand(key, age, None, known + hidden)
                return
            if candidates is None:
                self._stand(key, age, None, 0)
                return
            first, before = candidates.first(), self.series.get(key)
            holder = before.holder if before is not None else None
            passed = candidates.take_passed(holder.czxid if holder is not None else 0, first)
            self._stand(key, age, first, len(candidates.by_path), passed if is_live else 0)
        elif directories or self.series.get(key) is not None:
            self._stand(key, min(directories.values(), default=PAST), None, None)
        else:
            self._rename(key, None)

    def _since(
        self, holder: _Holder, last: _Holder, before: _Standing | None, holding: tuple[str, bytes] | None
    ) -> float:
        # A candidate that waited has led since the one before it went, which no stat says.
        return self._wall() if before is not None and before.holder is not None else holder.since


def _number(path: str) -> int:
    match = _SEQUENCE.search(path)
    return int(match.group()) if match is not None else 0


def _parent(path: str) -> str:
    return path[: path.rindex("/")]
