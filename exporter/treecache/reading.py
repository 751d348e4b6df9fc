"""Reading: everything that decides when znodes are read, and how many at once.

**Latency against batching.** A change should be in the cache immediately; but a request costs the client and the
ensemble about as much as a dozen of its operations, and a server commits no write while it works on a MultiRead. So a
single change is read immediately, by its own request; changes that come faster are read together, and only a stream of
them waits, for milliseconds. A change passes these decisions, in this order:

1. *Waking the thread that reads the connection* (`exporter.zookeeper.moderation`): while events come faster than 1,250
   a second, they gather for 2 ms in the socket, unless another request of the client waits for its reply.
2. *Waking the engine* (`GATHERED`): while an answer is under way, or the time to send has not come, the engine would
   only note an event. So events wake it only when 256 of them wait. A short turn wakes no thread: the thread that reads
   the connection takes it (`exporter.treecache.placement`).
3. *Pace* (`Pace`): more than 2,000 changes a second are a stream, until there are fewer than 800. A stream gets
   a refresh each 5 ms.
4. *Window and company* (`window` of the options, `WORTHWHILE`): at most `window` bulk requests are outstanding, besides
   those of an audit. While one is, fewer than 64 paths wait for its answer, so that later ones may join them; a load
   does not wait.
5. *Batch size* (`BatchSize`): starts at 64 operations and doubles with each batch that is at least half full, up to
   ``batch_size``; batches are smaller if paths or answers are long, or if lists have many names.
6. *Rate limit* (`RateLimit`): at most ``max_nodes_per_second``, if set; unused reads of a tenth of a second may be
   saved up. While many wait, none leaves before half of that is saved up.
7. *Audits* (`AUDITED`, `AUDIT_BYTES`) read in small requests, as many at once as the window has room for. A refresh
   does not wait for their answers, but the server executes them first.

The classic strategy reads each znode by its own request: of the above, 4 and 5 become `SINGLE_WINDOW`.

A change of a leaf that comes alone, while nothing else goes on, passes 3 and is read without the rest
(`exporter.treecache.shortcut`).

Measured on 2 cores (bench/README.md says how): a load of 100,101 znodes takes 0.25 s and 141 requests (kazoo's cache:
200,205 requests). At 500 updates a second, which are no stream, half of the changes of a tree of 10,001 znodes reach a
listener within 0.91 ms (kazoo: 1.02), and 99 % within 1.56 ms (kazoo: 1.85). After 20,000 updates at full speed, the
cache has the last one 21 ms later. Letting events gather in the socket, together with observing refreshes in bulk,
reduced the processor time of an update from 42 to 33 us.
"""

from __future__ import annotations

from exporter.zookeeper.capabilities import REQUEST_BYTES
from exporter.zookeeper.wire import READ_OVERHEAD

#: The number of waiting events that wakes the engine although it would only note them.
GATHERED = 256
#: This many paths do not wait for others to join them.
WORTHWHILE = 64
#: The maximum number of operations in an audit's bulk request: few enough to delay no refresh for long.
AUDITED = 128
#: The maximum number of bytes of the requests and the answers that an audit has outstanding, about.
AUDIT_BYTES = 512 * 1024

#: The maximum number of bytes of an answer that is applied on the connection's thread.
SHORT_BYTES = 16 * 1024

#: The maximum number of outstanding single requests: enough to hide the round trip, few enough to let other requests
#: pass.
SINGLE_WINDOW = 256
#: The maximum number of outstanding single requests of an audit: few enough to delay no refresh.
SINGLE_AUDITED = 16
#: The maximum number of bytes of a single request's path, on average.
SINGLE_PATH_BYTES = 1024


class Pace:
    """When the next refresh may leave: immediately while changes are few, after a moment during a stream of them.

    Callers pass monotonic seconds.
    """

    #: Seconds between refreshes of a stream.
    _INTERVAL = 0.005
    #: Changes a second that start a stream, changes a second that sustain it, and the seconds over which they are
    #: counted: a short burst is read immediately, and a short lull ends no stream.
    _STREAM = 2000.0
    _STILL_STREAM = 800.0
    _WINDOW = 0.010

    def __init__(self) -> None:
        self._noted = 0
        self._counting_since = float("-inf")
        self._streaming = False
        #: When the next refresh may leave.
        self.due_at = float("-inf")

    def note(self) -> None:
        """Notes a change that the next refresh will read."""
        self._noted += 1

    def sent(self, now: float) -> None:
        """Notes that a refresh left."""
        counted_for = now - self._counting_since
        if counted_for >= self._WINDOW:
            limit = self._STILL_STREAM if self._streaming else self._STREAM
            self._streaming = self._noted > counted_for * limit
            self._noted = 0
            self._counting_since = now
        self.due_at = now + self._INTERVAL if self._streaming else now


class RateLimit:
    """How many znodes may be read now, by a token bucket. Callers pass monotonic seconds.

    While many wait, none leaves before half of the bucket is saved up: small requests cost far more.

    Args:
        per_second: the rate; None for no limit.
    """

    #: For how many seconds unused reads are saved up.
    _BURST = 0.1

    def __init__(self, per_second: float | None) -> None:
        self._rate = per_second
        self._capacity = 0.0 if per_second is None else max(1.0, per_second * self._BURST)
        self._saved = self._capacity
        self._counted_at: float | None = None

    def allowance(self, now: float, wanted: float = 1) -> int | None:
        """How many reads may be sent now, while `wanted` wait; None for any number."""
        if self._rate is None:
            return None
        if self._counted_at is not None:
            self._saved = min(self._capacity, self._saved + (now - self._counted_at) * self._rate)
        self._counted_at = now
        # At `next_at`, a rounding error may leave the saved reads just below a whole one.
        saved = int(self._saved + 1e-6)
        return saved if saved >= self._least(wanted) else 0

    def spend(self, reads: int) -> None:
        """Notes that reads were sent."""
        self._saved -= reads

    def next_at(self, now: float, wanted: float = 1) -> float:
        """When the next reads may be sent, while `wanted` wait."""
        return now if self._rate is None else now + max(0.0, self._least(wanted) - self._saved) / self._rate

    def _least(self, wanted: float) -> int:
        """How many must be saved up before any is sent."""
        return int(max(1, min(wanted, self._capacity / 2)))


class BatchSize:
    """How many operations one MultiRead may have, learnt from the answers: at most `ceiling`.

    A server sends replies of any size, but drops a connection that sends it more than ``jute.maxbuffer`` (1 MiB by
    default, configurable). So batches start small, grow while answers stay small, and are bounded in operations, in
    names that lists may bring, in bytes of the request and in expected bytes of the answer.
    """

    _FIRST_SIZE = 64
    #: The bytes of a request besides its paths.
    _FRAME_BYTES = 64
    #: The weight of the latest answer in the learnt size of an answer.
    _WEIGHT = 0.5

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._size = min(self._FIRST_SIZE, ceiling)
        self._answer_bytes = 1024.0
        self._request_bytes = REQUEST_BYTES

    def limit(self, request_bytes: int) -> None:
        """Limits the length of requests, see `exporter.zookeeper.capabilities`."""
        self._request_bytes = request_bytes

    def room(self, prefix: int, allowance: int | None = None) -> Room:
        """The room of an empty batch for at most `allowance` paths, each behind a prefix of `prefix` bytes."""
        size = self._size if allowance is None else min(self._size, allowance)
        return Room(size, self._answer_bytes, prefix + READ_OVERHEAD, self._request_bytes - self._FRAME_BYTES)

    def takes(self, prefix: int, operations: int, size: int) -> bool:
        """Whether one request may hold this many operations, on paths of `size` bytes, each behind the prefix."""
        return size + operations * (prefix + READ_OVERHEAD) + self._FRAME_BYTES <= self._request_bytes

    def answered(self, operations: int, size: int | None) -> None:
        """Learns from an answer, and from its size in bytes if that is known of its reads alone."""
        if size is not None:
            self._answer_bytes += self._WEIGHT * (size / operations - self._answer_bytes)
        if operations >= self._size // 2:
            self._size = min(2 * self._size, self._ceiling)


class Room:
    """The room left in one batch. The first operation always fits."""

    #: The expected maximum number of bytes of an answer, and of a child's name in it.
    _REPLY_BYTES = 1024 * 1024
    _NAME_BYTES = 24
    #: So many names cost as much as an operation: others wait for a list of thousands.
    _NAMES = 8

    def __init__(self, operations: int, answer_bytes: float, overhead: int, request_bytes: int) -> None:
        self._operations = operations
        self._request_bytes = request_bytes
        self._reply_bytes: float = self._REPLY_BYTES
        self._answer_bytes = max(1.0, answer_bytes)
        self._overhead = overhead

    @property
    def operations(self) -> int:
        """How many more reads of average size fit."""
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
        """The bytes that each path takes in addition to its length."""
        return self._overhead

    def fits(self, operations: int, size: int, names: int = 0) -> bool:
        """Whether operations on paths of `size` bytes in all still fit.

        The `names` that they may list count only if they would fill an answer alone.
        """
        return (
            names * self._NAME_BYTES <= self._REPLY_BYTES and size + operations * self._overhead <= self._request_bytes
        )

    def take(self, operations: int, size: int, names: int = 0) -> None:
        """Takes room for operations on paths of `size` bytes in all, and for the names that they may list."""
        self._operations -= operations + names // self._NAMES
        self._request_bytes -= size + operations * self._overhead
        self._reply_bytes -= operations * self._answer_bytes + names * self._NAME_BYTES
