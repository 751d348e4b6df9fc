"""Walk: the paths of a tree's znodes one after another: all of them, or a sample spread evenly over the tree."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from exporter.treecache.tree import Branch, Entry, Tree

#: After passing this many znodes, a walk pauses: its caller may have other work.
_STRETCH = 10_000
#: The maximum number of paths that are made before they are taken.
_AHEAD = 1024
_GOLDEN = 0.618


class Walk:
    """Gives the paths of readable znodes, parents before children, and pauses after passing many others.

    A sample takes every n-th znode, so that it has the requested size and covers each part of the tree in proportion.
    Successive *turns* take different samples: as long as no znodes come or go, each znode is in one of the next
    ``turns_of(...)`` samples, and the place of an error does not matter to when it is found.

    It remembers names only: a walk may take hours without keeping znodes in memory.

    Args:
        tree: the tree to walk.
        sample: how many paths to give, 0 for all; all of a smaller tree.
        turn: the number of the walk.
    """

    def __init__(self, tree: Tree, sample: int = 0, turn: int = 0) -> None:
        #: How many znodes of the sample are unreadable.
        self.unreadable = 0
        self._tree = tree
        total = len(tree)
        turns = turns_of(total, sample)
        self._stride = total / sample if turns > 1 else 1.0
        self._phase = (turn * _step(turns) % turns + 0.5) / turns if turns > 1 else 0.0
        self._passed = self._given = 0
        self._hidden = 0
        self._chunks = self._go()
        self._ahead: list[str] = []

    def take(self, count: int) -> list[str] | None:
        """The next paths, all of siblings, up to `count` of them; none for a pause, and None at the end."""
        if not self._ahead:
            chunk = next(self._chunks, None)
            if chunk is None:
                return None
            self._ahead = chunk
        taken = self._ahead[:count]
        del self._ahead[:count]
        return taken

    def put_back(self, paths: list[str]) -> None:
        """Puts back the last of the paths taken."""
        self._ahead[:0] = paths

    def _go(self) -> Iterator[list[str]]:
        root = self._tree.root
        if root is None:
            # A missing root may be wrong as well.
            yield [""]
            return
        yield from self._run("", [("", root)])
        levels = [("", [""])]
        stretch = 0
        while levels:
            prefix, names = levels[-1]
            if not names:
                levels.pop()
                continue
            path = prefix + names.pop()
            branch = self._tree.find(path)
            if not isinstance(branch, Branch):
                continue
            children = list(branch.children.copy().items())
            levels.append((path + "/", [name for name, entry in children if isinstance(entry, Branch)]))
            yield from self._run(path + "/", children)
            stretch += len(children) + 1
            if stretch >= _STRETCH:
                stretch = 0
                yield []

    def _run(self, prefix: str, siblings: list[tuple[str, Entry]]) -> Iterator[list[str]]:
        """The siblings that are in this turn's sample, in chunks."""
        names = [name for name, entry in siblings if entry and (isinstance(entry, bytes) or entry.record)]
        self._hidden += len(siblings) - len(names)
        self.unreadable = int(self._hidden / self._stride)
        passed, self._passed = self._passed, self._passed + len(names)
        if self._stride > 1:
            every, names = names, []
            while (position := int((self._given + self._phase) * self._stride)) < passed + len(every):
                self._given += 1
                names.append(every[position - passed])
        for start in range(0, len(names), _AHEAD):
            yield [prefix + name for name in names[start : start + _AHEAD]]


def turns_of(total: int, sample: int) -> int:
    """How many samples it takes until each of `total` znodes was in one."""
    return -(-total // sample) if sample else 1


def _step(turns: int) -> int:
    """The step from one turn's offset to the next: large, and such that every offset comes before one repeats."""
    step = max(1, int(turns * _GOLDEN))
    while gcd(step, turns) > 1:
        step += 1
    return step
