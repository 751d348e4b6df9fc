"""treecache-exporter: ZooKeeper subtrees held in memory, and everything that can be measured about that copy."""

from exporter.treecache import NodeData, Selector, TreeCache, TreeEvent, UnsupportedServerError

__version__ = "0.1.0"

__all__ = ["NodeData", "Selector", "TreeCache", "TreeEvent", "UnsupportedServerError", "__version__"]
