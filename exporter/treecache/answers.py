"""Answers: interprets the answer to a read. Results go to the reconciler; missing results are requested again."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from kazoo.exceptions import EXCEPTIONS, KazooException

from exporter.treecache.agenda import Agenda, Loads
from exporter.treecache.backoff import PERSISTENT, Backoff
from exporter.treecache.credibility import Credibility
from exporter.treecache.dispatch import Dispatch
from exporter.treecache.outcome import Outbox
from exporter.treecache.pauses import FIRST_DELAY, LONGEST_DELAY, Pauses
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.sent import Sent
from exporter.treecache.strategies import Strategies
from exporter.treecache.unchanged import differing
from exporter.zookeeper.capabilities import TOO_LONG, TOO_MUCH
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.paths import runs_of
from exporter.zookeeper.records import pzxid_of, version_of
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_AUTH,
    NO_NODE,
    OK,
    THROTTLED,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    ReadResult,
)


class Verdict(NamedTuple):
    """The outcome of applying an answer.

    Unless ``understood``, nothing was applied, and everything must be requested again after a pause.
    ``root_is_missing`` if the answer said so.
    """

    understood: bool
    root_is_missing: bool = False


_APPLIED, _NOT_UNDERSTOOD = Verdict(understood=True), Verdict(understood=False)
_ROOT_IS_MISSING = Verdict(understood=True, root_is_missing=True)
#: Why a read that exceeds the server's limits is not sent, by the code that stands for its answer.
_NOT_SENT = {
    TOO_LONG: "is longer than the server's jute.maxbuffer allows",
    TOO_MUCH: "has more data or children than fit into one reply",
}


class Answers:
    """Applies the answers to reads.

    Args:
        prefix: the server's path of the root, which precedes relative paths.
        reconciler: takes results and errors.
        agenda: takes paths to read again.
        strategies: learn from answers.
        credibility: compares watch events with the results.
        dispatch: puts back requests that must be repeated.
        pauses: decide when to send again.
        outbox: takes faults, and the reads that were applied.
    """

    def __init__(
        self,
        prefix: str,
        reconciler: Reconciler,
        agenda: Agenda,
        strategies: Strategies,
        credibility: Credibility,
        dispatch: Dispatch,
        pauses: Pauses,
        outbox: Outbox,
    ) -> None:
        self._prefix = prefix
        self._reconciler = reconciler
        self._agenda = agenda
        self._strategies = strategies
        self._credibility = credibility
        self._dispatch = dispatch
        self._pauses = pauses
        self._outbox = outbox
        #: Reads that failed, by path. Other failures are kept elsewhere, so that this is empty while no read fails and
        #: an answer, which settles its paths, has nothing to look up.
        self.failures = Backoff(FIRST_DELAY, LONGEST_DELAY)
        self._now = 0.0

    def take_in(self, reply: Reply, request: ReadRequest, sent: Sent, now: float) -> bool:
        """Applies an answer, or has its paths read again.

        Returns whether the answer shows no change although there was a watch event.
        """
        before = self._credibility.held_before(sent.causes)
        try:
            verdict = self.apply(reply, request, sent.loads, now)
        except (struct.error, ValueError) as error:
            self._outbox.distrusts.append("bad_reply")
            self._not_understood(request, sent, error, now)
            return False
        if not verdict.understood:
            self._not_understood(request, sent, error_with(reply.error, repr(request)), now)
            return False
        if self.failures:
            for path in (*request.reads, *request.lists):
                if path not in self._agenda:
                    self.failures.settled(path)
        strategy = self._strategies.current
        watch = strategy.missing_root() if verdict.root_is_missing else None
        if watch is not None:
            self._dispatch.send(watch, now)
        strategy.answered(request, len(reply.body))
        self._agenda.done(request, sent.loads)
        if not sent.causes:
            return False
        self._outbox.refreshed.append(sent if reply.exemplar is None else sent._replace(exemplar=reply.exemplar))
        return self._credibility.was_misled(sent.causes, before)

    def _not_understood(self, request: ReadRequest, sent: Sent, error: BaseException, now: float) -> None:
        self._dispatch.put_back(request, sent)
        self._pauses.after("read", now, error)

    def begin_anew(self) -> None:
        """Forgets failed reads: another server, or the same after a restart, may answer them."""
        self.failures.clear()
        self._reconciler.contradictions.clear()
        self._agenda.ripen(math.inf)

    def unsettled(self, now: float) -> int:
        """The number of unsettled znodes. From any thread."""
        return self.failures.unsettled(now) + self._reconciler.contradictions.unsettled(now)

    def apply(self, reply: Reply, request: ReadRequest, loads: Loads, now: float) -> Verdict:
        """Applies an answer; `now` is the present.

        Raises:
            struct.error, ValueError: it cannot be decoded; nothing was applied.
        """
        self._now = now
        if reply.error == THROTTLED or (isinstance(request, MultiRead) and reply.error != OK):
            return _NOT_UNDERSTOOD
        if not isinstance(request, MultiRead):
            return self._apply_single(reply, request, loads)
        # Of a resync, most is as it was.
        may_be_unchanged = loads.everything and self._reconciler.keeping.keeps_all
        tree, body, offset = self._reconciler.tree, reply.body, reply.offset
        odd = differing(tree, request, body, offset) if may_be_unchanged else None
        if odd is None:
            return self._apply_multi_read(request, request.decode(body, offset), loads)
        self._reconciler.suspect_parents(request.reads)
        return _together([self._apply_read(path, result, True) for path, result in odd])

    def _apply_single(self, reply: Reply, request: ReadRequest, loads: Loads) -> Verdict:
        path = (*request.reads, *request.lists)[0]
        load = path in loads
        if isinstance(request, Exists) and reply.error in (OK, NO_NODE):
            if reply.error == OK:
                # One answer says that it exists, the next that it does not: do not repeat the read without a delay.
                self._reconciler.read_again(path, load, self._now, evidence=reply.body[reply.offset :])
        elif reply.error != OK:
            return self._apply_error(path, reply.error, load, listed=isinstance(request, GetChildren))
        elif isinstance(request, GetChildren):
            names, stat = request.decode(reply.body, reply.offset)
            self._reconciler.apply_names(path, pzxid_of(stat), names, load)
            if self._reconciler.is_older(path, stat):
                # The znode is unknown, or a child came or went between the read and the list, before its watch was set.
                self._reconciler.read_again(path, load, self._now, evidence=version_of(stat))
        elif isinstance(request, GetData):
            self._reconciler.apply_record(path, request.decode(reply.body, reply.offset), load)
        return _APPLIED

    def _apply_multi_read(self, request: MultiRead, results: list[ReadResult], loads: Loads) -> Verdict:
        reads, reconciler = request.reads, self._reconciler
        verdicts: list[Verdict] = []
        results = reconciler.keeping.results(reads, results)
        if loads.everything or loads.count > 0:
            start = 0
            for run in runs_of(reads):
                answered = results[start : start + len(run.names)]
                start += len(answered)
                for position in reconciler.apply_run(run, answered, loads):
                    path = run.stem + run.names[position]
                    verdicts.append(self._apply_read(path, answered[position], path in loads))
        else:
            # Paths of events are mostly known and have changed: one by one is faster for them.
            verdicts += [self._apply_read(path, result, False) for path, result in zip(reads, results, strict=False)]
        answers = iter(results[len(reads) :])
        for path, result, names in zip(request.lists, answers, answers, strict=True):
            load = path in loads
            if isinstance(result, bytes) and isinstance(names, list):
                reconciler.apply_record(path, result, load, listed=True)
                reconciler.apply_names(path, pzxid_of(result), names, load)
            else:
                error = result if isinstance(result, int) else names
                verdicts.append(self._apply_error(path, error, load, listed=True))
        return _together(verdicts)

    def _apply_read(self, path: str, result: ReadResult, load: bool) -> Verdict:
        """Applies the result of reading one znode."""
        if not isinstance(result, bytes):
            return self._apply_error(path, result, load)
        self._reconciler.apply_record(path, result, load)
        return _APPLIED

    def _apply_error(self, path: str, result: ReadResult, load: bool, listed: bool = False) -> Verdict:
        """Applies an error code in place of a record or a list."""
        if result == NO_NODE:
            self._reconciler.remove(path)
            return _APPLIED if path else _ROOT_IS_MISSING
        if result == NO_AUTH:
            self._reconciler.hide(path, load)
            return _APPLIED
        if isinstance(result, int) and result in _NOT_SENT:
            self._reconciler.leave_out(path, load, _NOT_SENT[result])
            return _APPLIED
        strike = self.failures.strike(path, self._now)
        if strike.number in (1, PERSISTENT):
            code = result if isinstance(result, int) else MARSHALLING_ERROR
            error = error_with(code, f"reading {self._prefix + path or '/'}")
            self._outbox.fault("request" if strike.number == 1 else "unsettled", error)
        self._agenda.put_off(path, load, strike.due_at, listed=listed)
        return _APPLIED


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict about an answer, of which each part was applied."""
    return _ROOT_IS_MISSING if _ROOT_IS_MISSING in verdicts else _APPLIED


def error_with(code: int, doing: str) -> Exception:
    """kazoo's exception for an error code of the server."""
    kind = EXCEPTIONS.get(code, KazooException)
    problem = f": the path {_NOT_SENT[code]}" if code in _NOT_SENT else f" with error {code}"
    error: Exception = kind(f"{doing} failed{problem}")
    return error
