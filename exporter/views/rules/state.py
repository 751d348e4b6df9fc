"""State: what a rule keeps of the znodes that match, and the snapshot that a scrape gets of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.telemetry.catalogue import UNUSABLE_REASONS
from exporter.treecache.outcome import AddedRun
from exporter.views.patterns import Captures
from exporter.views.rules.rule import Family, Rule
from exporter.views.rules.series import Bounded, Key, take_one
from exporter.zookeeper.records import kind_of, owner_and_size

#: How many znodes are named for each reason.
MOST_NAMED = 10
#: How many are remembered, so that others can be named when these are usable.
_MOST_REMEMBERED = 1000


class Snapshot(NamedTuple):
    """What a rule says at one moment.

    ``series`` has the samples of each of the rule's families, by the values of the family's labels; ``dropped`` is how
    many series exceed ``max_series``; ``unusable`` counts the znodes that it cannot use, by `UNUSABLE_REASONS`, and
    ``named`` has the paths of some of them, below the tree's root.
    """

    rule: Rule
    series: Sequence[tuple[Family, Mapping[Key, float]]]
    dropped: int
    unusable: Mapping[str, int]
    named: Mapping[str, Sequence[str]]


class Unusable:
    """Znodes that a rule cannot use: how many for each reason, and some of them by path."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(UNUSABLE_REASONS, 0)
        self._named: dict[str, dict[str, None]] = {reason: {} for reason in UNUSABLE_REASONS}

    @property
    def named(self) -> Mapping[str, Sequence[str]]:
        """Some of them by reason; from any thread."""
        return {reason: tuple(paths.copy())[:MOST_NAMED] for reason, paths in self._named.items() if paths}

    def add(self, path: str, reason: str) -> None:
        """Counts a znode."""
        self.counts[reason] += 1
        named = self._named[reason]
        if len(named) < _MOST_REMEMBERED:
            named[path] = None

    def remove(self, path: str, reason: str) -> None:
        """Counts a znode no more, which was counted for this reason."""
        self.counts[reason] -= 1
        self._named[reason].pop(path, None)

    def join(self, path: str, series: Collection[str], unread: int = 0) -> None:
        """Counts duplicates: a znode has joined these of its series, itself included, and so many unreadable ones."""
        for one in _duplicates(path, series, unread):
            self.add(one, "duplicate")

    def leave(self, path: str, series: Collection[str], unread: int = 0) -> None:
        """The opposite: a znode is about to leave these of its series, itself included."""
        for one in _duplicates(path, series, unread):
            self.remove(one, "duplicate")


def _duplicates(path: str, series: Collection[str], unread: int) -> Collection[str]:
    """Those that become duplicates, or cease to be: the first two together, others one by one."""
    number = len(series) + unread
    return () if number < 2 else series if number == 2 else (path,)


class State:
    """What a rule keeps; subclasses say how znodes make series. One thread changes it, any thread takes snapshots.

    `captured` is what the pattern captures of a path, in its order.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        #: The patterns of the paths whose changes it gets; their captures begin with the rule's.
        self.patterns: Sequence[str] = (rule.match,)
        #: Those of the paths whose data it reads.
        self.reads: Sequence[str] = rule.read_patterns
        self.series: Bounded[Any] = Bounded(rule.max_series)
        self.unusable = Unusable()
        #: How many unreadable znodes each series has.
        self._unread: Counter[Key] = Counter()
        captures = rule.pattern.captures
        self._places = tuple(captures.index(name) for name in rule.label_names)

    # Changes; `pattern` is the index of the pattern that matches.

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        """A znode was added."""
        raise NotImplementedError

    def added_run(self, pattern: int, run: AddedRun, captures: Captures) -> None:
        """Siblings were added; by default one by one."""
        for path, captured, record in zip(run.paths, captures.of_each(), run.records, strict=True):
            self.added(pattern, path, captured, record)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        """A znode was updated; by default as if it was removed and added."""
        self.removed(pattern, path, captured, old)
        self.added(pattern, path, captured, record)

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        """A znode was removed."""
        raise NotImplementedError

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        """A znode is there, but unreadable."""
        self.unusable.add(path, "unreadable")
        self._unread[self._key(captured)] += 1

    def shown(self, pattern: int, path: str, captured: Key) -> None:
        """That is no longer so: it is added next, or gone."""
        self.unusable.remove(path, "unreadable")
        take_one(self._unread, self._key(captured))

    def gone(self, path: str) -> None:
        """An unreadable znode, `shown` just before, was removed."""

    def settle(self, *, is_live: bool) -> None:
        """A batch of changes of a complete tree is over; or if it is not live, the tree has become complete."""

    def snapshot(self, *, is_known: bool) -> Snapshot:
        """What the rule says now; `is_known` is False if who holds ephemeral znodes is unknown. From any thread."""
        counts = self.unusable.counts.copy()
        return Snapshot(self.rule, self._samples(is_known), self.series.dropped, counts, self.unusable.named)

    def _samples(self, is_known: bool) -> Sequence[tuple[Family, Mapping[Key, float]]]:
        return ((self.rule.families[0], self.series.values.copy()),)

    # For subclasses

    def _concerns(self, record: bytes) -> bool:
        """Whether a znode is of the rule's kind."""
        return self.rule.kind is None or kind_of(owner_and_size(record)[0]) == self.rule.kind

    def _key(self, captured: Key) -> Key:
        return tuple([shorten(captured[place]) for place in self._places])


def shorten(text: str) -> str:
    """A label's value in 128 bytes at most."""
    # A character of UTF-8 has four bytes at most.
    return text if len(text) <= 32 else text.encode("utf-8", "replace")[:128].decode("utf-8", "ignore")
