"""Walk: the paths of a tree's znodes one after another: all of them, or a sample spread evenly over the tree."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import gcd

from exporter.treecache.tree import Branch, Entry, Tree, branches, record_of
from exporter.zookeeper.paths import Siblings

#: After passing this many znodes, a walk pauses: its caller may have other work.
_STRETCH = 10_000
#: How many paths are found before they are taken.
_AHEAD = 4096
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
        self._runs = self._go()
        self._is_over = False
        #: The runs that come next, how many of the first are taken, and how many of all are left.
        self._ahead: deque[Siblings] = deque()
        self._taken = 0
        self._left = 0

    def has_at_hand(self, count: int) -> bool:
        """Whether so many paths, or all that are left, can be taken without passing more of the tree."""
        return self._is_over or self._left >= count

    def take(self, count: int) -> Siblings | None:
        """The next siblings, up to `count` of them; none for a pause, and None at the end."""
        if self._ahead and self._taken == len(self._ahead[0].names):
            self._ahead.popleft()
            self._taken = 0
        if not self._ahead:
            self._pass_on()
        if not self._ahead:
            return None
        stem, names = self._ahead[0]
        taken = names[self._taken : self._taken + count]
        self._taken += len(taken)
        self._left -= len(taken)
        return Siblings(stem, taken)

    def put_back(self, count: int) -> None:
        """Puts back the last of the siblings taken."""
        self._taken -= count
        self._left += count

    def _pass_on(self) -> None:
        """Passes the next part of the tree, up to a pause."""
        for run in self._runs:
            self._ahead.append(run)
            self._left += len(run.names)
            if not run.names or self._left >= _AHEAD:
                return
        self._is_over = True

    def _go(self) -> Iterator[Siblings]:
        root = self._tree.root
        if root is None:
            # A missing root may be wrong as well.
            yield Siblings("", ("",))
            return
        yield self._sampled("", {"": root}, {"": root})
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
            # Copying a dict is atomic.
            children = branch.children.copy()
            parents = branches(children)
            levels.append((path + "/", list(parents)))
            run = self._sampled(path + "/", children, parents)
            if run.names:
                yield run
            stretch += len(children) + 1
            if stretch >= _STRETCH:
                stretch = 0
                yield Siblings("", ())

    def _sampled(self, stem: str, children: Mapping[str, Entry], parents: Mapping[str, Branch]) -> Siblings:
        """The children of one znode that are in this turn's sample; `parents` are those of them with children."""
        names = list(children)
        if not all(children.values()) or not all(parent.record for parent in parents.values()):
            names = [name for name, entry in children.items() if record_of(entry)]
        self._hidden += len(children) - len(names)
        self.unreadable = int(self._hidden / self._stride)
        passed, self._passed = self._passed, self._passed + len(names)
        if self._stride > 1:
            every, names = names, []
            while (position := int((self._given + self._phase) * self._stride)) < passed + len(every):
                self._given += 1
                names.append(every[position - passed])
        return Siblings(stem, names)


def turns_of(total: int, sample: int) -> int:
    """How many samples it takes until each of `total` znodes was in one."""
    return -(-total // sample) if sample else 1


def _step(turns: int) -> int:
    """The step from one turn's offset to the next: large, and such that every offset comes before one repeats."""
    step = max(1, int(turns * _GOLDEN))
    while gcd(step, turns) > 1:
        step += 1
    return step
