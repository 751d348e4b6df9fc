"""Comparison: compares answers to an audit's requests with the tree, and keeps the looks that are not settled yet."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from exporter.treecache.agenda import Agenda
from exporter.treecache.findings import ENOUGH, UNREPORTED, Findings
from exporter.treecache.looks import Look, Round
from exporter.treecache.outcome import Outbox
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.sent import InFlight
from exporter.treecache.stats import SKIP_REASONS
from exporter.treecache.tree import Branch
from exporter.treecache.unchanged import differing
from exporter.treecache.unrest import Unrest
from exporter.zookeeper.capabilities import UNREADABLE_CODES
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.wire import (
    NO_NODE,
    OK,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    ReadResult,
)

#: How often a look is put off.
_TRIES = 3
#: How many znodes that changed without an event are read together, about.
_TOGETHER = 512


class Comparison:
    """Compares the znodes that an `Audit` looks at with the tree, and counts.

    Args:
        prefix: the server's path of the root, which precedes relative paths.
        reconciler: has the tree and its scope.
        agenda: the paths that wait to be read.
        in_flight: the requests sent and not yet answered.
        outbox: takes answers that cannot be decoded.
    """

    def __init__(
        self,
        prefix: str,
        reconciler: Reconciler,
        agenda: Agenda,
        in_flight: InFlight,
        outbox: Outbox,
    ) -> None:
        #: How many znodes were compared, and how many were skipped.
        self.audited_nodes = 0
        self.skipped = dict.fromkeys(SKIP_REASONS, 0)
        self.findings = Findings(prefix, reconciler)
        self.unrest = Unrest(agenda, in_flight, reconciler.tree)
        #: The requests that are not answered yet, with their rounds.
        self.requests: dict[ReadRequest, Round] = {}
        #: Looks that were put off, and second looks; they survive a reconnect.
        self.later: dict[str, Look] = {}
        #: Paths that have become unreadable.
        self.closed: set[str] = set()
        self._reconciler = reconciler
        self._agenda = agenda
        self._outbox = outbox
        #: Looks under way, at records and at lists of children.
        self._reading: dict[str, Look] = {}
        self._listing: dict[str, Look] = {}
        #: Znodes that changed without an event, to be read when no look needs their copies unchanged.
        self._unreported: set[str] = set()

    # Looks

    def is_under_way(self, path: str) -> bool:
        """Whether a look at a path is under way, but for first looks at leaves."""
        return path in self._reading or path in self._listing

    def looked_at(self) -> Iterator[str]:
        """The paths at which a look is wanted or under way, but for first looks at leaves."""
        return chain(self.later, self._reading, self._listing)

    @property
    def has_enough(self) -> bool:
        """Whether so many znodes differ that the others do not matter."""
        return self.findings.found + self._second_looks >= ENOUGH

    @property
    def has_much_to_read(self) -> bool:
        """Whether many znodes changed without an event, so that they should be read before others are looked at."""
        return len(self._unreported) >= _TOGETHER

    def begin(self, round_: Round, requests: Sequence[ReadRequest]) -> None:
        """Notes that the requests of a round are sent."""
        if not requests:
            return
        round_.requests.update(requests)
        self.unrest.begin(round_.touched)
        self.requests.update(dict.fromkeys(requests, round_))
        self._reading.update(round_.looks)
        self._listing.update((path, round_.looks[path]) for path in round_.lists)

    def break_off(self) -> None:
        """Ignores the answers under way, and wants their looks again."""
        for request, round_ in self.requests.items():
            self.unrest.end(round_.touched)
            if request in round_.requests:
                self.later.update((path, Look()) for path in request.reads if path not in self._reading)
        self.requests.clear()
        self.later.update(self._reading)
        self.later.update(self._listing)
        self._reading.clear()
        self._listing.clear()
        self.closed.clear()

    def put_off(self, path: str, look: Look, reason: str) -> None:
        """Wants a look again, or skips it for this reason if it was put off too often."""
        look.tries += 1
        if look.tries <= _TRIES:
            self.later[path] = look
        else:
            self.skip(look, reason)

    def skip(self, look: Look, reason: str) -> None:
        """Counts a znode that is not compared."""
        self.skipped[reason] += not look.is_counted or look.is_second

    @property
    def _second_looks(self) -> int:
        looks = chain(self.later.values(), self._reading.values(), self._listing.values())
        return sum(look.is_second for look in looks)

    def read_unreported(self) -> None:
        """Has znodes read that changed without an event, unless other looks need their copies unchanged."""
        if self._unreported and not self.requests and not self._second_looks:
            self._agenda.want_reads(self._unreported, False)
            self._unreported = set()

    # Answers

    def take_answer(self, reply: Reply, request: ReadRequest) -> None:
        """Compares an answer; one that cannot be decoded is left to the next audit."""
        if request not in self.requests:
            return
        try:
            if isinstance(request, MultiRead) and reply.error == OK:
                odd = self._differing_leaves(request, reply.body, reply.offset)
                if odd is None:
                    self._answered(request, request.decode(reply.body, reply.offset))
                else:
                    self._leaves_answered(request, odd)
            elif isinstance(request, GetChildren) and reply.error == OK:
                names, _ = request.decode(reply.body, reply.offset)
                self._compare_names(request.lists[0], names, self.requests[request])
            elif isinstance(request, GetData):
                self._answered(request, [reply.error or request.decode(reply.body, reply.offset)])
        except (struct.error, ValueError) as error:
            self._outbox.fault("request", error)
            self._outbox.distrusts.append("bad_reply")
        self.over(request)

    def _differing_leaves(
        self, request: MultiRead, body: bytes, offset: int
    ) -> Sequence[tuple[str, ReadResult]] | None:
        """Which leaves differ at their first look; None if the answer must be taken apart to tell."""
        looks = self.requests[request].looks
        if not self._reconciler.keeping.keeps_all or (looks and not looks.keys().isdisjoint(request.reads)):
            return None
        return differing(self._reconciler.tree, request, body, offset)

    def _leaves_answered(self, request: ReadRequest, odd: Sequence[tuple[str, ReadResult]]) -> None:
        """Compares those that differ one by one; the others are right at the first look, unless they were touched."""
        round_ = self.requests[request]
        round_.requests.discard(request)
        others = {path for path, _ in odd}
        touched = {path for path in request.reads if path in round_.touched} - others if round_.touched else set()
        others |= touched
        self._are_right(len(request.reads) - len(others), (path for path in request.reads if path not in others))
        for path in touched:
            self.put_off(path, Look(), "changing")
        for path, result in odd:
            self._compare(path, Look(), result, round_)

    def _answered(self, request: ReadRequest, results: Sequence[ReadResult]) -> None:
        """Compares the answers to a request: the record of each path read, the record and names of each path listed."""
        round_, paths = self.requests[request], list(request.reads)
        round_.requests.discard(request)
        differ = set(self._reconciler.tree.differing(paths, self._reconciler.keeping.results(paths, list(results))))
        right: list[str] = []
        for at, (path, result) in enumerate(zip(paths, results, strict=False)):
            look = self._reading.pop(path, None)
            if look is None and at not in differ and path not in round_.touched:
                right.append(path)
            else:
                self._compare(path, look or Look(), result, round_)
        self._are_right(len(right), right)
        answers = iter(results[len(paths) :])
        for path, record, names in zip(request.lists, answers, answers, strict=True):
            look = self._reading.pop(path, None)
            if look is not None:
                self._compare(path, look, record, round_)
            if isinstance(names, list):
                self._compare_names(path, names, round_)

    def _are_right(self, number: int, paths: Iterable[str]) -> None:
        """Counts leaves that are right at the first look."""
        self.findings.are_right(paths)
        self.audited_nodes += number

    def over(self, request: ReadRequest) -> None:
        """A request is over; paths that it did not answer are looked at again."""
        round_ = self.requests.pop(request, None)
        if round_ is None:
            return
        unanswered: list[tuple[str, Look]] = []
        if request in round_.requests:
            read = (*request.reads, *request.lists) if isinstance(request, MultiRead) else request.reads
            unanswered += [(path, self._reading.pop(path, Look())) for path in read]
        unanswered += [(path, self._listing.pop(path)) for path in request.lists if path in self._listing]
        for path, look in unanswered:
            if path not in self.later:
                self.put_off(path, look, "failed")
        round_.requests.discard(request)
        if not round_.requests:
            self.unrest.end(round_.touched)
        self.read_unreported()

    def _compare(self, path: str, look: Look, result: ReadResult, round_: Round) -> None:
        if self.unrest.concerns(path, round_.touched):
            self.put_off(path, look, "changing")
        elif isinstance(result, int) and result not in (NO_NODE, *UNREADABLE_CODES):
            self.put_off(path, look, "failed")
        else:
            self._judge(path, look, result)

    def _judge(self, path: str, look: Look, result: ReadResult) -> None:
        difference = self.findings.difference(path, result)
        if difference == UNREPORTED:
            self._unreported.add(path)
            if result in UNREADABLE_CODES:
                self.closed.add(path)
        elif difference is not None and not look.is_second:
            look.is_second = True
            look.tries = 0
            self.later[path] = look
            return
        elif difference is not None:
            self.findings.count(path, difference)
        elif not look.lists:
            self.findings.are_right((path,))
        if not look.is_counted:
            look.is_counted = True
            if result in UNREADABLE_CODES:
                self.skipped["unreadable"] += 1
            else:
                self.audited_nodes += 1

    def _compare_names(self, path: str, names: list[str], round_: Round) -> None:
        look = self._listing.pop(path, None)
        entry = self._reconciler.tree.get(path)
        if look is None or entry is None:
            return
        if self.unrest.concerns(path, round_.touched):
            if path not in self.later:
                self.put_off(path, look, "changing")
            return
        scope = self._reconciler.scope
        all_count = path and not scope.may_leave_out_children(path)
        if all_count and isinstance(entry, Branch) and entry.children.keys() == set(names):
            return
        wanted = scope.children(path, names)
        there = set(wanted)
        held = {f"{path}/{name}" for name in entry.children} if isinstance(entry, Branch) else set()
        touched = round_.touched
        dirty = self.unrest.unsettled() | touched.reads | touched.lists if there != held else set()
        for child in there ^ held:
            if len(self.later) >= ENOUGH:
                break
            if child not in dirty:
                self.later.setdefault(child, Look(is_second=True))
        if path or scope.others(names, wanted) == self._reconciler.others:
            return
        # The names of the root's children in other shards are not the known ones.
        if look.lists:
            self.findings.count("", "stale")
        else:
            self.later.setdefault("", Look(is_second=True, lists=True))
