"""Findings: what an audit found to differ between the tree and the server, and whether to read all again for it."""

from __future__ import annotations

from kazoo.exceptions import KazooException

from exporter.treecache.options import CacheOptions
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.stats import MISMATCH_KINDS
from exporter.treecache.tree import record_of
from exporter.zookeeper.capabilities import UNREADABLE_CODES
from exporter.zookeeper.records import reported_part, version_of, without_data
from exporter.zookeeper.wire import ReadResult

#: What differs, but ZooKeeper sends no event for it, and so is no mismatch.
UNREPORTED = "unreported"
#: After so many differences an audit has seen enough.
ENOUGH = 1000
#: So many differences are named.
_NAMED = 3


class MismatchError(KazooException):  # type: ignore[misc]
    """An audit found that the cache held something else than ZooKeeper."""


class Findings:
    """Compares what is read with what is held, and counts what differs.

    Args:
        prefix: what stands before the tree's paths on the server.
        reconciler: the tree, and what belongs to it.
        options: of them whether the tree holds the znodes' data.
    """

    def __init__(self, prefix: str, reconciler: Reconciler, options: CacheOptions) -> None:
        #: How many differences were found, by `MISMATCH_KINDS`.
        self.mismatches = dict.fromkeys(MISMATCH_KINDS, 0)
        #: How many the audit under way has found.
        self.found = 0
        self._prefix = prefix
        self._reconciler = reconciler
        self._keep_data = options.keep_data
        self._named: list[str] = []
        self._is_news = False
        #: How many audits found the same znode wrong, although everything was read again.
        self._persisting: dict[str, int] = {}

    def difference(self, path: str, result: ReadResult) -> str | None:
        """What is wrong with what is held of a path, one of `MISMATCH_KINDS`, or `UNREPORTED`; None if nothing is."""
        entry = self._reconciler.tree.get(path)
        if entry is not None and not record_of(entry):
            # It may not be read, or that has changed, for which there is no event. What cannot be listed can be read.
            is_too_long = path not in self._reconciler.hidden
            return None if result in UNREADABLE_CODES or is_too_long else UNREPORTED
        if result in UNREADABLE_CODES:
            return UNREPORTED
        if not isinstance(result, bytes):
            return None if entry is None else "extra"
        if entry is None:
            return "missing"
        record = result if self._keep_data else without_data(result)
        held = record_of(entry)
        if record == held:
            return None
        goes_back = version_of(record) < version_of(held)
        return "stale" if goes_back or reported_part(record) != reported_part(held) else UNREPORTED

    def count(self, path: str, difference: str) -> None:
        """Counts a difference. The first time it is found, the second, the fourth and so on it is to be healed."""
        self.mismatches[difference] += 1
        self.found += 1
        if len(self._named) < _NAMED:
            self._named.append(f"{self._prefix + path or '/'} is {difference}")
        if len(self._persisting) >= 10 * ENOUGH:
            self._persisting.clear()
        times = self._persisting[path] = self._persisting.get(path, 0) + 1
        self._is_news = self._is_news or times & (times - 1) == 0

    def is_right(self, path: str) -> None:
        """Notes that nothing is wrong with a path any more."""
        self._persisting.pop(path, None)

    def take(self) -> MismatchError | None:
        """What was found, once, if it is worth reading everything again.

        What is found although that was done is so after twice as many audits each time: it did not help.
        """
        found, named, is_news = self.found, self._named, self._is_news
        self.found, self._named, self._is_news = 0, [], False
        more = f" and {found - len(named)} more" if found > len(named) else ""
        return MismatchError(f"an audit found differences: {', '.join(named)}{more}") if is_news else None
