"""RulesView: the view that keeps the metrics of rules up to date with a tree."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

from exporter.treecache import TreeCache
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Event
from exporter.treecache.view import Batch, View
from exporter.views.patterns import Matches, Patterns, RunMatch
from exporter.views.rules.changes import Changes
from exporter.views.rules.counted import Counted
from exporter.views.rules.measured import measured
from exporter.views.rules.owners import Elections, Owners
from exporter.views.rules.rule import Rule, check_rules
from exporter.views.rules.series import Key
from exporter.views.rules.state import Snapshot, State
from exporter.zookeeper.observers import overriding

#: Seconds: the session timeout that kazoo requests by default.
DEFAULT_TIMEOUT = 10.0


class RulesView(View):
    """The metrics of some rules about one tree.

    There is no snapshot before the tree is complete for the first time, nor after it is forgotten. While it is away or
    read again, snapshots stay as they were when it was last complete. Who holds ephemeral znodes is then known until no
    server was heard for the session timeout: the ensemble has ended the sessions of clients that are cut off as we are.

    Args:
        rules: of different names and metrics.
        root: the absolute path of the tree's root, inside the client's chroot.
        session_timeout: gives the session timeout in seconds; 0 if it is unknown, which counts as `DEFAULT_TIMEOUT`.
        unheard_for: gives the seconds since the client last heard from a server.
        wall: gives Unix seconds.

    Raises:
        ValueError: two rules have the same name, or metrics that collide.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        root: str = "/",
        *,
        session_timeout: Callable[[], float] = lambda: math.inf,
        unheard_for: Callable[[], float] = lambda: 0.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.rules = tuple(rules)
        check_rules(self.rules)
        self._root = root.rstrip("/")
        self._session_timeout = session_timeout
        self._unheard_for = unheard_for
        self._wall = wall
        self._begin()
        #: Which state, and which of its patterns, each index of the patterns is.
        self._roles = [(place, number) for place, one in enumerate(self._states) for number in range(len(one.patterns))]
        self._patterns = Patterns((pattern for state in self._states for pattern in state.patterns), root)
        self._data = Patterns((pattern for state in self._states for pattern in state.reads), root)
        self.reads_anything = not self._data.is_idle

    @classmethod
    def of(cls, cache: TreeCache, rules: Iterable[Rule]) -> RulesView:
        """The view for a cache, which it still has to be added to. Raises as the constructor does."""
        return cls(
            rules,
            cache.stats().path,
            session_timeout=lambda: cache.session_timeout,
            unheard_for=lambda: cache.unheard_for,
        )

    def _begin(self) -> None:
        self._states = [_state(rule, self._wall) for rule in self.rules]
        #: Those that decide something when a batch is over.
        self._settling = overriding(State, "settle", self._states)
        #: The unreadable znodes that a pattern matches.
        self._unreadable: set[str] = set()
        #: The states to take snapshots of; None before the tree is complete. Readers see it change as a whole.
        self._live: Sequence[State] | None = None
        #: While the tree is incomplete, the snapshots of the last complete one, with who holds what and without.
        self._kept: tuple[Sequence[Snapshot], Sequence[Snapshot]] | None = None

    # What the cache calls

    def reads(self, path: str) -> bool:
        return bool(self._data.match(path))

    def reads_below(self, path: str) -> bool:
        return not self._data.head(path).is_barren

    def changed(self, batch: Batch) -> None:
        match, is_concerned = self._patterns.match, False
        for one in batch:
            if isinstance(one, AddedRun):
                for matched in self._patterns.match_run(one.paths):
                    self._added_run(one, matched)
                    is_concerned = True
            else:
                matches = match(one.path)
                if matches:
                    self._change(one, matches)
                    is_concerned = True
        is_complete = self._live is not None and self._kept is None
        if is_concerned and is_complete:
            self._settle(is_live=True)

    def complete(self) -> None:
        self._settle(is_live=False)
        self._live = self._states
        self._kept = None

    def incomplete(self) -> None:
        known, unknown = _snapshots(self._states, is_known=True), _snapshots(self._states, is_known=False)
        self._kept = (known, unknown)

    def reset(self) -> None:
        self._live = None
        self._begin()

    # What others may call

    def snapshots(self) -> Sequence[Snapshot]:
        """What each rule says; nothing before the tree is complete, nor if the view has failed. From any thread."""
        live, kept = self._live, self._kept
        if live is None or self.failure is not None:
            return ()
        if kept is None:
            return _snapshots(live, is_known=True)
        known, unknown = kept
        return known if self._unheard_for() <= (self._session_timeout() or DEFAULT_TIMEOUT) else unknown

    @property
    def is_known(self) -> bool:
        """Whether the tree was complete since the view has it, so that there are snapshots. From any thread."""
        return self._live is not None and self.failure is None

    def using(self, path: str) -> Sequence[Rule]:
        """The rules whose pattern matches an absolute path in the tree. From any thread."""
        below = path.rstrip("/").removeprefix(self._root)
        places = {self._roles[index][0] for index, _ in self._patterns.match(below)}
        return [self.rules[place] for place in sorted(places)]

    # Changes

    def _settle(self, *, is_live: bool) -> None:
        for state in self._settling:
            state.settle(is_live=is_live)

    def _added(self, path: str, matches: Matches, record: bytes) -> None:
        for index, captured in matches:
            place, pattern = self._roles[index]
            self._states[place].added(pattern, path, captured, record)

    def _added_run(self, run: AddedRun, matched: RunMatch) -> None:
        place, pattern = self._roles[matched.pattern]
        if len(matched.positions) < len(run.paths):
            every = list(run.paths)
            paths = [every[position] for position in matched.positions]
            run = AddedRun(paths, [run.records[position] for position in matched.positions])
        self._states[place].added_run(pattern, run, matched.captures)

    def _change(self, event: Event, matches: Matches) -> None:
        kind, path, record, old = event
        if path in self._unreadable:
            self._show(path, matches, is_gone=kind == TreeEvent.NODE_REMOVED)
        if kind == self.NODE_UNREADABLE:
            self._unreadable.add(path)
            for state, pattern, captured in self._matching(matches):
                state.hidden(pattern, path, captured)
        elif record is None:
            pass
        elif kind == TreeEvent.NODE_ADDED:
            self._added(path, matches, record)
        else:
            for index, captured in matches:
                place, pattern = self._roles[index]
                if kind == TreeEvent.NODE_UPDATED and old is not None:
                    self._states[place].updated(pattern, path, captured, record, old)
                else:
                    self._states[place].removed(pattern, path, captured, record)

    def _matching(self, matches: Matches) -> list[tuple[State, int, Key]]:
        """The states of which a pattern matches, each once, with its first one and what that captures."""
        first = {self._roles[index][0]: (self._roles[index][1], captured) for index, captured in reversed(matches)}
        return [(self._states[place], *first[place]) for place in sorted(first)]

    def _show(self, path: str, matches: Matches, *, is_gone: bool) -> None:
        self._unreadable.remove(path)
        for state, pattern, captured in self._matching(matches):
            state.shown(pattern, path, captured)
            if is_gone:
                state.gone(path)


def _snapshots(states: Sequence[State], *, is_known: bool) -> Sequence[Snapshot]:
    return [state.snapshot(is_known=is_known) for state in states]


def _state(rule: Rule, wall: Callable[[], float]) -> State:
    if rule.value in ("count", "exists", "info"):
        return Counted(rule)
    if rule.value in ("changes", "child_changes"):
        return Changes(rule)
    if rule.value == "owner":
        return Owners(rule, wall)
    if rule.value == "election":
        return Elections(rule, wall)
    return measured(rule)
