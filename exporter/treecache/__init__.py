"""The engine: an in-memory copy of a subtree of znodes, kept true. Knows nothing of who measures it."""

from exporter.treecache.cache import TreeCache
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.replica import UnsupportedServerError

__all__ = ["NodeData", "TreeCache", "TreeEvent", "UnsupportedServerError"]
