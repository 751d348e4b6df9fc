"""The trees that benchmarks load: seeded once on a real server, the same for every peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from kazoo.client import KazooClient

_PIPELINE = 2000


@dataclass(frozen=True)
class Shape:
    """A tree of `directories` znodes below its root, each with `leaves` znodes of `data_size` bytes."""

    directories: int
    leaves: int
    data_size: int

    @property
    def size(self) -> int:
        """How many znodes the tree has, its root included."""
        return 1 + self.directories * (1 + self.leaves)

    def paths(self, root: str) -> Iterator[str]:
        """Every path of the tree, parents first."""
        yield root
        for directory in range(self.directories):
            yield f"{root}/service-{directory:04}"
        for directory in range(self.directories):
            for leaf in range(self.leaves):
                yield f"{root}/service-{directory:04}/instance-{leaf:06}"

    def seed(self, client: KazooClient, root: str) -> None:
        """Creates the tree through a started client."""
        data = b"x" * self.data_size
        under_way = deque(client.create_async(path, data) for path in self._first(root))
        for path in self.paths(root):
            under_way.append(client.create_async(path, data))
            if len(under_way) > _PIPELINE:
                under_way.popleft().get()
        for created in under_way:
            created.get()

    def _first(self, root: str) -> Iterator[str]:
        parents = root.split("/")[1:-1]
        for depth in range(len(parents)):
            yield "/" + "/".join(parents[: depth + 1])
