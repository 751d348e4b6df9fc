"""The engine: an in-memory copy of a subtree of znodes, kept true. Knows nothing of who measures it."""

from exporter.treecache.cache import TreeCache
from exporter.treecache.events import NodeData, TreeEvent
from exporter.treecache.replica import UnsupportedServerError
from exporter.treecache.scope import Selector

__all__ = ["NodeData", "Selector", "TreeCache", "TreeEvent", "UnsupportedServerError"]
