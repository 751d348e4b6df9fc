"""Keeping: whose data a cache holds: of all znodes, or only of those that a view reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.treecache.view import View
from exporter.zookeeper.observers import overriding
from exporter.zookeeper.records import without_data
from exporter.zookeeper.wire import ReadResult


class Keeping:
    """Takes the data from records that should be held without it.

    Args:
        keep_data: whether to hold the data of all znodes.
    """

    def __init__(self, keep_data: bool) -> None:
        self._keeps_all = keep_data
        self._readers: tuple[View, ...] = ()
        self._failed: Callable[[View, BaseException], None] = lambda view, error: None

    def follow(self, views: Sequence[View], failed: Callable[[View, BaseException], None]) -> None:
        """Holds what these views read; `failed` gets the exceptions of theirs, which mean no."""
        self._readers = overriding(View, "reads", views)
        self._failed = failed

    @property
    def depends_on_path(self) -> bool:
        """Whether some data is held and some is not, so that `run` and `one` decide, and `results` cannot."""
        return not self._keeps_all and bool(self._readers)

    def results(self, results: list[ReadResult]) -> list[ReadResult]:
        """The results of reads, without data if that is so for all paths."""
        if self._keeps_all or self._readers:
            return results
        return [without_data(result) if isinstance(result, bytes) else result for result in results]

    def one(self, path: str, record: bytes) -> bytes:
        """The record to hold of a path."""
        return record if self._keeps_all or self._reads(path) else without_data(record)

    def run(self, head: str, names: Sequence[str], results: Sequence[ReadResult]) -> list[ReadResult]:
        """The results to apply of children of the znode at `head`, one for each name."""
        if not any(self._asks(view, view.reads_below, head) for view in self._readers):
            return [without_data(result) if isinstance(result, bytes) else result for result in results]
        return [
            self.one(f"{head}/{name}", result) if isinstance(result, bytes) else result
            for name, result in zip(names, results, strict=True)
        ]

    def _reads(self, path: str) -> bool:
        return any(self._asks(view, view.reads, path) for view in self._readers)

    def _asks(self, view: View, question: Callable[[str], bool], path: str) -> bool:
        try:
            return question(path)
        except BaseException as error:
            self._failed(view, error)
            return False
