"""Patterns: which of many patterns match a path, and what they capture; their number hardly matters.

The paths to match are those of views: relative to the root of a tree, which itself is ``""``.

All patterns are one trie of parts, and what a path has reached is a set of its nodes, as in Thompson's and Pike's
simulations of regular expressions (https://swtch.com/~rsc/regexp/regexp2.html): nothing is tried again. What the path
of a parent has reached is remembered, and which names below it can match at all; so a path costs two look-ups in
tables, unless its last part may match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from exporter.views.nametest import NameTest
from exporter.views.pattern import Kind, Part, Pattern

#: How many parents are remembered, twice: those of late, and those before.
_REMEMBERED = 4096

#: The index of each pattern that matches, in their order, with the values of its captures.
Matches = tuple[tuple[int, tuple[str, ...]], ...]


class _Node:
    """A node of the trie: what follows the parts that lead to it."""

    __slots__ = ("deep", "ends", "loops", "shapes", "texts")

    def __init__(self, *, loops: bool = False) -> None:
        self.texts: dict[str, _Node] = {}
        self.shapes: dict[Part, _Node] = {}
        #: The node after ``**``, which any part leads back to, and which no part at all leads to.
        self.deep: _Node | None = None
        self.loops = loops
        #: The patterns that end here.
        self.ends: list[int] = []

    def follow(self, part: Part) -> _Node:
        """The node that a part leads to; made if there is none."""
        if part.kind is Kind.TEXT:
            return self.texts.setdefault(part.source, _Node())
        if part.kind is Kind.DEEP:
            self.deep = self.deep or _Node(loops=True)
            return self.deep
        return self.shapes.setdefault(part, _Node())

    @property
    def all_ends(self) -> list[int]:
        """The patterns that match a path that ends here."""
        return self.ends + (self.deep.ends if self.deep is not None else [])


class _Way(NamedTuple):
    """A way on from one of the nodes that a path has reached, by a text or by a test; without either by any name."""

    position: int
    text: str | None
    test: NameTest | None
    captures: bool
    node: _Node


class _Entry(NamedTuple):
    """Patterns that end after one more name; ``position`` is that of the node, and of its captures."""

    position: int
    test: NameTest | None
    captures: bool
    patterns: Sequence[int]


class _Plan:
    """What may follow a set of nodes; shared by all paths that reach just these."""

    __slots__ = ("_shaped", "are_apart", "exact", "is_dead", "others", "ways")

    def __init__(self, nodes: Sequence[_Node], tests: dict[Part, NameTest]) -> None:
        self.ways = list(_ways(nodes, tests))
        self.is_dead = not self.ways
        ends = [
            (way.text, _Entry(way.position, way.test, way.captures, way.node.all_ends))
            for way in self.ways
            if way.node.all_ends
        ]
        self.others = tuple(entry for text, entry in ends if text is None)
        #: By the names that are written in a pattern: those that match just this name, among the others.
        self.exact = {
            name: tuple(entry for text, entry in ends if text is None or text == name)
            for name in {text for text, _ in ends if text is not None}
        }
        self._shaped = _one_test(nodes) if self.others and all(entry.test for entry in self.others) else None
        patterns = [pattern for entry in self.others for pattern in entry.patterns]
        #: Whether each entry decides about its patterns alone, and no test spares those of several entries.
        self.are_apart = not self.exact and self._shaped is None and len(set(patterns)) == len(patterns)

    def entries(self, name: str) -> tuple[_Entry, ...]:
        """Those that a name may match, in order of preference."""
        found = self.exact.get(name)
        if found is not None:
            return found
        return () if self._shaped is not None and self._shaped(name) is None else self.others


def _ways(nodes: Sequence[_Node], tests: dict[Part, NameTest]) -> Iterator[_Way]:
    for position, node in enumerate(nodes):
        for text, then in node.texts.items():
            yield _Way(position, text, None, False, then)
        for part, then in node.shapes.items():
            yield _Way(position, None, tests.get(part), part.kind is not Kind.ANY, then)
        if node.loops:
            # Last, so that ** takes as few parts as it can.
            yield _Way(position, None, None, False, node)


def _one_test(nodes: Sequence[_Node]) -> NameTest | None:
    """One test instead of several for a name that none of them matches."""
    sources = {part.source for node in nodes for part, then in node.shapes.items() if then.all_ends}
    if len(sources) < 2:
        return None
    return NameTest("|".join(f"(?:{source})" for source in sorted(sources)))


class Captures(NamedTuple):
    """What a pattern captures of several siblings: ``shared`` are the first captures of all, those of their parent.

    ``of_each`` makes those of each, shared ones included; for many, that takes longer than all the rest.
    """

    shared: tuple[str, ...]
    of_each: Callable[[], Sequence[tuple[str, ...]]]


class RunMatch(NamedTuple):
    """A pattern that matches some of several siblings: at which positions, and what it captures of these."""

    pattern: int
    positions: Sequence[int]
    captures: Captures


class Head:
    """What the path of a parent has reached: which of its children match which patterns."""

    __slots__ = ("_captured", "_plan", "is_barren")

    def __init__(self, plan: _Plan, captured: tuple[tuple[str, ...], ...]) -> None:
        self._plan = plan
        self._captured = captured
        #: Whether no child can match.
        self.is_barren = not plan.others and not plan.exact

    @property
    def is_dead(self) -> bool:
        """Whether nothing below matches, at any depth."""
        return self._plan.is_dead

    def match(self, name: str) -> Matches:
        """The patterns that match the child of this name."""
        entries = self._plan.entries(name)
        if not entries:
            return ()
        found: dict[int, tuple[str, ...]] = {}
        for position, test, captures, patterns in entries:
            captured = self._captured[position]
            if test is not None:
                match = test(name)
                if match is None:
                    continue
                captured += match.groups()
            elif captures:
                captured = (*captured, name)
            for index in patterns:
                found.setdefault(index, captured)
        return tuple(sorted(found.items())) if len(found) > 1 else tuple(found.items())

    def match_run(self, stem: str, paths: Sequence[str]) -> Sequence[RunMatch]:
        """The patterns that match some of its children, whose paths begin with `stem`; each pattern once, in order."""
        plan, cut = self._plan, len(stem)
        if plan.are_apart:
            found = [(entry, self._matched(entry, paths, cut)) for entry in plan.others]
            return sorted(
                RunMatch(index, positions, captures)
                for entry, (positions, captures) in found
                if positions
                for index in entry.patterns
            )
        if plan.others:
            matches = [(position, self.match(path[cut:])) for position, path in enumerate(paths)]
        else:
            wanted = {stem + name: name for name in plan.exact}
            matches = sorted((paths.index(path), self.match(wanted[path])) for path in set(wanted).intersection(paths))
        return _by_pattern(matches)

    def _matched(self, entry: _Entry, paths: Sequence[str], cut: int) -> tuple[Sequence[int], Captures]:
        """Which children an entry matches, and what it captures: without a loop over each, as far as possible."""
        position, test, captures, _ = entry
        shared, all_of_them = self._captured[position], range(len(paths))
        if test is not None:
            names = [path[cut:] for path in paths]
            if test.surely_all(names):
                return all_of_them, Captures(shared, lambda: _with_groups(shared, test.of_each(names)))
            matches = test.of_each(names)
            positions = [number for number, match in enumerate(matches) if match is not None]
            return positions, Captures(shared, lambda: _with_groups(shared, matches))
        if captures:
            return all_of_them, Captures(shared, lambda: [(*shared, path[cut:]) for path in paths])
        return all_of_them, Captures(shared, lambda: [shared] * len(paths))

    def reached(self, name: str) -> dict[_Node, tuple[str, ...]]:
        """The nodes that the child of this name reaches, in order of preference, with what is captured on the way."""
        nodes: dict[_Node, tuple[str, ...]] = {}
        for position, text, test, captures, node in self._plan.ways:
            captured = self._captured[position]
            if test is not None:
                match = test(name)
                if match is None:
                    continue
                captured += match.groups()
            elif text is not None and text != name:
                continue
            elif captures:
                captured = (*captured, name)
            _reach(nodes, node, captured)
        return nodes


def _with_groups(shared: tuple[str, ...], matches: Iterable[re.Match[str] | None]) -> Sequence[tuple[str, ...]]:
    return [shared + match.groups() for match in matches if match is not None]


def _by_pattern(matches: Iterable[tuple[int, Matches]]) -> Sequence[RunMatch]:
    """The other way round: which positions each pattern matches, not which patterns match each position."""
    of_each: dict[int, tuple[list[int], list[tuple[str, ...]]]] = {}
    for position, found in matches:
        for index, captured in found:
            positions, captures = of_each.setdefault(index, ([], []))
            positions.append(position)
            captures.append(captured)
    return [
        RunMatch(index, positions, Captures((), captures.copy))
        for index, (positions, captures) in sorted(of_each.items())
    ]


def _reach(nodes: dict[_Node, tuple[str, ...]], node: _Node, captured: tuple[str, ...]) -> None:
    """Adds a node, and the one after a ``**`` that matches no part; what was reached before is preferred."""
    nodes.setdefault(node, captured)
    if node.deep is not None:
        nodes.setdefault(node.deep, captured)


class Patterns:
    """Many patterns, each known by its index.

    Any thread may ask, but one at a time is faster: all share what is remembered.

    Args:
        patterns: as texts, or compiled.
        root: the absolute path of the tree's root; ``/`` or ``""`` for the root of all.

    Raises:
        ValueError: a pattern is wrong.
    """

    def __init__(self, patterns: Iterable[str | Pattern], root: str = "") -> None:
        self.patterns = tuple(Pattern(one) if isinstance(one, str) else one for one in patterns)
        self._tests: dict[Part, NameTest] = {}
        self._plans: dict[tuple[_Node, ...], _Plan] = {}
        self._heads: dict[str, Head] = {}
        self._heads_before: dict[str, Head] = {}
        trie = _Node()
        for index, pattern in enumerate(self.patterns):
            node = trie
            for part in pattern.parts:
                if part.kind is Kind.SHAPE and part not in self._tests:
                    self._tests[part] = NameTest(part.source)
                node = node.follow(part)
            node.ends.append(index)
        nodes: dict[_Node, tuple[str, ...]] = {}
        _reach(nodes, trie, ())
        self._top = self._head_of(nodes)
        #: What matches the root itself.
        self._root: Matches = tuple((index, ()) for index in sorted({*trie.all_ends}))
        for name in root.strip("/").split("/") if root.strip("/") else ():
            self._root = self._top.match(name)
            self._top = self._head_of(self._top.reached(name))

    @property
    def is_idle(self) -> bool:
        """Whether none of them matches the root, nor anything below it."""
        return not self._root and self._top.is_dead

    def match(self, path: str) -> Matches:
        """The patterns that match a path."""
        if not path:
            return self._root
        cut = path.rindex("/")
        parent = path[:cut]
        head = self._heads.get(parent) or self.head(parent)
        return () if head.is_barren else head.match(path[cut + 1 :])

    def match_run(self, paths: Sequence[str]) -> Sequence[RunMatch]:
        """The patterns that match some of these paths, which are of children of one znode, in order."""
        path = paths[0][: paths[0].rindex("/")]
        head = self._heads.get(path) or self.head(path)
        return () if head.is_barren else head.match_run(path + "/", list(paths))

    def head(self, path: str) -> Head:
        """What the path of a parent has reached; remembered, for a bounded number of parents."""
        head = self._heads.get(path)
        if head is None:
            head = self._heads_before.get(path) or self._reached_by(path)
            if len(self._heads) >= _REMEMBERED:
                self._heads, self._heads_before = {}, self._heads
            self._heads[path] = head
        return head

    def _reached_by(self, path: str) -> Head:
        names: list[str] = []
        head = None
        while path and head is None:
            path, _, name = path.rpartition("/")
            names.append(name)
            head = self._heads.get(path) or self._heads_before.get(path)
        head = head or self._top
        for name in reversed(names):
            if head.is_dead:
                break
            head = self._head_of(head.reached(name))
        return head

    def _head_of(self, nodes: dict[_Node, tuple[str, ...]]) -> Head:
        reached = tuple(nodes)
        plan = self._plans.get(reached)
        if plan is None:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            plan = self._plans[reached] = _Plan(reached, self._tests)
        return Head(plan, tuple(nodes.values()))
