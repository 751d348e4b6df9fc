"""BarrierRequest: one barrier on its way, and what its answer is worth."""

from __future__ import annotations

from typing import NamedTuple

from exporter.zookeeper.messages import Barrier, BarrierFailed, Message, Reply
from exporter.zookeeper.moments import Moment
from exporter.zookeeper.wire import OK, Check, Request, Sync


class BarrierRequest(NamedTuple):
    """A request whose answer comes after everything that was committed before the probe was made."""

    kind: str
    request: Request
    asked_at: Moment

    @classmethod
    def of_kind(cls, kind: str, path: str) -> BarrierRequest:
        """A probe to be sent now; any path on the server will do."""
        request: Request = Check(path) if kind == "quorum" else Sync(path)
        return cls(kind, request, Moment.now())

    def verdict(self, answer: Message) -> Barrier | BarrierFailed:
        """What the answer, or that there is none, says.

        An error of the operation inside of a multi is as good as success. One of the whole request is not: a server
        that throttles answers without having asked anyone.
        """
        if not isinstance(answer, Reply):
            return BarrierFailed(self.kind, None)
        if answer.error != OK:
            return BarrierFailed(self.kind, answer.error)
        return Barrier(self.kind, *self.asked_at, answer.zxid, answer.exemplar)
