"""Spans of a client's calls: kind, parent, end and attributes, by OpenTelemetry's conventions."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, ConnectionLoss, NoNodeError
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.test.test_base import TestBase
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util._importlib_metadata import entry_points

import exporter
from exporter import KazooInstrumentor
from exporter.telemetry.tracing import trace_client
from exporter.zookeeper.calls import Call, ClientObserver
from exporter.zookeeper.session import IncompatibleKazooError, Session
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.integration.following import HANDLERS
from tests.support import eventually


class Traced(TestBase):
    """OpenTelemetry's own base class of instrumentation tests, around a pytest test."""

    def runTest(self) -> None:  # noqa: N802
        """A placeholder: the base class needs a test method."""

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The ended spans, in that order."""
        return [span for span in self.memory_exporter.get_finished_spans() if name in (None, span.name)]

    def span(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = self.spans(name)
        return span

    def names(self) -> list[str]:
        """The names of all ended spans."""
        return [span.name for span in self.spans()]

    def clear(self) -> None:
        """Forgets all ended spans."""
        self.memory_exporter.clear()


@pytest.fixture
def traced(zookeeper: ZooKeeper) -> Iterator[Traced]:
    # The server's fixture comes first: it has its own client.
    test = Traced()
    test.setUp()  # type: ignore[no-untyped-call]
    yield test
    test.tearDown()  # type: ignore[no-untyped-call]


@pytest.fixture
def instrumentor(traced: Traced) -> Iterator[KazooInstrumentor]:
    """Traces every client that the test makes."""
    instrumentor = KazooInstrumentor()
    instrumentor.instrument()
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture
def client(instrumentor: KazooInstrumentor, traced: Traced, client_factory: ClientFactory) -> KazooClient:
    """A traced client; the spans of its start are forgotten."""
    client = client_factory()
    traced.clear()
    return client


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_call_is_one_client_span_with_the_conventions_attributes(
    client: KazooClient, traced: Traced, zookeeper: ZooKeeper
) -> None:
    client.create("/a", b"data")
    client.get("/a", watch=lambda event: None)
    create, get = traced.spans()
    assert [create.name, get.name] == ["create", "getData"]
    assert get.kind is SpanKind.CLIENT
    assert get.parent is None
    assert get.status.status_code is StatusCode.UNSET
    host, port = zookeeper.server.hosts.split(":")
    recorded = attributes(get)
    assert recorded.pop("zookeeper.xid") == attributes(create)["zookeeper.xid"] + 1
    assert recorded == {
        "db.system.name": "zookeeper",
        "db.operation.name": "getData",
        "db.namespace": zookeeper.root,
        "server.address": host,
        "server.port": int(port),
        "zookeeper.path": zookeeper.root + "/a",
        "zookeeper.watch": True,
        "zookeeper.zxid": client.last_zxid,
        "zookeeper.request.size": 17 + len(zookeeper.root + "/a"),
        "zookeeper.response.size": 16 + 4 + len(b"data") + 68,
    }
    assert get.instrumentation_scope is not None
    assert get.instrumentation_scope.name == "treecache-exporter"
    assert get.instrumentation_scope.version == exporter.__version__
    assert (get.instrumentation_scope.schema_url or "").startswith("https://opentelemetry.io/schemas/")


def test_samplers_see_what_they_may_decide_by(
    client_factory: ClientFactory, zookeeper: ZooKeeper, traced: Traced
) -> None:
    seen: dict[str, dict[str, Any]] = {}

    class Notes(Sampler):
        def should_sample(
            self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any
        ) -> SamplingResult:
            seen[name] = dict(kwargs.get("attributes") or args[1])
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "notes"

    client = client_factory()
    trace_client(client, TracerProvider(sampler=Notes()))
    client.get("/")
    client.exists("/")
    host, port = zookeeper.server.hosts.split(":")
    assert seen["getData"] == {
        "db.system.name": "zookeeper",
        "db.operation.name": "getData",
        "db.namespace": zookeeper.root,
        "server.address": host,
        "server.port": int(port),
    }
    assert seen["exists"] == {**seen["getData"], "db.operation.name": "exists"}


def test_a_call_that_is_never_sent_names_no_server(
    client_factory: ClientFactory, zookeeper: ZooKeeper, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        client.get("/")
        proxy.refuse()
        proxy.cut()
        eventually(lambda: not client.connected)
        traced.clear()
        result = client.get_async("/")
        client.stop()
        with pytest.raises(ConnectionLoss):
            result.get(timeout=10)
        recorded = attributes(traced.span("getData"))
        assert recorded["error.type"] == "CONNECTIONLOSS"
        assert not {"server.address", "server.port", "zookeeper.xid"} & recorded.keys()


def test_the_callers_context_is_the_parent_also_of_asynchronous_calls(client: KazooClient, traced: Traced) -> None:
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("caller") as caller:
        results = [client.get_async("/") for _ in range(3)]
    with tracer.start_as_current_span("other"):
        for result in results:
            result.get()
    for span in traced.spans("getData"):
        assert span.parent is not None
        assert span.parent.span_id == caller.get_span_context().span_id


def test_the_callers_context_is_the_parent_of_what_follows_from_its_calls(client: KazooClient, traced: Traced) -> None:
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        client.ensure_path("/a/b/c")
        client.create("/d/e/f", makepath=True)
        waiting = client.create_async("/g")
    with trace.get_tracer("test").start_as_current_span("linking") as linking:
        waiting.rawlink(lambda result: client.delete_async("/g"))
    (delete,) = eventually(lambda: traced.spans("delete"))
    assert delete.parent is not None
    assert delete.parent.span_id == linking.get_span_context().span_id
    calls = traced.spans("exists") + traced.spans("create")
    # kazoo creates each of the two paths from the top, and checks each of the missing parents.
    assert len(traced.spans("create")) >= 3 + 3 + 1
    assert {span.parent and span.parent.span_id for span in calls} == {caller.get_span_context().span_id}


@pytest.mark.parametrize("handler", HANDLERS)
def test_what_follows_is_told_under_each_of_kazoos_handlers(handler: str, zookeeper: ZooKeeper) -> None:
    command = [sys.executable, "-m", "tests.integration.following", handler, zookeeper.hosts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    *astray, followed = done.stdout.split()
    assert astray == []
    # Three missing paths are created, twice.
    assert int(followed) >= 9


def test_what_follows_from_suppressed_calls_is_suppressed(client: KazooClient, traced: Traced) -> None:
    with suppress_instrumentation():
        client.ensure_path("/a/b/c")
        client.create("/d/e/f", makepath=True)
    assert traced.names() == []


def test_a_callback_can_still_be_taken_back(
    client_factory: ClientFactory, zookeeper: ZooKeeper, instrumentor: KazooInstrumentor
) -> None:
    called: list[str] = []

    def first(_result: object) -> None:
        called.append("first")

    def second(_result: object) -> None:
        called.append("second")

    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        proxy.stall(DOWN)
        result = client.get_async("/")
        for callback in (first, second, second):
            result.rawlink(callback)
        result.unlink(first)
        proxy.heal()
        result.get(timeout=10)
        client.get("/")
        eventually(lambda: called == ["second"])


def test_closing_has_the_caller_of_stop_as_its_parent(client: KazooClient, traced: Traced) -> None:
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        client.stop()
    close = traced.span("closeSession")
    assert close.parent is not None
    assert close.parent.span_id == caller.get_span_context().span_id


def test_each_retry_by_kazoo_is_a_span_of_its_own(
    client_factory: ClientFactory, zookeeper: ZooKeeper, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        traced.clear()
        proxy.stall(DOWN)
        callers: list[int] = []

        def read() -> None:
            with trace.get_tracer("test").start_as_current_span("caller") as caller:
                callers.append(caller.get_span_context().span_id)
                client.retry(client.get, "/")

        reading = threading.Thread(target=read)
        reading.start()
        eventually(lambda: Session.attach(client).stats().requests_outstanding)
        proxy.cut()
        proxy.heal()
        reading.join(20)
        _, *_, answered = spans = traced.spans("getData")
        assert {attributes(span).get("error.type") for span in spans[:-1]} == {"CONNECTIONLOSS"}
        assert answered.status.status_code is StatusCode.UNSET
        assert {span.parent and span.parent.span_id for span in spans} == set(callers)


def test_a_span_lasts_until_the_answer_comes(
    client_factory: ClientFactory, zookeeper: ZooKeeper, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        traced.clear()
        proxy.stall(DOWN)
        result = client.get_async("/")
        assert not result.wait(0.2)
        assert traced.spans("getData") == []
        proxy.heal()
        result.get(timeout=10)
        span = traced.span("getData")
        assert span.end_time is not None
        assert span.start_time is not None
        assert span.end_time - span.start_time >= 200_000_000


def test_the_loss_of_the_connection_ends_every_span_once(
    client_factory: ClientFactory, zookeeper: ZooKeeper, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        proxy.stall(DOWN)
        results = [client.get_async("/") for _ in range(20)]
        proxy.cut()
        for result in results:
            with pytest.raises(ConnectionLoss):
                result.get(timeout=10)
        spans = traced.spans("getData")
        assert len(spans) == 20
        for span in spans:
            assert span.status.status_code is StatusCode.ERROR
            assert attributes(span)["error.type"] == "CONNECTIONLOSS"
            assert "db.response.status_code" not in attributes(span)


def test_errors_of_the_server_are_told(client: KazooClient, traced: Traced) -> None:
    client.create("/a")
    with pytest.raises(NoNodeError):
        client.get("/missing")
    with pytest.raises(BadVersionError):
        client.set("/a", b"", version=7)
    for name, error in (("getData", "NONODE"), ("setData", "BADVERSION")):
        span = traced.span(name)
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, error)
        assert attributes(span)["error.type"] == attributes(span)["db.response.status_code"] == error
        assert list(span.events) == []


def test_that_nothing_exists_is_no_error(client: KazooClient, traced: Traced) -> None:
    assert client.exists("/missing") is None
    span = traced.span("exists")
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in attributes(span)


def test_a_transaction_tells_its_size_and_one_operation_is_no_batch(client: KazooClient, traced: Traced) -> None:
    for paths in (["/a", "/b"], ["/c"]):
        transaction = client.transaction()
        for path in paths:
            transaction.create(path)
        transaction.commit()
    batch, single = traced.spans("multi")
    assert attributes(batch)["db.operation.batch.size"] == 2
    assert "db.operation.batch.size" not in attributes(single)
    assert "zookeeper.path" not in attributes(batch)


def test_connecting_authenticating_and_closing_are_traced_without_credentials_and_pings_are_not(
    instrumentor: KazooInstrumentor, zookeeper: ZooKeeper, traced: Traced
) -> None:
    pings: list[Call] = []

    class Pings(ClientObserver):
        def call_ended(self, call: Call) -> None:
            if call.operation == "ping":
                pings.append(call)

    client = KazooClient(zookeeper.hosts, timeout=3.0)
    Session.attach(client).observers.add(Pings())
    client.start()
    client.add_auth("digest", "somebody:secret")
    eventually(lambda: pings)
    client.stop()
    client.close()
    names = traced.names()
    assert names[0] == "createSession"
    assert names[-1] == "closeSession"
    assert "auth" in names
    assert "ping" not in names
    assert not any("secret" in span.to_json() or "somebody" in span.to_json() for span in traced.spans())


def test_suppression_is_respected(client: KazooClient, traced: Traced) -> None:
    with suppress_instrumentation():
        client.get("/")
    client.exists("/")
    assert traced.names() == ["exists"]


def test_what_is_not_sampled_costs_no_attributes_and_calls_no_hooks(
    client_factory: ClientFactory, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = mock.Mock()
    client = client_factory()
    trace_client(client, TracerProvider(sampler=ALWAYS_OFF), hook, hook)
    looked_at = mock.Mock(side_effect=AssertionError)
    monkeypatch.setattr("exporter.telemetry.tracing.attributes.of_request", looked_at)
    monkeypatch.setattr("exporter.telemetry.tracing.attributes.of_answer", looked_at)
    calls: list[Call] = []

    class Notes(ClientObserver):
        def call_ended(self, call: Call) -> None:
            calls.append(call)

    Session.attach(client).observers.add(Notes())
    client.get("/")
    assert hook.call_count == looked_at.call_count == 0
    assert (calls[0].span, calls[0].exemplar) == (None, None)


def test_a_sampled_span_is_the_calls_exemplar(client: KazooClient, traced: Traced) -> None:
    calls: list[Call] = []

    class Notes(ClientObserver):
        def call_ended(self, call: Call) -> None:
            calls.append(call)

    Session.attach(client).observers.add(Notes())
    client.get("/")
    context = traced.span("getData").get_span_context()
    assert context is not None
    assert calls[0].exemplar == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def test_hooks_see_the_span_and_the_call_and_their_failures_break_nothing(
    client_factory: ClientFactory, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    def request_hook(span: Span, call: Call) -> None:
        span.set_attribute("request", f"{call.operation} {call.ended_at}")
        raise RuntimeError("in the request hook")

    def response_hook(span: Span, call: Call) -> None:
        span.set_attribute("answered", call.ended_at is not None)
        raise RuntimeError("in the response hook")

    client = client_factory()
    trace_client(client, request_hook=request_hook, response_hook=response_hook)
    client.get("/")
    span = traced.span("getData")
    assert attributes(span)["request"] == "getData None"
    assert attributes(span)["answered"] is True
    assert sum("a hook" in record.getMessage() for record in caplog.records) == 2


def test_a_watch_event_is_a_short_span_of_a_trace_of_its_own(
    client: KazooClient, zookeeper: ZooKeeper, traced: Traced
) -> None:
    fired = threading.Event()
    client.create("/a")
    with trace.get_tracer("test").start_as_current_span("caller"):
        client.get("/a", watch=lambda event: fired.set())
        client.set("/a", b"new")
    assert fired.wait(10)
    span = traced.span("watch changed")
    assert (span.kind, span.parent) == (SpanKind.INTERNAL, None)
    assert attributes(span) == {
        "db.system.name": "zookeeper",
        "db.namespace": zookeeper.root,
        "zookeeper.event": "changed",
        "zookeeper.path": zookeeper.root + "/a",
    }


# The instrumentor


def test_uninstrument_ends_the_tracing_of_every_client(
    instrumentor: KazooInstrumentor, client: KazooClient, client_factory: ClientFactory, traced: Traced
) -> None:
    instrumentor.uninstrument()
    client.get("/")
    client_factory().get("/")
    assert traced.names() == []
    instrumentor.instrument()
    client_factory().get("/")
    assert traced.names() == ["createSession", "exists", "getData"]


def test_instrumenting_takes_a_provider_and_hooks(
    instrumentor: KazooInstrumentor, client_factory: ClientFactory, traced: Traced
) -> None:
    instrumentor.uninstrument()
    provider, memory = traced.create_tracer_provider()  # type: ignore[no-untyped-call]
    instrumentor.instrument(
        tracer_provider=provider,
        request_hook=lambda span, call: span.set_attribute("hooked", True),
        response_hook=None,
    )
    client_factory().get("/")
    assert traced.names() == []
    assert [span.name for span in memory.get_finished_spans()] == ["createSession", "exists", "getData"]
    assert all(span.attributes["hooked"] for span in memory.get_finished_spans())


def test_one_client_can_be_instrumented_and_uninstrumented(client_factory: ClientFactory, traced: Traced) -> None:
    traced_one, other = client_factory(), client_factory()
    instrumentor = KazooInstrumentor()
    instrumentor.instrument_client(traced_one)
    instrumentor.instrument_client(traced_one)
    traced_one.get("/")
    other.get("/")
    assert traced.names() == ["getData"]
    instrumentor.uninstrument_client(traced_one)
    traced_one.get("/")
    assert traced.names() == ["getData"]


def test_a_client_is_traced_once_by_whoever_came_first(
    client: KazooClient, client_factory: ClientFactory, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    undo = trace_client(client)
    client.get("/")
    assert traced.names() == ["getData"]
    undo()
    client.get("/")
    assert traced.names() == ["getData", "getData"]

    instrumentor.uninstrument()
    undo = trace_client(client)
    client.exists("/")
    assert len(traced.spans("exists")) == 1
    undo()
    undo()
    client.exists("/")
    assert len(traced.spans("exists")) == 1


def test_a_client_is_traced_until_the_last_one_ends_that(client_factory: ClientFactory, traced: Traced) -> None:
    client = client_factory()
    first, second = trace_client(client), trace_client(client)
    first()
    first()
    client.get("/")
    assert traced.names() == ["getData"]
    second()
    client.get("/")
    assert traced.names() == ["getData"]


def test_the_process_ends_its_own_tracing_only(
    client: KazooClient, instrumentor: KazooInstrumentor, traced: Traced
) -> None:
    undo = trace_client(client)
    instrumentor.uninstrument()
    client.get("/")
    assert traced.names() == ["getData"]
    undo()
    client.get("/")
    assert traced.names() == ["getData"]


def test_a_tracer_provider_that_is_set_later_is_used(
    instrumentor: KazooInstrumentor, client_factory: ClientFactory, traced: Traced
) -> None:
    from opentelemetry.test.globals_test import reset_trace_globals

    reset_trace_globals()
    client = client_factory()
    client.get("/")
    trace.set_tracer_provider(traced.tracer_provider)

    def names() -> list[str]:
        client.exists("/")
        return traced.names()

    assert set(eventually(names)) == {"exists"}


def test_a_kazoo_that_cannot_be_traced_is_told_of_once_and_left_alone(
    instrumentor: KazooInstrumentor,
    client_factory: ClientFactory,
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(client: KazooClient) -> None:
        raise IncompatibleKazooError("this release of kazoo has no client._call")

    monkeypatch.setattr("exporter.zookeeper.session.adapt", refuse)
    for _ in range(2):
        assert client_factory().get("/")[0] == b""
    assert traced.names() == []
    recorded = [record.getMessage() for record in caplog.records if "not traced" in record.getMessage()]
    assert recorded == ["kazoo is not traced: this release of kazoo has no client._call"]


def test_clients_are_not_kept_alive(instrumentor: KazooInstrumentor, zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts)
    client.start()
    client.get("/")
    client.stop()
    client.close()
    reference = weakref.ref(client)
    del client
    eventually(lambda: gc.collect() >= 0 and reference() is None)


def test_opentelemetry_finds_it_by_its_entry_point() -> None:
    (entry_point,) = entry_points(group="opentelemetry_instrumentor", name="kazoo")
    assert entry_point.load() is KazooInstrumentor
    assert KazooInstrumentor().instrumentation_dependencies() == ("kazoo >= 2.11, < 3",)
