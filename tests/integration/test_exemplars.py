"""Exemplars end to end: from a bucket in a real Prometheus to the span of a call at a real ZooKeeper."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from prometheus_client import CollectorRegistry, start_http_server

from exporter import TreeCache, instrument
from tests import plainhttp
from tests.integration.processes import Prometheus, running_prometheus
from tests.support import eventually

CALLS = "zookeeper_client_request_duration_seconds_bucket"
REFRESHES = "zookeeper_cache_refresh_duration_seconds_bucket"
#: Seconds until an exemplar must be in Prometheus, which starts to scrape some seconds after its own start.
SHOWN_WITHIN = 30.0


class Application:
    """An application with a traced client, a cache and prometheus_client's own web server."""

    def __init__(self, client: KazooClient, sampler: Sampler, ensemble: str, registry: CollectorRegistry) -> None:
        self.client = client
        self.exported = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self.instrumentation = instrument(client, ensemble=ensemble, registry=registry, tracer_provider=provider)

    def spans(self) -> dict[tuple[str, str], str]:
        """The names of the ended spans, by trace id and span id."""
        ended = ((span.get_span_context(), span.name) for span in self.exported.get_finished_spans())
        return {(f"{of.trace_id:032x}", f"{of.span_id:016x}"): name for of, name in ended if of is not None}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def prometheus(tmp_path: Path, registry: CollectorRegistry) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the registry."""
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    with running_prometheus(tmp_path, f"http://127.0.0.1:{server.server_port}") as running:
        yield running
    server.shutdown()
    thread.join()
    server.server_close()


def exemplars(prometheus: Prometheus, query: str) -> list[Mapping[str, Any]]:
    """The exemplars from Prometheus' API, each with its labels, its value and the labels of its series."""
    now = time.time()
    parameters: dict[str, str | float] = {"query": query, "start": now - 300, "end": now + 300}
    response = plainhttp.get(f"{prometheus.url}/api/v1/query_exemplars", params=parameters)
    response.raise_for_status()
    return [
        {**exemplar, "series": series["seriesLabels"]}
        for series in response.json()["data"]
        for exemplar in series["exemplars"]
    ]


def test_prometheus_leads_from_a_bucket_to_the_span(
    prometheus: Prometheus, registry: CollectorRegistry, client: KazooClient, client_factory: Any
) -> None:
    sampled = Application(client, ALWAYS_ON, "sampled", registry)
    unsampled = Application(client_factory(), ALWAYS_OFF, "unsampled", registry)
    with sampled.instrumentation, unsampled.instrumentation, TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        unsampled.client.get("/app")
        for number in range(20):
            client.set("/app", b"%d" % number)

        found = eventually(lambda: exemplars(prometheus, f'{CALLS}{{operation="setData"}}'), SHOWN_WITHIN, 0.2)
        for exemplar in found:
            labels = exemplar["labels"]
            assert exemplar["series"]["ensemble"] == "sampled"
            assert sampled.spans()[labels["trace_id"], labels["span_id"]] == "setData"
            assert 0 < float(exemplar["value"]) <= float(exemplar["series"]["le"])

        refreshes = eventually(lambda: exemplars(prometheus, REFRESHES), SHOWN_WITHIN, 0.2)
        for exemplar in refreshes:
            labels = exemplar["labels"]
            assert sampled.spans()[labels["trace_id"], labels["span_id"]] == "multiRead"
        traces = {trace for (trace, _), name in sampled.spans().items() if name == "treecache.refresh"}
        assert {exemplar["labels"]["trace_id"] for exemplar in refreshes} <= traces

        counted = eventually(lambda: prometheus.value(f'{CALLS}{{ensemble="unsampled",operation="getData",le="+Inf"}}'))
        assert counted == 1
        assert exemplars(prometheus, f'{CALLS}{{ensemble="unsampled"}}') == []
