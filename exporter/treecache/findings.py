"""Findings: the differences that an audit finds between tree and server, and whether to read everything again."""

from __future__ import annotations

from collections.abc import Iterable

from kazoo.exceptions import KazooException

from exporter.treecache.reconciler import Reconciler
from exporter.treecache.stats import MISMATCH_KINDS
from exporter.treecache.tree import record_of
from exporter.zookeeper.capabilities import UNREADABLE_CODES
from exporter.zookeeper.records import STAT_SIZE, reported_part, version_of, without_data
from exporter.zookeeper.wire import ReadResult

#: A difference that is no mismatch, since ZooKeeper sends no event for it.
UNREPORTED = "unreported"
#: The number of differences after which an audit ends.
ENOUGH = 1000
#: How many differences the message names.
_NAMED = 3


class MismatchError(KazooException):  # type: ignore[misc]
    """An audit found differences between the cache and ZooKeeper."""


class Findings:
    """Compares the server's znodes with the tree's, and counts differences.

    Args:
        prefix: the server's path of the root, which precedes relative paths.
        reconciler: has the tree and its scope.
    """

    def __init__(self, prefix: str, reconciler: Reconciler) -> None:
        #: The numbers of differences, by `MISMATCH_KINDS`.
        self.mismatches = dict.fromkeys(MISMATCH_KINDS, 0)
        self._prefix = prefix
        self._reconciler = reconciler
        #: The paths that the current audit has counted: its walk may come to one that its parent's list showed.
        self._counted: set[str] = set()
        self._named: list[str] = []
        self._is_news = False
        #: By path: how many audits found the znode to differ, although everything was read again in between.
        self._persisting: dict[str, int] = {}

    @property
    def found(self) -> int:
        """How many differences the current audit has found."""
        return len(self._counted)

    def difference(self, path: str, result: ReadResult) -> str | None:
        """How the tree differs at a path: one of `MISMATCH_KINDS`, or `UNREPORTED`; None if it does not."""
        entry = self._reconciler.tree.get(path)
        if entry is not None and not record_of(entry):
            # Whether the session may read it changes without an event. A znode that cannot be listed can be read.
            is_too_long = path not in self._reconciler.hidden
            return None if result in UNREADABLE_CODES or is_too_long else UNREPORTED
        if result in UNREADABLE_CODES:
            return UNREPORTED
        if not isinstance(result, bytes):
            return None if entry is None else "extra"
        if entry is None:
            return "missing"
        held = record_of(entry)
        # Held without its data, it is compared without.
        record = without_data(result) if len(held) == STAT_SIZE else result
        if record == held:
            return None
        goes_back = version_of(record) < version_of(held)
        return "stale" if goes_back or reported_part(record) != reported_part(held) else UNREPORTED

    def count(self, path: str, difference: str) -> None:
        """Counts a difference, once an audit.

        The 1st, 2nd, 4th, 8th... time that it is found, everything should be read again.
        """
        if path in self._counted:
            return
        self._counted.add(path)
        self.mismatches[difference] += 1
        if len(self._named) < _NAMED:
            self._named.append(f"{self._prefix + path or '/'} is {difference}")
        if len(self._persisting) >= 10 * ENOUGH:
            self._persisting.clear()
        times = self._persisting[path] = self._persisting.get(path, 0) + 1
        self._is_news = self._is_news or times & (times - 1) == 0

    def are_right(self, paths: Iterable[str]) -> None:
        """Notes that the tree does not differ at these paths, or no longer."""
        for path in paths if self._persisting else ():
            self._persisting.pop(path, None)

    def take(self) -> MismatchError | None:
        """The differences found, once, if everything should be read again because of them.

        For a difference that persists, that is so after twice as many audits each time, since reading did not help.
        """
        found, named, is_news = self.found, self._named, self._is_news
        self._counted, self._named, self._is_news = set(), [], False
        more = f" and {found - len(named)} more" if found > len(named) else ""
        return MismatchError(f"an audit found differences: {', '.join(named)}{more}") if is_news else None
