"""Tracing: OpenTelemetry spans of a client's calls and watch events, and of the work of its caches.

`trace_client` traces one client, `KazooInstrumentor` every client of the process; both make spans only.
"""

from exporter.telemetry.tracing.instrumentor import KazooInstrumentor, trace_client

__all__ = ["KazooInstrumentor", "trace_client"]
