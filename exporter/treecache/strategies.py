"""Strategies: by which strategy a replica keeps up with which server."""

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
    """The server lacks the requests that the cache was to use, or its watches do not say what changed."""


class Strategies:
    """The strategy in use, and what decides on it: the mode, what the server can do, and whether it is believed.

    Args:
        root: the server's path of the root.
        options: of them the mode, the share and the sizes.
        credibility: whether a server's recursive watches say what changed.
    """

    def __init__(self, root: str, options: CacheOptions, credibility: Credibility) -> None:
        bulk = RecursiveStrategy if options.shard is None else ShardedStrategy
        self._recursive = bulk(root, options.batch_size, options.window)
        self._classic = ClassicStrategy(root, options.batch_size)
        self._mode = options.mode
        self._credibility = credibility
        self._given_up: set[str] = set()
        self._lacks = False
        #: The server of this connection, or of the last.
        self.server = ""
        self.current: Strategy = self._classic if options.mode == "classic" else self._recursive

    @property
    def depends_on_server(self) -> bool:
        """Whether it matters what the server can do."""
        return self._mode != "classic"

    def connected(self, message: Connected) -> None:
        """Notes the server, and how long requests to it may be."""
        self.server = message.server
        self._recursive.limit(message.request_bytes)

    def choose(self, recursive: bool | None) -> None:
        """Chooses by what the server can do: None where that could not be found out."""
        self._lacks = recursive is False
        if self._mode == "auto":
            believed = recursive and self._credibility.believes(self.server)
            self.current = self._recursive if believed else self._classic

    @property
    def is_refused(self) -> bool:
        """Whether the server was said to lack what the mode needs."""
        return self._mode == "recursive" and self._lacks

    def fall_back(self) -> bool:
        """Goes on with one-shot watches, where the mode leaves the choice; gives whether it does."""
        if self._mode != "auto":
            return False
        self.current = self._classic
        return True

    def give_up(self) -> UnsupportedServerError | None:
        """What to say of a server that cannot be read in this mode, once for each."""
        if self.server in self._given_up:
            return None
        self._given_up.add(self.server)
        return UnsupportedServerError(
            f"{self.server} refuses recursive watches or multi-reads: the recursive mode needs ZooKeeper 3.6 or newer, "
            "and a proxy in between must pass both on"
        )

    def mistrust(self) -> UnsupportedServerError | None:
        """Notes an event without a change; gives what to say of the server once it is believed no more."""
        if not self._credibility.misled_by(self.server):
            return None
        return UnsupportedServerError(
            f"{self.server} reports every change below a recursive watch as a change of its root; "
            f"{'using one-shot watches instead' if self._mode == 'auto' else 'reading everything again instead'}"
        )

    def forget_doubts(self) -> None:
        """Everything is read anew."""
        self._credibility.forget_doubts()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the server's recursive watches are not believed, and the mode leaves the choice."""
        return self._mode == "auto" and not self._credibility.believes(self.server)
