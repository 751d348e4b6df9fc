"""`python -m tests.integration.following HANDLER HOSTS`: checks that calls in callbacks have the right parent span.

Prints each call whose span has the wrong parent, and finally how many had the right one.
"""

from __future__ import annotations

import importlib
import sys

from kazoo.client import KazooClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from exporter.telemetry.tracing import trace_client

HANDLERS = {
    "threading": "SequentialThreadingHandler",
    "gevent": "SequentialGeventHandler",
    "eventlet": "SequentialEventletHandler",
}


def main(name: str, hosts: str) -> None:
    """Creates a path and a znode below missing parents."""
    handler = getattr(importlib.import_module(f"kazoo.handlers.{name}"), HANDLERS[name])()
    client = KazooClient(hosts, handler=handler)
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    client.start()
    trace_client(client, provider)
    with provider.get_tracer("test").start_as_current_span("caller") as caller:
        client.ensure_path("/a/b/c")
        client.create("/d/e/f", makepath=True)
    spans = [span for span in memory.get_finished_spans() if span.name != "caller"]
    followed = [span for span in spans if span.parent and span.parent.span_id == caller.get_span_context().span_id]
    print(*(span.name for span in spans if span not in followed), len(followed))
    client.stop()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
