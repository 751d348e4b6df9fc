"""treecache-exporter: ZooKeeper subtrees held in memory, and everything that can be measured about that copy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from exporter.treecache import NodeData, Selector, TreeCache, TreeEvent, UnsupportedServerError

if TYPE_CHECKING:
    from exporter.telemetry.instrumentation import instrument
    from exporter.telemetry.tracing import KazooInstrumentor

__version__ = "0.1.0"

__all__ = [
    "KazooInstrumentor",
    "NodeData",
    "Selector",
    "TreeCache",
    "TreeEvent",
    "UnsupportedServerError",
    "__version__",
    "instrument",
]

#: What is imported when it is asked for: a cache alone needs no Prometheus and no OpenTelemetry.
_LATER = {"KazooInstrumentor": "exporter.telemetry.tracing", "instrument": "exporter.telemetry.instrumentation"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
