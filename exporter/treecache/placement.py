"""Placement: which thread takes a turn of the engine.

A refresh is short, and who waits for it waits for each change of threads. So the thread that has read the messages from
the connection takes that turn itself, and sends what follows at once. Everything that may take longer is left to the
engine's own thread: loads, resyncs, audits, large batches and what timers bring. So pings and the replies to other
users of the client wait for a short turn at most.
"""

from __future__ import annotations

from collections.abc import Collection

from exporter.treecache.replica import Replica
from exporter.zookeeper.messages import Barrier, Reply, WatchEvent
from exporter.zookeeper.wire import ReadRequest

#: The most messages of a short turn, and the most operations of a request whose answer is applied in it.
SHORT = 64
#: The most bytes of such an answer.
SHORT_BYTES = 16 * 1024

#: Messages that arrive from the server, on the connection's thread.
ARRIVING = (WatchEvent, Reply, Barrier)


def is_short(replica: Replica, messages: Collection[object], now: float) -> bool:
    """Whether the turn that applies these messages is short; `now` is a monotonic time in seconds."""
    if not replica.is_in_sync or len(messages) > SHORT:
        return False
    due_at = replica.wake_at
    return (due_at is None or now < due_at) and all(map(_is_small, messages))


def _is_small(message: object) -> bool:
    if not isinstance(message, Reply):
        return isinstance(message, ARRIVING)
    request = message.request
    operations = request.operations if isinstance(request, ReadRequest) else 1
    return operations <= SHORT and len(message.body) <= SHORT_BYTES
