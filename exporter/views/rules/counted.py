"""Counted: the states of the values ``count``, ``exists`` and ``info``, where znodes of one series simply add up."""

from __future__ import annotations

from exporter.treecache.outcome import AddedRun
from exporter.treecache.sums import czxids
from exporter.views.patterns import Captures
from exporter.views.rules.readings import UnusableError, labels_of
from exporter.views.rules.rule import Rule
from exporter.views.rules.series import Key, Least
from exporter.views.rules.state import State
from exporter.zookeeper.records import czxid_of, data_of

#: The zxid that created an unreadable znode.
_UNKNOWN = 0


class Counted(State):
    """Counts the znodes of each series; for ``exists`` and ``info`` any number of them is 1."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._is_number = rule.value == "count"
        self._labels = labels_of(rule) if rule.value == "info" else None
        #: The znodes of each series, by the zxids that created them.
        self._znodes: dict[Key, Least] = {}
        #: Their number, for a rule that has one series and needs no ages.
        self._total = 0
        self._is_single = not rule.label_names and self._labels is None
        self._needs_records = rule.kind is not None or self._labels is not None
        if self._is_single:
            self._count(0)

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        if not self._concerns(record):
            return
        if self._is_single:
            self._count(+1)
            return
        key = self._whole_key(path, captured, record, +1)
        if key is not None:
            znodes = self._znodes.get(key)
            if znodes is None:
                znodes = self._znodes[key] = Least()
            znodes.add(czxid_of(record))
            self._put(key, znodes)

    def added_run(self, pattern: int, run: AddedRun, captures: Captures) -> None:
        """All at once, if they are of one series."""
        records, kind = run.records, self.rule.kind
        concerned = len(records) if kind is None else run.kinds.get(kind, 0)
        if self._is_single:
            self._count(concerned)
            return
        if self._labels is not None or max(self._places) >= len(captures.shared):
            super().added_run(pattern, run, captures)
            return
        if concerned < len(records):
            records = list(filter(self._concerns, records))
        if records:
            key = self._key(captures.shared)
            znodes = self._znodes.setdefault(key, Least())
            znodes.extend(czxids(records))
            self._put(key, znodes)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        if self._labels is not None and data_of(record) != data_of(old):
            super().updated(pattern, path, captured, record, old)

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        if not self._concerns(record):
            return
        if self._is_single:
            self._count(-1)
            return
        key = self._whole_key(path, captured, record, -1)
        if key is not None:
            self._drop(key, czxid_of(record))

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        """A znode is unreadable: that it exists is known, and all that some rules need."""
        if self._needs_records:
            super().hidden(pattern, path, captured)
        else:
            self._count_hidden(captured, +1)

    def shown(self, pattern: int, path: str, captured: Key) -> None:
        if self._needs_records:
            super().shown(pattern, path, captured)
        else:
            self._count_hidden(captured, -1)

    def _count_hidden(self, captured: Key, change: int) -> None:
        if self._is_single:
            self._count(change)
        elif change > 0:
            key = self._key(captured)
            znodes = self._znodes.setdefault(key, Least())
            znodes.add(_UNKNOWN)
            self._put(key, znodes)
        else:
            self._drop(self._key(captured), _UNKNOWN)

    def _drop(self, key: Key, czxid: int) -> None:
        znodes = self._znodes[key]
        znodes.remove(czxid)
        if znodes:
            self._put(key, znodes)
        else:
            del self._znodes[key]
            self.series.remove(key)

    def _count(self, change: int) -> None:
        self._total += change
        self.series.put((), 0, self._total if self._is_number else min(1, self._total))

    def _put(self, key: Key, znodes: Least) -> None:
        self.series.put(key, int(znodes.least), len(znodes) if self._is_number else 1)

    def _whole_key(self, path: str, captured: Key, record: bytes, change: int) -> Key | None:
        """The values of all labels; None if the data has none, which is counted, or counted no more."""
        if self._labels is None:
            return self._key(captured)
        try:
            return (*self._key(captured), *self._labels(record))
        except UnusableError as error:
            (self.unusable.add if change > 0 else self.unusable.remove)(path, error.reason)
            return None
