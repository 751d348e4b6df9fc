"""A scrape has the format, compression and filter that the request asks for."""

from __future__ import annotations

import gzip

import pytest
from starlette.requests import Request
from starlette.responses import Response

from exporter.web.exposition import exposition, wanted_by
from tests.telemetry.known import openmetrics, plain, registry

PROMETHEUS_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(query: str = "", **headers: str) -> Response:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": query.encode(), "headers": raw}
    wanted = wanted_by(Request(scope))
    return Response(exposition(registry(), wanted), headers=wanted.headers)


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_ACCEPT,
        "application/openmetrics-text",
        "text/plain;q=0.1, application/openmetrics-text; version=1.0.0; q=0.9",
    ],
)
def test_openmetrics_for_those_who_want_it(accept: str) -> None:
    response = scrape(accept=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert response.body == openmetrics(registry())


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html, */*;q=0.1",
        "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=99.0.0",
        "application/openmetrics-text;version=one",
        "application/openmetrics-text;q=high",
        ";;;,,,=",
    ],
)
def test_plain_text_for_all_others(accept: str) -> None:
    response = scrape(accept=accept)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.body == plain(registry())


@pytest.mark.parametrize("accept_encoding", ["gzip", "deflate, GZIP;q=0.5"])
def test_gzip_for_those_who_want_it(accept_encoding: str) -> None:
    response = scrape(accept_encoding=accept_encoding)
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["vary"] == "Accept, Accept-Encoding"
    assert gzip.decompress(bytes(response.body)) == plain(registry())


@pytest.mark.parametrize("accept_encoding", ["", "identity", "gzip;q=0", "deflate, br", "gzipped", "gzip;q=0, *"])
def test_no_compression_for_all_others(accept_encoding: str) -> None:
    response = scrape(accept_encoding=accept_encoding)
    assert "content-encoding" not in response.headers
    assert response.body == plain(registry())


def test_a_scrape_may_be_restricted_by_name() -> None:
    lines = bytes(scrape("name[]=zookeeper_client_up&name[]=zookeeper_cache_events_total").body).decode().splitlines()
    assert {line.partition("{")[0] for line in lines if not line.startswith("#")} == {
        "zookeeper_client_up",
        "zookeeper_cache_events_total",
    }
    assert scrape("name[]=no_such_metric").body == b""
