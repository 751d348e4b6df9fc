"""Unrest: which paths an audit must not compare now, since others are reading them, or are about to."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.treecache.agenda import Agenda, Wanted
from exporter.treecache.sent import InFlight
from exporter.treecache.tree import Tree


class Unrest:
    """Knows the paths that are *unsettled* at a moment, and those *touched* since a round of the audit was sent.

    Args:
        agenda: the paths that wait to be read.
        in_flight: the requests sent and not yet answered.
        tree: the znodes held.
    """

    def __init__(self, agenda: Agenda, in_flight: InFlight, tree: Tree) -> None:
        self._agenda = agenda
        self._in_flight = in_flight
        self._tree = tree

    def unsettled(self) -> set[str]:
        """The paths that are being read, and those that wait to be."""
        busy = {path for request in self._in_flight.reads() for path in (*request.reads, *request.lists)}
        waiting = self._agenda.waiting()
        return busy | waiting.reads | waiting.lists

    def begin(self, touched: Wanted) -> None:
        """Notes which paths become dirty from now on."""
        self._agenda.note(touched)

    def end(self, touched: Wanted) -> None:
        """Notes no more."""
        self._agenda.stop_noting(touched)

    def concerns(self, path: str, dirty: set[str] | Wanted) -> bool:
        """Whether dirty paths concern this one: it is among them, or if it is not held a path above it is."""
        return any(at in dirty for at in self._decisive(path))

    def _decisive(self, path: str) -> Iterator[str]:
        """The path, and if it is not held the paths above it, up to the first that is held.

        An event always names the znode itself, but a new znode comes with its parent's list. Changes of znodes further
        up do not concern this one.
        """
        yield path
        while path and self._tree.get(path) is None:
            path = path[: path.rindex("/")]
            yield path
