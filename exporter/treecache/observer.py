"""CacheObserver: what a cache says of its work to those who measure or trace it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import Sent


class CacheObserver:
    """What an observer of a cache may want to know; every method may be left out.

    They are called on the cache's own threads and must not block; an exception is logged and otherwise ignored. Times
    ``at`` are monotonic, in seconds.
    """

    def sync_began(self, sync: SyncBegun) -> None:
        """The whole tree is being read."""

    def sync_ended(self, sync: SyncBegun, at: float, complete: bool) -> None:
        """The whole tree was read, or the connection went before that. Its beginning may not have been reported."""

    def sending(self, sent: Sent) -> AbstractContextManager[object]:
        """A request is being sent within the context given back; its ``purpose`` and ``causes`` say why."""
        return nullcontext()

    def refreshed(self, sent: Sent, at: float) -> None:
        """The answer to a request that has ``causes`` was applied: what changed by those events is in the cache."""

    def propagated(self, sent: Sent, delays: Sequence[float]) -> None:
        """So many seconds passed between changes at the server, by its clock, and their being in the cache.

        That took the answer to this request; `refreshed` comes before.
        """

    def listened(self, seconds: float) -> None:
        """A listener was called and took so long."""

    def verified(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        """A proof of freshness ended well, so long after it began; the exemplar is that of its barrier."""
