"""The trees that benchmarks load, seeded once on a real server for all peers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from kazoo.client import KazooClient

ROOT = "/bench/tree"

_TRANSACTION = 200
_PIPELINE = 20


@dataclass(frozen=True)
class Shape:
    """A root with `directories` znodes below it, each with `leaves` znodes of `data_size` bytes.

    Without directories the leaves are right below the root.
    """

    directories: int
    leaves: int
    data_size: int

    @property
    def size(self) -> int:
        """How many znodes the tree has, its root included."""
        return 1 + self.directories + max(1, self.directories) * self.leaves

    def __str__(self) -> str:
        return f"{self.size:,} znodes of {self.data_size:,} bytes"

    def parents(self) -> list[str]:
        """The znodes that have leaves."""
        return [f"{ROOT}/service-{number:04}" for number in range(self.directories)] or [ROOT]

    def leaf_paths(self) -> Iterator[str]:
        """Every leaf of the tree."""
        for parent in self.parents():
            for number in range(self.leaves):
                yield f"{parent}/instance-{number:06}"

    def paths(self) -> Iterator[str]:
        """Every path of the tree, parents first."""
        yield ROOT
        if self.directories:
            yield from self.parents()
        yield from self.leaf_paths()

    def seed(self, client: KazooClient) -> None:
        """Creates the tree through a started client."""
        client.ensure_path(ROOT.rpartition("/")[0])
        under_way: deque[object] = deque()
        data = b"x" * self.data_size
        paths = self.paths()
        while batch := list(islice(paths, _TRANSACTION)):
            transaction = client.transaction()
            for path in batch:
                transaction.create(path, data)
            under_way.append(transaction.commit_async())
            if len(under_way) > _PIPELINE:
                _finish_transaction(under_way.popleft())
        for committed in under_way:
            _finish_transaction(committed)


def finish(result: object) -> object:
    """Waits for an asynchronous result of kazoo, and returns it."""
    return result.get()  # type: ignore[attr-defined]


def _finish_transaction(result: object) -> None:
    """Waits for a transaction, and raises its first error, which kazoo only returns."""
    for answer in finish(result):  # type: ignore[attr-defined]
        if isinstance(answer, Exception):
            raise answer


TREES = {
    "a": Shape(100, 99, 100),
    "b": Shape(100, 1000, 100),
    "c": Shape(0, 50_000, 100),
    "d": Shape(100, 1000, 1024),
    "e": Shape(100, 9_999, 100),
}
