"""Keeping: whose data a cache holds: of all znodes, or only of those that a view reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporter.treecache.view import View
from exporter.zookeeper.observers import overriding
from exporter.zookeeper.paths import runs_of
from exporter.zookeeper.records import without_data
from exporter.zookeeper.wire import ReadResult


class Keeping:
    """Takes the data from records that should be held without it.

    Args:
        keep_data: whether to hold the data of all znodes.
    """

    def __init__(self, keep_data: bool) -> None:
        #: Whether it is that of all znodes.
        self.keeps_all = keep_data
        self._readers: tuple[View, ...] = ()
        self._failed: Callable[[View, BaseException], None] = lambda view, error: None

    def follow(self, views: Sequence[View], failed: Callable[[View, BaseException], None]) -> None:
        """Holds what these views read; `failed` gets the exceptions of theirs, which mean no."""
        self._readers = tuple(view for view in overriding(View, "reads", views) if view.reads_anything)
        self._failed = failed

    def results(self, paths: Sequence[str], results: list[ReadResult]) -> list[ReadResult]:
        """The results of reading these paths, and others after them, with the data to hold of these paths."""
        if self.keeps_all:
            return results
        if not self._readers:
            return _stripped(results)
        held: list[ReadResult] = []
        for run in runs_of(paths):
            answered = results[len(held) : len(held) + len(run.names)]
            if not run.stem or any(self._asks(view, view.reads_below, run.stem[:-1]) for view in self._readers):
                held += self._of_each(run.paths(), answered)
            else:
                held += _stripped(answered)
        return held + results[len(paths) :]

    def record(self, path: str, record: bytes) -> bytes:
        """The record to hold of a path."""
        return record if self.keeps_all or self._reads(path) else without_data(record)

    def _of_each(self, paths: Iterable[str], results: Sequence[ReadResult]) -> list[ReadResult]:
        return [
            self.record(path, result) if isinstance(result, bytes) else result
            for path, result in zip(paths, results, strict=True)
        ]

    def _reads(self, path: str) -> bool:
        return any(self._asks(view, view.reads, path) for view in self._readers)

    def _asks(self, view: View, question: Callable[[str], bool], path: str) -> bool:
        try:
            return question(path)
        except BaseException as error:
            self._failed(view, error)
            return False


def _stripped(results: Sequence[ReadResult]) -> list[ReadResult]:
    return [without_data(result) if isinstance(result, bytes) else result for result in results]
