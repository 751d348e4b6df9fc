"""Attributes: the attributes of spans, named by the stable semantic conventions for databases where these have a name.

See https://opentelemetry.io/docs/specs/semconv/db/database-spans/. Other names begin with ``zookeeper.`` or, about
caches, with ``treecache.``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from opentelemetry.semconv.attributes.db_attributes import (
    DB_NAMESPACE,
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE, ErrorTypeValues
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from exporter.zookeeper.calls import OTHER, Call

#: The version of the semantic conventions in which those for databases became stable.
SCHEMA_URL: Final = Schemas.V1_33_0.value

ZOOKEEPER_PATH: Final = "zookeeper.path"
ZOOKEEPER_WATCH: Final = "zookeeper.watch"
ZOOKEEPER_EVENT: Final = "zookeeper.event"
ZOOKEEPER_XID: Final = "zookeeper.xid"
ZOOKEEPER_ZXID: Final = "zookeeper.zxid"
ZOOKEEPER_REQUEST_SIZE: Final = "zookeeper.request.size"
ZOOKEEPER_RESPONSE_SIZE: Final = "zookeeper.response.size"
TREECACHE_TREE: Final = "treecache.tree"
TREECACHE_REASON: Final = "treecache.reason"
TREECACHE_ZNODES: Final = "treecache.znodes"
TREECACHE_CHANGES: Final = "treecache.changes"

Attributes = dict[str, str | int | bool]


def of_client(chroot: str) -> Attributes:
    """The attributes that all calls of a client share."""
    named: Attributes = {DB_SYSTEM_NAME: "zookeeper"}
    return {**named, DB_NAMESPACE: chroot} if chroot else named


@lru_cache(maxsize=64)
def of_server(server: str) -> Attributes:
    """The attributes of a server's ``host:port``; callers must not change them."""
    host, _, port = server.rpartition(":")
    return {SERVER_ADDRESS: host.strip("[]"), SERVER_PORT: int(port)}


def of_request(call: Call) -> Attributes:
    """The attributes of a request: for transactions and bulk reads the size only; a single operation is no batch."""
    found: Attributes = {}
    if call.path is not None:
        found[ZOOKEEPER_PATH] = call.path
    if call.watches:
        found[ZOOKEEPER_WATCH] = True
    if call.batch_size not in (None, 1):
        found[DB_OPERATION_BATCH_SIZE] = call.batch_size
    return found


def of_answer(call: Call) -> Attributes:
    """The attributes of a call that has ended; without sizes and ids if it was never sent or answered."""
    found: Attributes = {} if call.server is None else dict(of_server(call.server))
    if call.sent_bytes:
        found[ZOOKEEPER_XID] = call.xid
        found[ZOOKEEPER_REQUEST_SIZE] = call.sent_bytes
    if call.received_bytes:
        found[ZOOKEEPER_RESPONSE_SIZE] = call.received_bytes
    if call.zxid > 0:
        found[ZOOKEEPER_ZXID] = call.zxid
    if call.error is not None:
        found[ERROR_TYPE] = ErrorTypeValues.OTHER.value if call.error == OTHER else call.error
        if call.received_bytes and call.error != OTHER:
            found[DB_RESPONSE_STATUS_CODE] = call.error
    return found


def at_start(common: Attributes, server: str | None, operation: str) -> Attributes:
    """The attributes that a sampler sees."""
    return {**common, **({} if server is None else of_server(server)), DB_OPERATION_NAME: operation}


def exemplar_of(context: SpanContext) -> dict[str, str] | None:
    """A reference to a span, by OpenMetrics' names, if the span is sampled."""
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
