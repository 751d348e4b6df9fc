"""CacheObserver: how a cache notifies metrics and tracing of its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import Sent


class CacheObserver:
    """The notifications of a cache; override the methods that you need.

    The cache calls them on its own threads, so they must not block; it logs their exceptions and continues. Times
    ``at`` are monotonic, in seconds.
    """

    def sync_began(self, sync: SyncBegun) -> None:
        """A sync began: the cache reads the whole tree."""

    def sync_ended(self, sync: SyncBegun, at: float, complete: bool) -> None:
        """A sync ended: complete, or with its connection. `sync_began` may not have been called for it."""

    def sending(self, sent: Sent) -> AbstractContextManager[object] | None:
        """A request is about to be sent, in the context that this returns, if any.

        Its ``purpose`` and ``causes`` say why.
        """
        return None

    def refreshed(self, sent: Sent, at: float) -> None:
        """The answer to a request with ``causes`` was applied: the changes of those watch events are in the cache."""

    def propagated(self, sent: Sent, delays: Sequence[float]) -> None:
        """The answer to a request brought changes into the cache, this long after each, by ZooKeeper's clock.

        Called after `refreshed`.
        """

    def listened(self, seconds: float) -> None:
        """A listener was called and took this long."""

    def verified(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        """A freshness check succeeded and took this long; the exemplar is that of its barrier."""
