"""treecache-exporter: ZooKeeper subtrees held in memory, and everything that can be measured about that copy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.telemetry.instrumentation import Instrumentation, instrument
    from exporter.telemetry.instruments import MultiprocessModeError
    from exporter.telemetry.tracing import KazooInstrumentor
    from exporter.treecache import NodeData, Selector, Shard, TreeCache, TreeEvent, UnsupportedServerError
    from exporter.treecache.stats import CacheStats
    from exporter.treecache.view import View
    from exporter.views.metrics import ZnodeMetrics
    from exporter.views.rules.rule import Rule
    from exporter.zookeeper.kazoo.seam import IncompatibleKazooError
    from exporter.zookeeper.session import ForkedClientError

__version__ = "0.1.0"

__all__ = [
    "CacheStats",
    "ForkedClientError",
    "IncompatibleKazooError",
    "Instrumentation",
    "KazooInstrumentor",
    "MultiprocessModeError",
    "NodeData",
    "Rule",
    "Selector",
    "Shard",
    "TreeCache",
    "TreeEvent",
    "UnsupportedServerError",
    "View",
    "ZnodeMetrics",
    "__version__",
    "instrument",
]

#: Where each name is found, imported on first use: a cache alone needs no Prometheus and no OpenTelemetry, and the
#: command needs its signal handlers before any of them.
_LATER = {
    "CacheStats": "exporter.treecache.stats",
    "ForkedClientError": "exporter.zookeeper.session",
    "IncompatibleKazooError": "exporter.zookeeper.kazoo.seam",
    "Instrumentation": "exporter.telemetry.instrumentation",
    "KazooInstrumentor": "exporter.telemetry.tracing",
    "MultiprocessModeError": "exporter.telemetry.instruments",
    "instrument": "exporter.telemetry.instrumentation",
    "NodeData": "exporter.treecache",
    "Rule": "exporter.views.rules.rule",
    "Selector": "exporter.treecache",
    "Shard": "exporter.treecache",
    "TreeCache": "exporter.treecache",
    "TreeEvent": "exporter.treecache",
    "UnsupportedServerError": "exporter.treecache",
    "View": "exporter.treecache.view",
    "ZnodeMetrics": "exporter.views.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
