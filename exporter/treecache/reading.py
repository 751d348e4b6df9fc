"""Reading: everything that decides when something is read, and how much at once.

**Latency against batching.** A change is to be in the cache at once; but each request costs the client and the ensemble
about as much as a dozen of the operations in it, and a server commits no write while it works on a MultiRead. So a
change that comes alone leads to a request of its own without any delay; changes that come faster are read together, and
only a stream of them waits, for milliseconds. On its way a change passes these decisions, in this order:

1. *Waking the thread that reads the connection* (`exporter.zookeeper.moderation`): while events come faster than 1,250
   a second, they gather for 2 ms in the socket, unless somebody else's reply is waited for.
2. *Waking the engine* (`GATHERED`): while an answer is under way, or the moment to send has not come, an event would
   only be noted. So it wakes the engine only when 256 of them wait.
3. *Pace* (`Pace`): more than 2,000 changes a second are a stream, until there are less than 800. A stream is followed
   by a refresh each 5 ms.
4. *Window and company* (`window` of the options, `WORTHWHILE`): at most so many bulk requests are in flight. While one
   is, fewer than 64 paths wait for its answer, so that those which follow may leave with them; a load does not wait.
5. *Batch size* (`BatchSize`): begins at 64 operations and doubles with each batch that is at least half full, up to
   ``batch_size``; there are less where paths or answers are long.
6. *Rate limit* (`RateLimit`): at most so many znodes a second, where that was asked for; a tenth of a second's worth
   may be saved up.
7. *Audits* (`AUDITED`, `AUDIT_BYTES`) read beside all this in requests so small that they hold up no refresh.

The classic strategy reads each znode by a request of its own: of the above, 4 and 5 become `SINGLE_WINDOW`.

What that comes to (bench/README.md says how it was measured, on 2 cores): a load of 100,101 znodes takes 0.41 s and 116
requests, of which kazoo makes 200,200. At 500 updates a second, which are no stream, half of the changes of a tree of
10,001 znodes reach a listener within 1.12 ms (kazoo: 1.17), and 99 % within 3.0 ms (kazoo: 5.0). After 20,000 updates
as fast as they go, the cache has the last one 17 ms later. Letting events gather in the socket, together with counting
refreshes in one go, took the processor time of an update from 42 to 33 us.
"""

from __future__ import annotations

from exporter.zookeeper.capabilities import REQUEST_BYTES
from exporter.zookeeper.wire import READ_OVERHEAD

#: Events that wake the engine although it would only note them.
GATHERED = 256
#: So many paths are not kept waiting for others to join them.
WORTHWHILE = 64
#: The most operations that one audit's bulk request has: few enough to hold up no refresh.
AUDITED = 128
#: Bytes that one round of an audit may take, of its requests and of their answers.
AUDIT_BYTES = 512 * 1024

#: The most single requests in flight: enough to hide the way to the server, few enough to leave it to others as well.
SINGLE_WINDOW = 256
#: Those of an audit: few enough to hold up no refresh.
SINGLE_AUDITED = 16
#: The most bytes that the path of each single request has, on average.
SINGLE_PATH_BYTES = 1024


class Pace:
    """When the next refresh may leave: at once while changes are few, after a moment while they stream in.

    Times are monotonic seconds, given by the caller.
    """

    #: Seconds between refreshes of a stream.
    _INTERVAL = 0.005
    #: Changes in a second that make a stream, those that keep it one, and the seconds over which they are counted: a
    #: short burst is followed at once, and a short lull ends nothing.
    _STREAM = 2000.0
    _STILL_STREAM = 800.0
    _WINDOW = 0.010

    def __init__(self) -> None:
        self._noted = 0
        self._counting_since = float("-inf")
        self._streaming = False
        self._due_at = float("-inf")

    @property
    def due_at(self) -> float:
        """When the next refresh may leave."""
        return self._due_at

    def note(self) -> None:
        """Notes a change, which the next refresh will follow."""
        self._noted += 1

    def sent(self, now: float) -> None:
        """Notes that a refresh left."""
        counted_for = now - self._counting_since
        if counted_for >= self._WINDOW:
            limit = self._STILL_STREAM if self._streaming else self._STREAM
            self._streaming = self._noted > counted_for * limit
            self._noted = 0
            self._counting_since = now
        self._due_at = now + self._INTERVAL if self._streaming else now


class RateLimit:
    """How many znodes may be read now. A token bucket. Times are monotonic seconds, given by the caller.

    Args:
        per_second: the rate; None for no limit.
    """

    #: Seconds' worth of reads that may be saved up while there is nothing to read.
    _BURST = 0.1

    def __init__(self, per_second: float | None) -> None:
        self._rate = per_second
        self._capacity = 0.0 if per_second is None else max(1.0, per_second * self._BURST)
        self._saved = self._capacity
        self._counted_at: float | None = None

    def allowance(self, now: float) -> int | None:
        """How many reads may be sent now; None for any number."""
        if self._rate is None:
            return None
        if self._counted_at is not None:
            self._saved = min(self._capacity, self._saved + (now - self._counted_at) * self._rate)
        self._counted_at = now
        # What was saved up until `next_at` may fall short of a whole read by a rounding error.
        return max(0, int(self._saved + 1e-6))

    def spend(self, reads: int) -> None:
        """Notes that so many reads were sent."""
        self._saved -= reads

    def next_at(self, now: float) -> float:
        """When the next read may be sent."""
        return now if self._rate is None else now + max(0.0, 1.0 - self._saved) / self._rate


class BatchSize:
    """How much one MultiRead may ask for, learnt from the answers: up to `ceiling` operations.

    A server answers with a reply of any size, and drops a connection that sends it more than ``jute.maxbuffer`` (1 MiB
    by default, less where somebody said so). So batches start small, grow while answers stay small, and are bounded in
    operations, in the bytes of the request and in the bytes expected back.
    """

    _FIRST_SIZE = 64
    #: What a request has besides its paths.
    _FRAME_BYTES = 64
    #: How much of the learnt size of an answer each new batch replaces.
    _WEIGHT = 0.5

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._size = min(self._FIRST_SIZE, ceiling)
        self._answer_bytes = 1024.0
        self._request_bytes = REQUEST_BYTES

    def limit(self, request_bytes: int) -> None:
        """Bounds the length of requests, see `exporter.zookeeper.capabilities`."""
        self._request_bytes = request_bytes

    def room(self, prefix: int, allowance: int | None = None) -> Room:
        """An empty batch to fill with paths that all have so many bytes before them, `allowance` of them at most."""
        size = self._size if allowance is None else min(self._size, allowance)
        return Room(size, self._answer_bytes, prefix + READ_OVERHEAD, self._request_bytes - self._FRAME_BYTES)

    def takes(self, prefix: int, operations: int, size: int) -> bool:
        """Whether one request may hold so many operations, on paths of `size` bytes and the prefix before each."""
        return size + operations * (prefix + READ_OVERHEAD) + self._FRAME_BYTES <= self._request_bytes

    def answered(self, operations: int, size: int) -> None:
        """Learns from the bytes that so many operations brought back."""
        self._answer_bytes += self._WEIGHT * (size / operations - self._answer_bytes)
        if operations >= self._size // 2:
            self._size = min(2 * self._size, self._ceiling)


class Room:
    """What is left of one batch's bounds. The first operation always fits."""

    #: Bytes that an answer may have, and that a child's name is expected to have in it.
    _REPLY_BYTES = 1024 * 1024
    _NAME_BYTES = 24

    def __init__(self, operations: int, answer_bytes: float, overhead: int, request_bytes: int) -> None:
        self._operations = operations
        self._request_bytes = request_bytes
        self._reply_bytes: float = self._REPLY_BYTES
        self._answer_bytes = max(1.0, answer_bytes)
        self._overhead = overhead

    @property
    def operations(self) -> int:
        """How many more reads of common size fit."""
        if self._operations <= 0 or self._reply_bytes <= 0 or self._request_bytes <= 0:
            return 0
        fit = min(self._operations, self._reply_bytes / self._answer_bytes, self._request_bytes / self._overhead)
        return max(1, int(fit))

    @property
    def bytes(self) -> int:
        """How many bytes of paths fit, with the `overhead` of each."""
        return self._request_bytes

    @property
    def overhead(self) -> int:
        """The bytes that each path takes besides itself."""
        return self._overhead

    def fits(self, operations: int, size: int, names: int = 0) -> bool:
        """Whether operations on paths of so many bytes have a place beside what is there.

        The names they may list are no reason against it, unless they fill an answer by themselves.
        """
        return (
            names * self._NAME_BYTES <= self._REPLY_BYTES and size + operations * self._overhead <= self._request_bytes
        )

    def take(self, operations: int, size: int, names: int = 0) -> None:
        """Uses room for operations on paths of so many bytes in all, and for the names they may list."""
        self._operations -= operations
        self._request_bytes -= size + operations * self._overhead
        self._reply_bytes -= operations * self._answer_bytes + names * self._NAME_BYTES
