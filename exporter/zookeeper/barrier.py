"""BarrierRequest: a barrier that was sent, and the meaning of its answer."""

from __future__ import annotations

from typing import NamedTuple

from exporter.zookeeper.messages import Barrier, BarrierFailed, Message, Reply
from exporter.zookeeper.moments import Moment
from exporter.zookeeper.wire import OK, Check, Request, Sync


class BarrierRequest(NamedTuple):
    """A request whose answer comes after everything that was committed before it was made."""

    kind: str
    request: Request
    asked_at: Moment

    @classmethod
    def of_kind(cls, kind: str, path: str) -> BarrierRequest:
        """A barrier to send now, of a kind of `BARRIERS`; any path on the server will do."""
        request: Request = Check(path) if kind == "quorum" else Sync(path)
        return cls(kind, request, Moment.now())

    def verdict(self, answer: Message) -> Barrier | BarrierFailed:
        """The result of the barrier, by its answer or the lack of one.

        An error of the operation inside the multi counts as success. An error of the whole request does not: a server
        that throttles replies without asking the quorum.
        """
        if not isinstance(answer, Reply):
            return BarrierFailed(self.kind, None)
        if answer.error != OK:
            return BarrierFailed(self.kind, answer.error)
        return Barrier(self.kind, *self.asked_at, answer.zxid, answer.exemplar)
