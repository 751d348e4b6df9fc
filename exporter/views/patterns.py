"""Patterns: which of many patterns match a path, and what they capture; their number hardly matters.

A pattern such as ``/services/{service}/instances/{instance}`` has these parts:

- text, which matches itself;
- ``{name}``, which captures a whole part, or with text around it some of it: ``lock-{seq}``, ``{host}:{port}``. Several
  captures of a part take as much as they can, the first one first, and one character at least;
- ``{name:regex}``, a capture of what Python's regular expression matches, as ``{broker:[0-9]+}``. The expression is
  trusted not to take exponential time;
- ``*``, which matches one part, and ``**``, which matches any number of parts, none included, and takes as few as it
  can.

Patterns are of absolute paths, inside the client's chroot. The paths to match are those of views: relative to the root
of a tree, which itself is ``""``.

All patterns are one trie of parts, and what a path has reached is a set of its nodes, as in Thompson's and Pike's
simulations of regular expressions (https://swtch.com/~rsc/regexp/regexp2.html): nothing is tried again. What the path
of a parent has reached is remembered, and which names below it can match at all; so a path costs two look-ups in
tables, unless its last part may match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

PATTERN_ACCEPTED = (
    "accepted: an absolute path whose parts are text, {name} or {name:regex}, also with text around them, "
    "* for one part, and ** for any number of parts"
)
#: The most captures of a pattern: each is a label.
MOST_CAPTURES = 3
#: The most characters of a name that is matched with text or regular expressions around captures.
LONGEST_TESTED = 255
#: How many parents are remembered, twice: those of late, and those before.
_REMEMBERED = 4096

#: The index of each pattern that matches, in their order, with the values of its captures.
Matches = tuple[tuple[int, tuple[str, ...]], ...]

#: What a capture without a regular expression matches.
_ANYTHING = ".+"
_CAPTURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Kind(Enum):
    TEXT = "text"
    #: Any one part, which is not captured.
    ANY = "any"
    #: Any one part, all of it captured.
    WHOLE = "whole"
    #: A part that a regular expression matches, with a group for each capture.
    SHAPE = "shape"
    #: Any number of parts.
    DEEP = "deep"


class _Part(NamedTuple):
    """One part of a pattern without the names of its captures: the same parts of two patterns are one edge."""

    kind: _Kind
    source: str = ""


class Pattern:
    """One pattern: ``text`` as written, and the names of its ``captures`` in order.

    Raises:
        ValueError: the pattern is wrong; the message, one line, says where, and what is accepted.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: tuple[_Part, ...] = ()
        captures: list[str] = []
        if not text.startswith("/"):
            raise self._refusal("is not absolute")
        for written in text[1:].split("/") if text != "/" else ():
            self._add(written, captures)
        twice = {name for name in captures if captures.count(name) > 1}
        if twice:
            raise self._refusal(f"captures {min(twice)!r} twice")
        if len(captures) > MOST_CAPTURES:
            raise self._refusal(f"has {len(captures)} captures, and {MOST_CAPTURES} are the most")
        self.captures = tuple(captures)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    @property
    def is_fixed(self) -> bool:
        """Whether it matches one path only."""
        return all(part.kind is _Kind.TEXT for part in self.parts)

    def _refusal(self, problem: str) -> ValueError:
        return ValueError(f"the pattern {self.text!r} {problem}; {PATTERN_ACCEPTED}")

    def _add(self, written: str, captures: list[str]) -> None:
        part = self._part(written, captures)
        if not (part.kind is _Kind.DEEP and self.parts[-1:] == (part,)):
            # Any number of parts, twice, is any number of parts.
            self.parts = (*self.parts, part)

    def _part(self, written: str, captures: list[str]) -> _Part:
        if written in ("", ".", ".."):
            raise self._refusal(f"has the part {written!r}")
        if written == "**":
            return _Part(_Kind.DEEP)
        if written == "*":
            return _Part(_Kind.ANY)
        pieces = list(self._pieces(written))
        if len(pieces) == 1 and isinstance(pieces[0], str):
            return _Part(_Kind.TEXT, written)
        source, before = "", None
        for piece in pieces:
            if isinstance(piece, _Capture) and isinstance(before, _Capture):
                raise self._refusal(f"has nothing between two captures in {written!r}")
            source += re.escape(piece) if isinstance(piece, str) else f"({piece.regex})"
            before = piece
        captures += [piece.name for piece in pieces if isinstance(piece, _Capture)]
        return _Part(_Kind.WHOLE) if source == f"({_ANYTHING})" else self._shape(written, source)

    def _shape(self, written: str, source: str) -> _Part:
        try:
            _compiled(source)
        except (re.error, OverflowError, RecursionError) as error:
            raise self._refusal(f"has a wrong regular expression in {written!r} ({error})") from None
        return _Part(_Kind.SHAPE, source)

    def _pieces(self, written: str) -> Iterator[str | _Capture]:
        """The text and captures of a part, in order."""
        position = 0
        while position < len(written):
            if written[position] == "{":
                end = self._end_of_capture(written, position)
                yield self._capture(written, written[position + 1 : end - 1])
            else:
                end = written.find("{", position)
                end = len(written) if end < 0 else end
                text = written[position:end]
                if "}" in text:
                    raise self._refusal(f"has a }} without its {{ in {written!r}")
                if "*" in text:
                    raise self._refusal(f"has * beside other characters in {written!r}")
                yield text
            position = end

    def _end_of_capture(self, written: str, start: int) -> int:
        """The position after the brace that closes a capture; the braces of its regular expression come in pairs."""
        depth, position = 0, start
        while position < len(written):
            if written[position] == "\\":
                position += 1
            else:
                depth += {"{": 1, "}": -1}.get(written[position], 0)
            position += 1
            if depth == 0:
                return position
        # A regular expression cannot have a slash, since no part of a path has one.
        raise self._refusal(f"has a {{ without its }} in the part {written!r}")

    def _capture(self, written: str, inner: str) -> _Capture:
        name, restricts, regex = inner.partition(":")
        if not _CAPTURE_NAME.fullmatch(name):
            raise self._refusal(f"has a capture whose name {name!r} is not letters, digits and _ in {written!r}")
        if not restricts:
            return _Capture(name)
        try:
            # Alone: in a group, the brackets of a)|(b would come in pairs.
            groups = re.compile(regex, re.DOTALL).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise self._refusal(f"has a wrong regular expression in {written!r} ({error})") from None
        if not regex or groups:
            problem = "has a group that captures; (?:...) does not" if groups else "is empty"
            raise self._refusal(f"has a regular expression in {written!r} that {problem}")
        return _Capture(name, regex)


class _Capture(NamedTuple):
    name: str
    regex: str = _ANYTHING


def _compiled(source: str) -> re.Pattern[str]:
    # In a group, so that flags of the whole expression are refused: others stand beside it.
    return re.compile(f"(?:{source})", re.DOTALL)


class _Node:
    """A node of the trie: what follows the parts that lead to it."""

    __slots__ = ("deep", "ends", "loops", "shapes", "texts")

    def __init__(self, *, loops: bool = False) -> None:
        self.texts: dict[str, _Node] = {}
        self.shapes: dict[_Part, _Node] = {}
        #: The node after ``**``, which any part leads back to, and which no part at all leads to.
        self.deep: _Node | None = None
        self.loops = loops
        #: The patterns that end here.
        self.ends: list[int] = []

    def follow(self, part: _Part) -> _Node:
        """The node that a part leads to; made if there is none."""
        if part.kind is _Kind.TEXT:
            return self.texts.setdefault(part.source, _Node())
        if part.kind is _Kind.DEEP:
            self.deep = self.deep or _Node(loops=True)
            return self.deep
        return self.shapes.setdefault(part, _Node())

    @property
    def all_ends(self) -> list[int]:
        """The patterns that match a path that ends here."""
        return self.ends + (self.deep.ends if self.deep is not None else [])


#: What a name must be for an entry: any, any and it is captured, or what a regular expression matches.
_Test = Callable[[str], re.Match[str] | None]


class _Way(NamedTuple):
    """A way on from one of the nodes that a path has reached, by a text or by a test; without either by any name."""

    position: int
    text: str | None
    test: _Test | None
    captures: bool
    node: _Node


class _Entry(NamedTuple):
    """A pattern that ends after one more name; ``position`` is that of the node, and of its captures."""

    position: int
    test: _Test | None
    captures: bool
    pattern: int


class _Plan:
    """What may follow a set of nodes; shared by all paths that reach just these."""

    __slots__ = ("_shaped", "exact", "is_dead", "others", "ways")

    def __init__(self, nodes: Sequence[_Node], tests: dict[_Part, _Test]) -> None:
        self.ways = list(_ways(nodes, tests))
        self.is_dead = not self.ways
        ends = [
            (way.text, _Entry(way.position, way.test, way.captures, index))
            for way in self.ways
            for index in way.node.all_ends
        ]
        self.others = tuple(entry for text, entry in ends if text is None)
        #: By the names that are written in a pattern: those that match just this name, among the others.
        self.exact = {
            name: tuple(entry for text, entry in ends if text is None or text == name)
            for name in {text for text, _ in ends if text is not None}
        }
        self._shaped = _one_test(nodes) if self.others and all(entry.test for entry in self.others) else None

    def entries(self, name: str) -> tuple[_Entry, ...]:
        """Those that a name may match, in order of preference."""
        found = self.exact.get(name)
        if found is not None:
            return found
        return () if self._shaped is not None and self._shaped(name) is None else self.others


def _ways(nodes: Sequence[_Node], tests: dict[_Part, _Test]) -> Iterator[_Way]:
    for position, node in enumerate(nodes):
        for text, then in node.texts.items():
            yield _Way(position, text, None, False, then)
        for part, then in node.shapes.items():
            yield _Way(position, None, tests.get(part), part.kind is not _Kind.ANY, then)
        if node.loops:
            # Last, so that ** takes as few parts as it can.
            yield _Way(position, None, None, False, node)


def _one_test(nodes: Sequence[_Node]) -> _Test | None:
    """One test instead of several for a name that none of them matches."""
    sources = {part.source for node in nodes for part, then in node.shapes.items() if then.all_ends}
    if len(sources) < 2:
        return None
    return _bounded(_compiled("|".join(f"(?:{source})" for source in sorted(sources))).fullmatch)


def _bounded(test: _Test) -> _Test:
    """The test, which no longer name passes: to match it may take time that grows faster than its length."""
    return lambda name: test(name) if len(name) <= LONGEST_TESTED else None


class RunMatch(NamedTuple):
    """A pattern that matches some of several siblings: at which positions, and what it captures of each."""

    pattern: int
    positions: Sequence[int]
    captures: Sequence[tuple[str, ...]]


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
        for position, test, captures, index in entries:
            if index in found:
                continue
            if test is not None:
                match = test(name)
                if match is not None:
                    found[index] = self._captured[position] + match.groups()
            else:
                found[index] = (*self._captured[position], name) if captures else self._captured[position]
        return tuple(sorted(found.items())) if len(found) > 1 else tuple(found.items())

    def match_run(self, stem: str, paths: Sequence[str]) -> Iterator[RunMatch]:
        """The patterns that match some of its children, whose paths begin with `stem`."""
        plan, cut = self._plan, len(stem)
        if not plan.exact and len(plan.others) == 1:
            yield from self._one_entry(plan.others[0], [path[cut:] for path in paths])
            return
        if plan.others:
            found = [(position, self.match(path[cut:])) for position, path in enumerate(paths)]
        else:
            wanted = {stem + name: name for name in plan.exact}
            found = sorted((paths.index(path), self.match(wanted[path])) for path in set(wanted).intersection(paths))
        of_each: dict[int, tuple[list[int], list[tuple[str, ...]]]] = {}
        for position, matches in found:
            for index, captured in matches:
                positions, captures = of_each.setdefault(index, ([], []))
                positions.append(position)
                captures.append(captured)
        for index in sorted(of_each):
            yield RunMatch(index, *of_each[index])

    def _one_entry(self, entry: _Entry, names: Sequence[str]) -> Iterator[RunMatch]:
        """The same where one pattern can match: without a loop over each name, as far as possible."""
        position, test, captures, index = entry
        before = self._captured[position]
        if test is not None:
            matches = list(map(test, names))
            positions = [number for number, match in enumerate(matches) if match is not None]
            if positions:
                yield RunMatch(index, positions, [before + match.groups() for match in matches if match is not None])
        elif captures:
            yield RunMatch(index, range(len(names)), [(*before, name) for name in names])
        else:
            yield RunMatch(index, range(len(names)), [before] * len(names))

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
        self._tests: dict[_Part, _Test] = {}
        self._plans: dict[tuple[_Node, ...], _Plan] = {}
        self._heads: dict[str, Head] = {}
        self._heads_before: dict[str, Head] = {}
        trie = _Node()
        for index, pattern in enumerate(self.patterns):
            node = trie
            for part in pattern.parts:
                if part.kind is _Kind.SHAPE and part not in self._tests:
                    self._tests[part] = _bounded(_compiled(part.source).fullmatch)
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

    def match_run(self, paths: Sequence[str]) -> Iterable[RunMatch]:
        """The patterns that match some of these paths, which are of children of one znode, in order."""
        path = paths[0][: paths[0].rindex("/")]
        head = self._heads.get(path) or self.head(path)
        return () if head.is_barren else head.match_run(path + "/", paths)

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
