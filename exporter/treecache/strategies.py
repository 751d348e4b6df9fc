"""Strategies: chooses the strategy for a server."""

from __future__ import annotations

from kazoo.exceptions import KazooException

from exporter.treecache.classic import ClassicStrategy
from exporter.treecache.credibility import Credibility
from exporter.treecache.options import CacheOptions
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.sharded import ShardedStrategy
from exporter.treecache.strategy import Strategy
from exporter.zookeeper.messages import Connected


class UnsupportedServerError(KazooException):  # type: ignore[misc]
    """The server does not support requests that the cache needs, or its watch events do not say what changed."""


class Strategies:
    """The strategy in use. It depends on the mode, on what the server supports, and on the server's credibility.

    Args:
        root: the server's path of the root.
        options: contain the mode, the shard and the sizes.
        credibility: knows whether a server's recursive watches say what changed.
    """

    def __init__(self, root: str, options: CacheOptions, credibility: Credibility) -> None:
        sizes = options.batch_size, options.window
        lists_root = options.max_depth != 0 and options.selector is None
        self._recursive = (
            ShardedStrategy(root, *sizes) if options.shard else RecursiveStrategy(root, *sizes, lists_root=lists_root)
        )
        self._classic = ClassicStrategy(root, options.batch_size)
        self._mode = options.mode
        self._credibility = credibility
        self._given_up: set[str] = set()
        self._lacks = False
        #: The server of this connection, or of the last one.
        self.server = ""
        self.current: Strategy = self._classic if options.mode == "classic" else self._recursive

    @property
    def depends_on_server(self) -> bool:
        """Whether the choice depends on what the server supports."""
        return self._mode != "classic"

    def connected(self, message: Connected) -> None:
        """Notes the server and the longest request that it accepts."""
        self.server = message.server
        self._recursive.limit(message.request_bytes)

    def choose(self, recursive: bool | None) -> None:
        """Chooses by what the server supports; `recursive` is None if that is unknown."""
        self._lacks = recursive is False
        if self._mode == "auto":
            believed = recursive and self._credibility.believes(self.server)
            self.current = self._recursive if believed else self._classic

    @property
    def is_refused(self) -> bool:
        """Whether the server is known not to support the mode."""
        return self._mode == "recursive" and self._lacks

    def fall_back(self) -> bool:
        """Switches to one-shot watches if the mode allows it; returns whether it does."""
        if self._mode != "auto":
            return False
        self.current = self._classic
        return True

    def give_up(self) -> UnsupportedServerError | None:
        """The error for a server that does not support the mode, once for each server."""
        if self.server in self._given_up:
            return None
        self._given_up.add(self.server)
        return UnsupportedServerError(
            f"{self.server} refuses recursive watches or multi-reads: the recursive mode needs ZooKeeper 3.6 or newer, "
            "and a proxy in between must pass both on"
        )

    def mistrust(self) -> UnsupportedServerError | None:
        """Notes an event without a change; returns an error when the server is no longer believed because of it."""
        if not self._credibility.misled_by(self.server):
            return None
        return UnsupportedServerError(
            f"{self.server} reports every change below a recursive watch as a change of its root; "
            f"{'using one-shot watches instead' if self._mode == 'auto' else 'reading everything again instead'}"
        )

    def forget_doubts(self) -> None:
        """Drops doubted events, since everything is read again."""
        self._credibility.forget_doubts()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the server's recursive watches are not believed, and the mode allows others."""
        return self._mode == "auto" and not self._credibility.believes(self.server)
