"""The guard: security headers, passwords for everything but probes, and no cross-site requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bcrypt
import httpx
import pytest

from exporter.config.web import WebConfig
from tests import plainhttp
from tests.web.running import Running, running

pytestmark = pytest.mark.starts

USERS = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))}
HEADERS = {"Strict-Transport-Security": "max-age=60", "X-Frame-Options": "sameorigin", "Content-Security-Policy": ""}
PATHS = ["/", "/metrics", "/browse", "/-/events", "/-/page.css", "/-/page.js", "/-/reload", "/nope"]
PROBES = ["/-/healthy", "/-/ready"]


@pytest.fixture(scope="module")
def open_server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(config=WebConfig(Path(__file__), headers=HEADERS, users=USERS)) as server:
        yield server


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("path", PATHS + PROBES)
def test_headers_on_every_response(open_server: Running, path: str, method: str) -> None:
    headers = plainhttp.request(method, open_server.url + path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "deny"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", PATHS)
def test_a_password_for_all(server: Running, path: str) -> None:
    with plainhttp.Client(base_url=server.url) as client:
        attempts = [client.head(path, auth=auth) for auth in (("alice", "wrong"), ("bob", "secret"))]
        for response in (client.head(path), *attempts):
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Basic realm=")
        assert client.head(path, auth=("alice", "secret")).status_code != 401


@pytest.mark.parametrize("path", PROBES)
def test_no_password_for_probes(server: Running, path: str) -> None:
    assert plainhttp.get(server.url + path).status_code == 200


@pytest.mark.parametrize("path", ["/-/healthy/../../metrics", "//metrics", "/-/healthy%2f..%2f..%2fmetrics"])
def test_no_way_around(server: Running, path: str) -> None:
    request = httpx.Request("GET", server.url, extensions={"target": path.encode()})
    with plainhttp.Client() as client:
        assert client.send(request).status_code == 401


@pytest.mark.parametrize("path", ["/", "/nope"])
def test_headers_of_the_configuration(server: Running, path: str) -> None:
    headers = plainhttp.get(server.url + path).headers
    assert headers["strict-transport-security"] == "max-age=60"
    assert headers["x-frame-options"] == "sameorigin"
    assert "content-security-policy" not in headers
    assert headers["x-content-type-options"] == "nosniff"


def test_other_sites_may_link_but_not_post(open_server: Running) -> None:
    for site, post in (("cross-site", 403), ("same-site", 403), ("same-origin", 405), ("none", 405)):
        headers = {"Sec-Fetch-Site": site}
        assert plainhttp.post(open_server.url, headers=headers).status_code == post
        assert plainhttp.get(open_server.url, headers=headers).status_code == 200


def test_other_origins_may_not_post_where_browsers_tell_no_more(open_server: Running) -> None:
    """Browsers send Sec-Fetch-Site only over HTTPS and to localhost."""
    for origin, post in (
        ("http://elsewhere.example", 403),
        (f"http://127.0.0.1:{open_server.port + 1}", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
        (open_server.url, 405),
        (open_server.url.upper(), 405),
    ):
        headers = {"Origin": origin}
        assert plainhttp.post(open_server.url, headers=headers).status_code == post, origin
        assert plainhttp.get(open_server.url, headers=headers).status_code == 200
