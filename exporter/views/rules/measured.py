"""Measured: the states of values that are a number of each znode: one znode a series, or an aggregate of several."""

from __future__ import annotations

from fractions import Fraction

from exporter.views.rules.readings import UnusableError, number_of
from exporter.views.rules.rule import Rule
from exporter.views.rules.series import Bounded, Key, Least
from exporter.views.rules.state import State
from exporter.zookeeper.records import czxid_of, data_of


class _Measuring(State):
    """Reads the numbers; the znodes without one are unusable."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._number = number_of(rule)

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        number = self._read(path, record, +1)
        if number is not None:
            self._put(path, self._key(captured), czxid_of(record), number)

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        number = self._read(path, record, -1)
        if number is not None:
            self._drop(path, self._key(captured), czxid_of(record), number)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        """Its series, if it stays, is replaced without a moment in which it is missing."""
        if self.rule.reads_data and data_of(record) == data_of(old):
            # To read the same data again may take long.
            return
        before, after = self._read(path, old, -1), self._read(path, record, +1)
        if before is not None and after is not None:
            self._change(path, self._key(captured), czxid_of(record), before, after)
        elif before is not None:
            self._drop(path, self._key(captured), czxid_of(old), before)
        elif after is not None:
            self._put(path, self._key(captured), czxid_of(record), after)

    def _read(self, path: str, record: bytes, change: int) -> float | None:
        """The number of a znode; None if it is of another kind, or unusable, which is counted, or counted no more."""
        if not self._concerns(record):
            return None
        try:
            return self._number(record)
        except UnusableError as error:
            (self.unusable.add if change > 0 else self.unusable.remove)(path, error.reason)
            return None

    def _put(self, path: str, key: Key, czxid: int, number: float) -> None:
        raise NotImplementedError

    def _drop(self, path: str, key: Key, czxid: int, number: float) -> None:
        raise NotImplementedError

    def _change(self, path: str, key: Key, czxid: int, before: float, after: float) -> None:
        raise NotImplementedError


class Measured(_Measuring):
    """The number of one znode for each series; if several znodes would be one series, all of them are unusable."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        #: The znodes of each series, with the zxids that created them and their numbers.
        self._znodes: dict[Key, dict[str, tuple[int, float]]] = {}

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        """A znode is unreadable; it makes the other one of its series a duplicate all the same."""
        super().hidden(pattern, path, captured)
        key = self._key(captured)
        if self._total(key) == 2:
            self.series.remove(key)
            for one in self._znodes.get(key, ()):
                self.unusable.join(one, (one,), unread=1)

    def shown(self, pattern: int, path: str, captured: Key) -> None:
        key = self._key(captured)
        if self._total(key) == 2:
            for one in self._znodes.get(key, ()):
                self.unusable.leave(one, (one,), unread=1)
        super().shown(pattern, path, captured)
        self._show_single(key)

    def _unread_of(self, key: Key) -> int:
        """How many unreadable znodes a series has: none for sure, if the rule is about znodes of one kind."""
        return self._unread[key] if self.rule.kind is None else 0

    def _total(self, key: Key) -> int:
        return len(self._znodes.get(key, ())) + self._unread_of(key)

    def _show_single(self, key: Key) -> None:
        """Shows the only znode of a series, if it has just one."""
        znodes = self._znodes.get(key)
        if znodes and self._total(key) == 1:
            self.series.put(key, *next(iter(znodes.values())))

    def _put(self, path: str, key: Key, czxid: int, number: float) -> None:
        znodes = self._znodes.setdefault(key, {})
        znodes[path] = (czxid, number)
        self.unusable.join(path, znodes, self._unread_of(key))
        if self._total(key) > 1:
            self.series.remove(key)
        self._show_single(key)

    def _drop(self, path: str, key: Key, czxid: int, number: float) -> None:
        znodes = self._znodes[key]
        self.unusable.leave(path, znodes, self._unread_of(key))
        del znodes[path]
        if not znodes:
            del self._znodes[key]
            self.series.remove(key)
        self._show_single(key)

    def _change(self, path: str, key: Key, czxid: int, before: float, after: float) -> None:
        self._znodes[key][path] = (czxid, after)
        self._show_single(key)


class Aggregated(_Measuring):
    """The sum, least, largest or average number of the znodes of each series."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._groups: dict[Key, _Group] = {}

    def _put(self, path: str, key: Key, czxid: int, number: float) -> None:
        group = self._groups.get(key)
        if group is None:
            assert self.rule.aggregate is not None
            group = self._groups[key] = _Group(self.rule.aggregate)
        group.add(czxid, number)
        group.show(self.series, key)

    def _drop(self, path: str, key: Key, czxid: int, number: float) -> None:
        group = self._groups[key]
        group.remove(czxid, number)
        if group.czxids:
            group.show(self.series, key)
        else:
            del self._groups[key]
            self.series.remove(key)

    def _change(self, path: str, key: Key, czxid: int, before: float, after: float) -> None:
        group = self._groups[key]
        group.remove(czxid, before)
        group.add(czxid, after)
        group.show(self.series, key)


class _Group:
    """The znodes of a series. Sums are exact, so that they do not depend on the order of changes."""

    def __init__(self, aggregate: str) -> None:
        self.czxids = Least()
        self._aggregate = aggregate
        #: For the largest number, the numbers are negated.
        self._numbers = Least() if aggregate in ("min", "max") else None
        self._sum = Fraction(0)

    def add(self, czxid: int, number: float) -> None:
        self.czxids.add(czxid)
        if self._numbers is None:
            self._sum += Fraction(number)
        else:
            self._numbers.add(-number if self._aggregate == "max" else number)

    def remove(self, czxid: int, number: float) -> None:
        self.czxids.remove(czxid)
        if self._numbers is None:
            self._sum -= Fraction(number)
        else:
            self._numbers.remove(-number if self._aggregate == "max" else number)

    def show(self, series: Bounded[float], key: Key) -> None:
        series.put(key, int(self.czxids.least), self._value())

    def _value(self) -> float:
        if self._numbers is not None:
            return -self._numbers.least if self._aggregate == "max" else self._numbers.least
        try:
            return float(self._sum / len(self.czxids) if self._aggregate == "avg" else self._sum)
        except OverflowError:
            return float("inf") if self._sum > 0 else float("-inf")


def measured(rule: Rule) -> State:
    """The state of a rule whose value is a number of each znode."""
    return Measured(rule) if rule.aggregate is None else Aggregated(rule)
