"""Walk: the paths of a tree's znodes one after another, all of them or so many that are spread evenly over the tree."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from exporter.treecache.tree import Branch, Entry, Tree

#: After so many znodes passed, a walk pauses: its caller may have others to serve.
_STRETCH = 10_000
_GOLDEN = 0.618


class Walk:
    """Gives paths of readable znodes, parents before children, and None now and then where it came by many in between.

    A sample takes every n-th znode, so that it has as many as it is said to, and a part of the tree that is wrong has
    its share in it. The samples of successive *turns* are others: as long as no znodes come or go, each znode is in one
    of the next ``turns_of(...)``, and where errors are is of no matter to when they are found.

    It remembers names alone, so that it may take hours and keep nothing alive.

    Args:
        tree: what to walk through.
        sample: how many paths to give, 0 for all; of a tree that has fewer it gives all.
        turn: counts the walks.
    """

    def __init__(self, tree: Tree, sample: int = 0, turn: int = 0) -> None:
        #: Znodes whose turn it was, but that may not be read.
        self.unreadable = 0
        self._tree = tree
        total = len(tree)
        turns = turns_of(total, sample)
        self._stride = total / sample if turns > 1 else 1.0
        self._phase = (turn * _step(turns) % turns + 0.5) / turns if turns > 1 else 0.0
        self._passed = self._given = 0
        self._hidden = 0
        self._paths = self._go()

    def __iter__(self) -> Iterator[str | None]:
        return self._paths

    def _go(self) -> Iterator[str | None]:
        root = self._tree.root
        if root is None:
            # That it is missing may be wrong as well.
            yield ""
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
                yield None

    def _run(self, prefix: str, siblings: list[tuple[str, Entry]]) -> Iterator[str]:
        """Those of some siblings whose turn it is."""
        names = [name for name, entry in siblings if entry and (isinstance(entry, bytes) or entry.record)]
        self._hidden += len(siblings) - len(names)
        self.unreadable = int(self._hidden / self._stride)
        passed, self._passed = self._passed, self._passed + len(names)
        while (position := int((self._given + self._phase) * self._stride)) < passed + len(names):
            self._given += 1
            yield prefix + names[position - passed]


def turns_of(total: int, sample: int) -> int:
    """How many samples it takes until each of so many znodes was in one."""
    return -(-total // sample) if sample else 1


def _step(turns: int) -> int:
    """From one turn's phase to the next: far, and such that all have come before one comes again."""
    step = max(1, int(turns * _GOLDEN))
    while gcd(step, turns) > 1:
        step += 1
    return step
