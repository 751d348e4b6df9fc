"""Dispatch: sends the wanted reads, as `exporter.treecache.reading` allows, and knows the requests under way."""

from __future__ import annotations

import math

from exporter.treecache.agenda import NO_LOADS, Agenda, Loads
from exporter.treecache.audit import Audit
from exporter.treecache.freshness import Freshness
from exporter.treecache.outcome import Outbox
from exporter.treecache.reading import Pace, RateLimit
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.refreshing import Refreshing
from exporter.treecache.sent import AUDIT, NO_CAUSES, REFRESH, SYNC, InFlight, Sent
from exporter.treecache.strategies import Strategies
from exporter.treecache.timers import Timer, Timers
from exporter.zookeeper.wire import ReadRequest, Request

#: Stands for more reads than can be saved up.
_MANY = math.inf


class Dispatch:
    """Sends requests, and puts back those that must be repeated.

    Args:
        in_flight: the requests sent and not yet answered.
        agenda: the wanted reads.
        reconciler: has the tree, whose suspects are read again when it is at rest.
        strategies: turn wanted reads into requests.
        refreshing: knows the events that a read follows.
        freshness: its check waits for reads.
        audit: reads as well, if there is room.
        timers: may hold reads back.
        pace, rate: decide when the next read may leave.
        outbox: takes the requests to send.
    """

    def __init__(
        self,
        in_flight: InFlight,
        agenda: Agenda,
        reconciler: Reconciler,
        strategies: Strategies,
        refreshing: Refreshing,
        freshness: Freshness,
        audit: Audit,
        timers: Timers,
        pace: Pace,
        rate: RateLimit,
        outbox: Outbox,
    ) -> None:
        self._in_flight = in_flight
        self._agenda = agenda
        self._reconciler = reconciler
        self._strategies = strategies
        self._refreshing = refreshing
        self._freshness = freshness
        self._audit = audit
        self._timers = timers
        self._pace = pace
        self._rate = rate
        self._outbox = outbox
        #: Requests under way that set watches, while reads continue.
        self._arming: set[Request] = set()

    # Sending

    def send(self, request: Request, now: float, loads: Loads = NO_LOADS, purpose: str = SYNC) -> None:
        """Sends a request and waits for its answer."""
        causes = NO_CAUSES
        if purpose != AUDIT and isinstance(request, ReadRequest):
            causes = self._refreshing.take_causes(request)
            if causes and not self._reconciler.syncing:
                purpose = REFRESH
        sent = Sent(request, now, loads, purpose, causes)
        self._in_flight[request] = sent
        self._outbox.requests.append(sent)

    def fill_window(self, now: float) -> None:
        """Sends as many of the wanted reads as may leave now."""
        agenda, in_flight = self._agenda, self._in_flight
        agenda.ripen(now)
        self._reconciler.recheck_suspects(now, at_rest=not in_flight and not agenda)
        wanted = self._wanted
        if not wanted and not self._audit.is_running:
            return
        refreshing = wanted and agenda.loaded
        if refreshing and now < self._pace.due_at:
            self._timers.set(Timer.PACING, self._pace.due_at)
            return
        allowance = self._rate.allowance(now, wanted)
        if wanted and self._send_wanted(allowance, now) and refreshing:
            self._pace.sent(now)
        if self._audit.is_running:
            self._send_audit(now)
        if allowance is not None and not self.under_way:
            self._wait_for_the_rate(now)

    def _wait_for_the_rate(self, now: float) -> None:
        """Waits until wanted reads may leave; an audit alone holds nothing else back meanwhile."""
        if self._wanted:
            self._timers.set(Timer.RATE, self._rate.next_at(now, self._wanted))
        elif self._audit.is_running and not self._in_flight:
            self._audit.pause_until(self._rate.next_at(now, _MANY))

    def _send_wanted(self, allowance: int | None, now: float) -> bool:
        """Sends the wanted reads, as the strategy groups them; returns whether it sent any."""
        sent = False
        for request, loads, watches in self._strategies.current.requests(
            self._agenda, self.under_way, allowance, self._reconciler.children_of
        ):
            if watches:
                self._arming.update(watches)
                self._outbox.requests.extend(Sent(watch, now) for watch in watches)
            self._rate.spend(request.operations)
            self.send(request, now, loads)
            self._freshness.sent(request)
            sent = True
        return sent

    @property
    def under_way(self) -> int:
        """How many requests are under way besides an audit's, which are small: others do not wait for them."""
        return len(self._in_flight) - len(self._audit.comparison.requests)

    def _send_audit(self, now: float) -> None:
        """Sends an audit's next reads, if refreshes leave room."""
        strategy = self._strategies.current
        audited = len(self._audit.comparison.requests)
        room = strategy.audit_room(self.under_way, audited, self._rate.allowance(now, _MANY))
        if room > 0:
            for request in self._audit.next_requests(strategy.audits, room, now):
                self._rate.spend(request.operations)
                self.send(request, now, purpose=AUDIT)
        if self._agenda and not self._in_flight:
            # Reads that the audit requested at its end leave immediately.
            self._timers.set(Timer.PACING, now)

    @property
    def _wanted(self) -> float:
        """How many reads wait to be sent."""
        return _MANY if self._agenda.is_surveying else len(self._agenda)

    def disarm(self, now: float) -> None:
        """Removes watches that are no longer of use, once everything is read."""
        for request in self._strategies.current.disarm(self._is_wanted):
            self._outbox.requests.append(Sent(request, now))

    def _is_wanted(self, path: str) -> bool:
        """Whether the znode at a path is held, or may be soon."""
        return self._reconciler.tree.find(path) is not None or self._refreshing.is_wanted(path)

    # Requests under way

    def is_arming(self, request: Request) -> bool:
        """Whether a request sets a watch, while reads continue, and is not answered yet."""
        return request in self._arming

    def armed(self, request: Request) -> None:
        """A request that sets a watch was answered."""
        self._arming.discard(request)

    @property
    def outstanding_operations(self) -> int:
        """Operations sent and not yet answered. From any thread."""
        return self._in_flight.operations + len(self._arming)

    def take_back(self, request: Request) -> bool:
        """Makes the paths of a request wait again; returns False if nothing waits for the request any more."""
        sent = self._in_flight.pop(request, None)
        if sent is not None and isinstance(request, ReadRequest):
            self._freshness.begin_answer(request)
            self.put_back(request, sent)
            self._freshness.end_answer(request)
        return sent is not None

    def put_back(self, request: ReadRequest, sent: Sent) -> None:
        """Does the same for a request whose answer had no result."""
        if sent.purpose == AUDIT:
            self._audit.comparison.over(request)
            return
        self._agenda.put_back(request, sent.loads)
        self._refreshing.put_back(sent.causes)

    def abandon(self) -> None:
        """Takes back all requests under way."""
        for request in list(self._in_flight):
            self.take_back(request)
        self._arming.clear()
