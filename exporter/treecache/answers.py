"""Answers: what the answer to a read means, and handing it on to the reconciler."""

from __future__ import annotations

from typing import NamedTuple

from kazoo.exceptions import EXCEPTIONS, KazooException

from exporter.treecache.agenda import Agenda, Loads
from exporter.treecache.outcome import Fault
from exporter.treecache.reconciler import Reconciler
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.records import pzxid_of
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_AUTH,
    NO_NODE,
    OK,
    TOO_LONG,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    ReadResult,
)


class Verdict(NamedTuple):
    """What an answer amounts to.

    Unless ``understood``, nothing of it was applied and all of it is to be asked for again. With ``troubles``, a part
    waits to be asked for again, and better not at once. ``root_is_missing`` where it said so.
    """

    understood: bool
    troubles: bool = False
    root_is_missing: bool = False


_NOT_UNDERSTOOD = Verdict(understood=False)


class Answers:
    """Applies the answers to reads.

    Args:
        prefix: what stands before a relative path on the server.
        reconciler: takes over what was read, and what went wrong.
        agenda: where what is to be asked for again waits.
    """

    def __init__(self, prefix: str, reconciler: Reconciler, agenda: Agenda) -> None:
        self._prefix = prefix
        self._reconciler = reconciler
        self._agenda = agenda

    def apply(self, reply: Reply, request: ReadRequest, loads: Loads) -> Verdict:
        """Applies an answer.

        Raises:
            struct.error, ValueError: it cannot be decoded, and nothing of it was applied.
        """
        answers_for_itself = (OK,) if isinstance(request, MultiRead) else (OK, NO_NODE, NO_AUTH)
        if reply.error not in answers_for_itself:
            self._fault(reply.error, repr(request))
            return _NOT_UNDERSTOOD
        if isinstance(request, MultiRead):
            return self._apply_multi_read(request, request.decode(reply.body, reply.offset), loads)
        return self._apply_single(reply, request, loads)

    def _apply_single(self, reply: Reply, request: ReadRequest, loads: Loads) -> Verdict:
        path = (*request.reads, *request.lists)[0]
        load = path in loads
        if isinstance(request, Exists):
            if reply.error != NO_NODE:
                self._agenda.want_reads((path,), load)
        elif reply.error != OK:
            return self._apply_error(path, reply.error, load)
        elif isinstance(request, GetChildren):
            names, stat = request.decode(reply.body, reply.offset)
            self._reconciler.apply_names(path, pzxid_of(stat), names, load)
            if self._reconciler.is_older(path, stat):
                # It is not known at all, or a child came or went between the read and the list, before there was a
                # watch to tell of it.
                self._agenda.want_reads((path,), load)
        elif isinstance(request, GetData):
            self._reconciler.apply_record(path, request.decode(reply.body, reply.offset), load)
        return Verdict(understood=True)

    def _apply_multi_read(self, request: MultiRead, results: list[ReadResult], loads: Loads) -> Verdict:
        reads, reconciler = request.reads, self._reconciler
        verdicts: list[Verdict] = []
        results = reconciler.kept(results)
        # What an event led to has news, and is known as a rule: one by one is quicker then.
        in_runs = loads.everything or loads.count > 0
        position = reconciler.apply_run(reads, results, 0, loads) if in_runs else 0
        while position < len(reads):
            path, result = reads[position], results[position]
            if isinstance(result, bytes):
                reconciler.apply_record(path, result, path in loads)
            else:
                verdicts.append(self._apply_error(path, result, path in loads))
            position += 1
            if in_runs:
                position = reconciler.apply_run(reads, results, position, loads)
        answers = iter(results[len(request.reads) :])
        for path, result, names in zip(request.lists, answers, answers, strict=True):
            load = path in loads
            if isinstance(result, bytes) and isinstance(names, list):
                reconciler.apply_record(path, result, load, listed=True)
                reconciler.apply_names(path, pzxid_of(result), names, load)
            else:
                error = result if isinstance(result, int) else names
                verdicts.append(self._apply_error(path, error, load, listed=True))
        return Verdict(
            understood=True,
            troubles=any(verdict.troubles for verdict in verdicts),
            root_is_missing=any(verdict.root_is_missing for verdict in verdicts),
        )

    def _apply_error(self, path: str, result: ReadResult, load: bool, listed: bool = False) -> Verdict:
        """Applies what came in place of a record or a list."""
        if result == NO_NODE:
            self._reconciler.remove(path)
            return Verdict(understood=True, root_is_missing=not path)
        if result == NO_AUTH:
            self._reconciler.hide(path, load)
            return Verdict(understood=True)
        if result == TOO_LONG:
            self._reconciler.hide_too_long(path, load)
            return Verdict(understood=True)
        self._fault(result if isinstance(result, int) else MARSHALLING_ERROR, f"reading {self._prefix + path or '/'}")
        if listed:
            self._agenda.want_list(path, load)
        else:
            self._agenda.want_reads((path,), load)
        return Verdict(understood=True, troubles=True)

    def _fault(self, code: int, doing: str) -> None:
        self._reconciler.faults.append(Fault("request", error_with(code, doing)))


def error_with(code: int, doing: str) -> Exception:
    """kazoo's exception for an error code of the server."""
    kind = EXCEPTIONS.get(code, KazooException)
    error: Exception = kind(f"{doing} failed with error {code}")
    return error
