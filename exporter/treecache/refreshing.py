"""Refreshing: requests reads of the znodes that watch events mark. Only a read that is sent after the event counts."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.treecache.agenda import Agenda
from exporter.treecache.credibility import Credibility
from exporter.treecache.reading import Pace
from exporter.treecache.scope import Scope
from exporter.treecache.sent import NO_CAUSES, InFlight
from exporter.treecache.strategies import Strategies
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED, WatchEvent
from exporter.zookeeper.wire import ReadRequest

_ZNODE_EVENTS = (CREATED, DELETED, CHANGED, CHILD)


class Refreshing:
    """Marks dirty paths, and remembers the first event of each.

    Args:
        root: the server's path of the root.
        scope: defines what belongs to the tree.
        agenda: takes the reads.
        in_flight: the requests sent and not yet answered.
        strategies: decide which paths an event marks.
        credibility: compares doubtful events with the results of reads.
        pace: counts the changes.
    """

    def __init__(
        self,
        root: str,
        scope: Scope,
        agenda: Agenda,
        in_flight: InFlight,
        strategies: Strategies,
        credibility: Credibility,
        pace: Pace,
    ) -> None:
        self._root = root
        self._prefix_length = 0 if root == "/" else len(root)
        self._scope = scope
        self._agenda = agenda
        self._in_flight = in_flight
        self._strategies = strategies
        self._credibility = credibility
        self._pace = pace
        #: For each path that waits to be read, the first event since its last read.
        self._heard: dict[str, WatchEvent] = {}

    def on_event(self, event: WatchEvent) -> None:
        """Marks the znode of an event, and other paths that the event makes dirty."""
        if event.kind not in _ZNODE_EVENTS:
            return
        path = "" if event.path == self._root else event.path[self._prefix_length :]
        covers, strategy = self._scope.covers, self._strategies.current
        dirty, lists = strategy.dirty(event.kind, path)
        reads = [read for read in dirty if covers(read)]
        self._pace.note()
        if path in reads:
            if event.kind != CHILD and strategy.watches_from(path) and not self.is_wanted(path):
                self._credibility.doubt(path, event)
            self._heard.setdefault(path, event)
        self._agenda.want_reads(reads, False)
        for listed in filter(covers, lists):
            self._agenda.want_list(listed, False)

    def is_wanted(self, path: str) -> bool:
        """Whether a path is being read or waits to be."""
        return path in self._agenda or self._in_flight.is_reading(path)

    def take_causes(self, request: ReadRequest) -> Mapping[str, WatchEvent]:
        """Takes the events that caused a request."""
        heard = self._heard
        if not heard:
            return NO_CAUSES
        return {path: heard.pop(path) for path in (*request.reads, *request.lists) if path in heard}

    def put_back(self, causes: Mapping[str, WatchEvent]) -> None:
        """Puts back the events of a request that must be repeated."""
        self._heard.update(causes)

    def forget(self) -> None:
        """Forgets every event."""
        self._heard.clear()

    @property
    def is_at_rest(self) -> bool:
        """Whether no event waits for its read."""
        return not self._heard
