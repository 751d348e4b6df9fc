"""What is served below a prefix, what is not, and where links lead."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urljoin

import bcrypt
import pytest

from exporter.config.web import load
from exporter.pages.prefix import relative
from exporter.web.app import kinds, open_to_all
from exporter.web.lobby import Kind
from tests import plainhttp
from tests.web.running import running

PATHS = ("/", "/browse", "/docs", "/docs/runbooks", "/metrics", "/-/healthy", "/-/ready", "/-/page.css", "/-/page.js")


@pytest.mark.starts
@pytest.mark.parametrize("prefix", ["", "/zk", "/monitors/zk"])
def test_everything_is_behind_the_prefix(prefix: str) -> None:
    with running(prefix=prefix) as server, plainhttp.Client(base_url=server.url) as client:
        assert {path: client.get(prefix + path).status_code for path in PATHS} == dict.fromkeys(PATHS, 200)
        with client.stream("GET", f"{prefix}/-/events") as events:
            assert next(events.iter_lines()) == "retry: 1000"
        assert client.post(f"{prefix}/-/reload").status_code == 403
        if prefix:
            outside = [path for path in PATHS if path != "/"] + [
                "/-/events",
                f"{prefix}x/metrics",
                f"{prefix}//metrics",
            ]
            assert {client.get(path).status_code for path in outside} == {404}
            assert client.post("/-/reload").status_code == 404


@pytest.mark.starts
@pytest.mark.parametrize("prefix", ["/zk", "/monitors/zk"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_the_first_page_leads_there(prefix: str, method: str) -> None:
    with running(prefix=prefix) as server, plainhttp.Client(base_url=server.url) as client:
        for path in ("/", prefix):
            response = client.request(method, path)
            assert response.status_code == 302
            # Relative, so that it also works behind a proxy.
            assert not response.headers["location"].startswith("/")
            assert urljoin(path, response.headers["location"]) == f"{prefix}/"
        assert client.post(prefix).status_code == 405


@pytest.mark.starts
def test_probes_alone_need_no_password_behind_a_prefix(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users: {{alice: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}}}\n")
    with running(prefix="/zk", config=load(config)) as server, plainhttp.Client(base_url=server.url) as client:
        for path in ("/", "/zk", "/zk/", "/zk/metrics", "/-/healthy", "/zk/-/events"):
            assert client.get(path).status_code == 401
        for path in ("/zk/-/healthy", "/zk/-/ready"):
            assert client.get(path).status_code == 200


def test_what_a_request_is_for_is_told_behind_a_prefix_too() -> None:
    kind_of = kinds("/metrics", "/zk")
    asked = ("/zk/metrics", "/zk/-/ready", "/zk/-/events", "/zk/", "/metrics")
    assert [kind_of(path) for path in asked] == [Kind.ESSENTIAL, Kind.ESSENTIAL, Kind.STREAM, Kind.PAGE, Kind.PAGE]
    assert open_to_all("/zk") == {"/zk/-/healthy", "/zk/-/ready"}


def test_relative_links() -> None:
    for prefix in ("", "/zk", "/monitors/zk"):
        for page, depth in (("/", 0), ("/browse", 0), ("/docs", 0), ("/docs/runbooks", 1), ("/a/b/c", 2)):
            for path in PATHS:
                assert urljoin(prefix + page, relative(path, depth)) == prefix + path


@pytest.mark.starts
def test_a_path_that_is_like_a_host_leads_nowhere_else() -> None:
    """Browsers take a path that begins with two slashes for another host."""
    with running(prefix="/zk") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for path in ("//evil.example", "//evil.example/zk", "/zk//evil.example"):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert (response.status, response.getheader("location")) == (404, None)
        connection.close()
