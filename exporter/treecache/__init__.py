"""The engine: an in-memory copy of a subtree of znodes, kept up to date. It does not depend on metrics or tracing."""

from exporter.treecache.cache import TreeCache
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.scope import Selector
from exporter.treecache.shard import Shard
from exporter.treecache.strategies import UnsupportedServerError

__all__ = ["NodeData", "Selector", "Shard", "TreeCache", "TreeEvent", "UnsupportedServerError"]
