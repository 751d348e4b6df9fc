"""Feed: passes the changes of one tree to its views, and whether it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exporter.process.greenlets import is_kill
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Aside, Event, Fault
from exporter.treecache.tree import Branch, Entry, Tree, record_of
from exporter.treecache.view import View


class Feed:
    """The views of one cache. One thread at a time calls it.

    Args:
        report: takes the faults of views.
    """

    def __init__(self, report: Callable[[Sequence[Fault]], None]) -> None:
        #: Changes that are no tree events, in the order in which they are applied; the reconciler adds them.
        self.asides: list[Aside] = []
        #: All views, those that failed included.
        self.views: tuple[View, ...] = ()
        self._fed: tuple[View, ...] = ()
        self._report = report
        self._is_complete = False

    def add(self, view: View) -> None:
        """Adds a view; it must have missed no change.

        Raises:
            ValueError: it was added before.
        """
        if any(other is view for other in self.views):
            raise ValueError("the cache has this view already")
        self.views = (*self.views, view)
        self._fed = (*self._fed, view)

    def join(self, view: View, tree: Tree, *, is_complete: bool) -> None:
        """Adds a view to a cache that runs, between two turns: it first gets all that the tree holds."""
        self.add(view)
        self._is_complete = is_complete
        # It may have been fed before.
        self._call(view, lambda view: view.reset())
        if batch := _contents(tree):
            self._call(view, lambda view: view.changed(batch))
        if is_complete:
            self._call(view, lambda view: view.complete())

    def remove(self, view: View) -> None:
        """Removes a view, which gets no more calls; one that it does not have is ignored."""
        self.views = tuple(other for other in self.views if other is not view)
        self._fed = tuple(other for other in self._fed if other is not view)

    def take(self, events: list[Event | AddedRun], *, interrupted: bool, is_complete: bool) -> None:
        """Passes on what happened in a turn of the engine.

        Args:
            events: the tree events of the turn, among which the asides have their places.
            interrupted: whether a sync began or ended in it.
            is_complete: whether the tree is complete after it. Without an interruption, it then was before.
        """
        is_quiet = self._is_complete and is_complete and not interrupted
        if self._is_complete and not is_quiet:
            self.interrupt()
        # Only with an interruption are there events that concern no znode.
        batch = events if is_quiet and not self.asides else list(_merged(events, self.asides))
        self.asides.clear()
        if batch:
            self._each(lambda view: view.changed(batch))
        if is_complete and not self._is_complete:
            self._is_complete = True
            self._each(lambda view: view.complete())

    def interrupt(self) -> None:
        """The tree may no longer be complete, or up to date."""
        if self._is_complete:
            self._is_complete = False
            self._each(lambda view: view.incomplete())

    def reset(self) -> None:
        """The tree was forgotten."""
        self._is_complete = False
        self.asides.clear()
        self._each(lambda view: view.reset())

    def fail(self, view: View, error: BaseException) -> None:
        """Ends a view because of its exception; raises that if it kills the greenlet. Again does nothing."""
        self._end(view, error)
        if is_kill(error):
            raise error

    def _end(self, view: View, error: BaseException) -> None:
        if view not in self._fed:
            return
        self._fed = tuple(other for other in self._fed if other is not view)
        self._report([Fault("view", error)])
        try:
            view.failed(error)
        except Exception as another:
            self._report([Fault("view", another)])

    def _call(self, view: View, call: Callable[[View], None]) -> None:
        """Calls a view that has not failed."""
        if view in self._fed:
            try:
                call(view)
            except BaseException as error:
                self.fail(view, error)

    def _each(self, call: Callable[[View], None]) -> None:
        """Calls each view; one that kills the greenlet does so after the others have got theirs."""
        kill: BaseException | None = None
        for view in self._fed:
            try:
                call(view)
            except BaseException as error:
                self._end(view, error)
                kill = error if is_kill(error) else kill
        if kill is not None:
            raise kill


def _contents(tree: Tree) -> list[Event | AddedRun]:
    """The additions that lead to a tree, parents first."""
    if tree.root is None:
        return []
    batch = [_addition("", record_of(tree.root))]
    left: list[tuple[str, Entry]] = [("", tree.root)]
    while left:
        head, branch = left.pop()
        if not isinstance(branch, Branch):
            continue
        records = {f"{head}/{name}": record_of(entry) for name, entry in branch.children.items()}
        readable = {path: record for path, record in records.items() if record}
        if readable:
            batch.append(AddedRun(list(readable), list(readable.values())))
        batch += [_addition(path, record) for path, record in records.items() if not record]
        left += [(f"{head}/{name}", entry) for name, entry in branch.children.items()]
    return batch


def _addition(path: str, record: bytes) -> Event | AddedRun:
    return Event(TreeEvent.NODE_ADDED, path, record) if record else Event(View.NODE_UNREADABLE, path)


def _merged(events: Sequence[Event | AddedRun], asides: Sequence[Aside]) -> Iterator[Event | AddedRun]:
    """The changes of znodes, each aside after as many events as there were before it."""
    waiting = iter(asides)
    aside = next(waiting, None)
    for position, event in enumerate(events):
        while aside is not None and aside.after <= position:
            yield aside.change
            aside = next(waiting, None)
        if isinstance(event, AddedRun) or event.type <= TreeEvent.NODE_REMOVED:
            yield event
    if aside is not None:
        yield aside.change
        yield from (left.change for left in waiting)
