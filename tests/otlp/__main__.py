"""`python -m tests.otlp FILE DELAY`: receives spans over OTLP/HTTP and OTLP/gRPC and appends each to FILE as JSON.

The first line of its output has the ports. What is no well-formed export request is refused with an error.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse as Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


class Sink:
    """Writes spans down, one a line."""

    def __init__(self, file: Path, delay: float) -> None:
        self._file = file
        self._delay = delay
        self._lock = threading.Lock()

    def take(self, request: Any) -> Any:
        """Gives the answer to an export request."""
        time.sleep(self._delay)
        with self._lock, self._file.open("a") as file:
            for of_resource in request.resource_spans:
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        told = MessageToDict(span)
                        told["traceId"], told["spanId"] = span.trace_id.hex(), span.span_id.hex()
                        told["parentSpanId"] = span.parent_span_id.hex()
                        told["links"] = [link.span_id.hex() for link in span.links]
                        told["attributes"] = plain(span.attributes)
                        told["resource"] = plain(of_resource.resource.attributes)
                        told["scope"] = {"name": of_scope.scope.name, "version": of_scope.scope.version}
                        told["schemaUrl"] = of_scope.schema_url
                        file.write(json.dumps(told) + "\n")
        return Response()


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as the types they were sent as; an integer stays one."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def serve_http(sink: Sink) -> int:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            good = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
            answer = sink.take(Request.FromString(body)).SerializeToString() if good else b""
            self.send_response(200 if good else 400)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def serve_grpc(sink: Sink) -> tuple[grpc.Server, int]:
    class Service(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            return sink.take(request)

    server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


if __name__ == "__main__":
    sink = Sink(Path(sys.argv[1]), float(sys.argv[2]))
    grpc_server, grpc_port = serve_grpc(sink)
    print(json.dumps({"http": serve_http(sink), "grpc": grpc_port}), flush=True)
    grpc_server.wait_for_termination()
