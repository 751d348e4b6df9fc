"""Shortcut: refreshes one leaf while nothing else goes on, in a fraction of the steps and with the same result.

Most changes come alone: while the replica is at rest there is an event, then the answer to the read that follows. The
general way, through the agenda, the dispatch and every part that may have work by then, takes twice as long for them.
It remains for everything else, and for any doubt. The simulation compares both ways, step by step.
"""

from __future__ import annotations

import struct

from exporter.treecache.agenda import NO_LOADS
from exporter.treecache.backoff import Backoff
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Outbox
from exporter.treecache.reading import SHORT_BYTES, Pace
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.rest import Rest
from exporter.treecache.sent import REFRESH, InFlight, Sent
from exporter.treecache.strategies import Strategies
from exporter.zookeeper.messages import CHANGED, Reply, WatchEvent
from exporter.zookeeper.records import UNREADABLE, child_count, history_of
from exporter.zookeeper.wire import OK, MultiRead


class Shortcut:
    """Sends the read of a znode that changed, and applies the answer if that changes a known leaf and nothing else.

    Args:
        root: the server's path of the root.
        options: rule out shortcuts if some znodes are left out, or if the rate of reads is limited.
        rest: says whether anything else goes on.
        in_flight: the requests sent and not yet answered.
        strategies: make the read.
        pace: counts the change; while it holds reads back, there is no shortcut.
        reconciler: has the tree.
        failures: the reads that failed, which an answer may settle.
        outbox: takes the read, the event and so on.
    """

    def __init__(
        self,
        root: str,
        options: CacheOptions,
        rest: Rest,
        in_flight: InFlight,
        strategies: Strategies,
        pace: Pace,
        reconciler: Reconciler,
        failures: Backoff,
        outbox: Outbox,
    ) -> None:
        self._root = root
        self._prefix_length = 0 if root == "/" else len(root)
        self._is_ruled_out = not reconciler.scope.is_everything or options.max_nodes_per_second is not None
        self._rest = rest
        self._in_flight = in_flight
        self._strategies = strategies
        self._pace = pace
        self._reconciler = reconciler
        self._failures = failures
        self._outbox = outbox

    def on_event(self, event: WatchEvent, now: float) -> bool:
        """Sends the read that an event asks for; returns False, and does nothing, if there is more to it."""
        if self._is_ruled_out or event.kind != CHANGED or event.path == self._root:
            return False
        if self._in_flight or now < self._pace.due_at or not self._rest:
            return False
        path = event.path[self._prefix_length :]
        request = self._strategies.current.refresh(path)
        if request is None:
            return False
        self._pace.note()
        self._pace.sent(now)
        self._in_flight[request] = sent = Sent(request, now, NO_LOADS, REFRESH, {path: event})
        self._outbox.requests.append(sent)
        return True

    def on_reply(self, reply: Reply) -> bool:
        """Applies the answer to a read; returns False, and does nothing, if there is more to it."""
        request, in_flight = reply.request, self._in_flight
        sent = in_flight.get(request)
        if self._is_ruled_out or sent is None or sent.purpose != REFRESH or len(in_flight) > 1 or reply.error != OK:
            return False
        if not isinstance(request, MultiRead) or len(request.reads) != 1 or request.lists:
            return False
        if len(reply.body) > SHORT_BYTES or not self._rest:
            return False
        try:
            (record,) = request.decode(reply.body, reply.offset)
        except (struct.error, ValueError):
            return False
        if not isinstance(record, bytes) or not self._renews(request.reads[0], record):
            return False
        del in_flight[request]
        self._strategies.current.answered(request, len(reply.body))
        self._outbox.refreshed.append(sent if reply.exemplar is None else sent._replace(exemplar=reply.exemplar))
        return True

    def _renews(self, path: str, record: bytes) -> bool:
        """Applies a record of a leaf that is held and that stays one; returns False, and does nothing, for others."""
        reconciler = self._reconciler
        if path in self._failures.struck or path in reconciler.contradictions.struck:
            return False
        held = reconciler.tree.get(path)
        if not isinstance(held, bytes) or held == UNREADABLE or child_count(record):
            return False
        if not reconciler.keeping.keeps_all:
            record = reconciler.keeping.record(path, record)
        if held != record:
            held_origin, held_change, held_version = history_of(held)
            origin, change, version = history_of(record)
            if held_origin != origin:
                return False
            if version >= held_version:
                reconciler.renew(path, held, record, held_change != change)
        return True
