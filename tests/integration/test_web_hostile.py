"""Hostile clients: despite them, a well-behaved scraper is served in time, and memory stays bounded."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.web.connections import PLAIN_HTTP
from tests import plainhttp
from tests.faults.size import size
from tests.support import eventually
from tests.web.certificates import Authority
from tests.web.process import MEMORY_LIMIT, Server, assert_scrapes_are_quick, received
from tests.web.serve import HANDSHAKE_TIMEOUT, REQUEST_TIMEOUT

pytestmark = pytest.mark.long

#: A TLS connection alone takes some 150 KiB.
TLS_MEMORY_LIMIT = 128 * 1024 * 1024
CROWD = 1000


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    """Enough open files for many clients in this process; the server keeps the usual soft limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 4 * CROWD), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("http") / "log")
    yield running
    running.end()


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("https")
    authority = Authority(folder)
    authority.issue("server", "127.0.0.1")
    config = folder / "web.yml"
    config.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    running = Server(folder / "log", ["--config", str(config)], authority=authority)
    yield running
    running.end()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with plainhttp.Client(base_url=server.url) as one:
        yield one


@contextlib.contextmanager
def crowd(server: Server, first: bytes = b"", number: int = CROWD) -> Iterator[list[socket.socket]]:
    """Opens this many connections, and sends the same bytes on each."""
    with contextlib.ExitStack() as connections:
        clients = []
        for _ in range(number):
            client = connections.enter_context(server.connect())
            clients.append(client)
            with contextlib.suppress(ConnectionError):
                client.sendall(first)
        yield clients


def open_ones(clients: list[socket.socket]) -> int:
    """How many of the connections the server has not closed."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        return len(clients) - len(selector.select(0))


def assert_all_end(clients: list[socket.socket], within: float) -> None:
    eventually(lambda: open_ones(clients) == 0, timeout=within + 30, interval=0.1)


@pytest.mark.parametrize("first", [b"", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: "], ids=["silent", "half a request"])
def test_a_crowd_of_idle_connections(server: Server, first: bytes) -> None:
    with server.memory_grows_by_less_than(MEMORY_LIMIT), crowd(server, first) as clients:
        assert_scrapes_are_quick(server)
        assert open_ones(clients) < CROWD
        assert_all_end(clients, REQUEST_TIMEOUT)


def test_half_open_handshakes(tls_server: Server) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with tls_server.memory_grows_by_less_than(TLS_MEMORY_LIMIT):
        for _ in range(2):
            with crowd(tls_server, hello) as clients:
                assert_scrapes_are_quick(tls_server)
                assert_all_end(clients, HANDSHAKE_TIMEOUT)


def test_handshakes_that_are_no_tls(tls_server: Server) -> None:
    for first in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x80" * 1000, b"\0"):
        with tls_server.connect() as client:
            client.sendall(first)
            client.shutdown(socket.SHUT_WR)
            answer = received(client)
            assert (answer == PLAIN_HTTP) if first.startswith(b"GET") else b"HTTP" not in answer
    assert_scrapes_are_quick(tls_server, 3)


def test_slow_headers_have_an_end(server: Server) -> None:
    """Slowloris: sending a byte now and then does not extend the deadline."""
    stop = threading.Event()
    with crowd(server, b"GET /metrics HTTP/1.1\r\nHost: a\r\n", 100) as clients:

        def drip() -> None:
            while not stop.wait(0.5):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(b"X")

        begun = time.monotonic()
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert_scrapes_are_quick(server)
            assert_all_end(clients, REQUEST_TIMEOUT)
        finally:
            stop.set()
            dripping.join()
    assert time.monotonic() - begun > REQUEST_TIMEOUT - 1


def test_headers_without_end(server: Server) -> None:
    begin = b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: "
    with server.memory_grows_by_less_than(MEMORY_LIMIT):
        for _ in range(5):
            answer = server.exchange(begin + b"x" * 10 * 1024 * 1024)
            # A client that is still sending may not receive the answer.
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        eventually(lambda: server.exchange(begin + b"x" * 20_000).startswith(b"HTTP/1.1 400 "))
    assert_scrapes_are_quick(server, 3)


def test_clients_that_do_not_read(server: Server) -> None:
    asking = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20
    with server.memory_grows_by_less_than(MEMORY_LIMIT), crowd(server, asking, 50):
        assert_scrapes_are_quick(server)


def test_a_client_between_two_scrapes_outlasts_a_crowd_of_strangers(server: Server) -> None:
    with plainhttp.Client(base_url=server.url) as client:
        assert client.get("/metrics").status_code == 200
        with crowd(server):
            # httpx does not retry on a closed connection.
            assert client.get("/metrics").status_code == 200


EVENTS = b"GET /-/events HTTP/1.1\r\nHost: a\r\n\r\n"
ASKING = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
#: More than the kernel buffers for a client that does not read.
UNREAD = ASKING % b"/metrics" * 40
#: The bytes that each client sends, the number of clients, and the server's limit of open files.
SHAPES = {
    "streams, unread answers and a queue": ([(EVENTS, 128), (UNREAD, 384), (b"", 488)], 1024),
    "streams alone": ([(EVENTS, CROWD)], 1024),
    "unread answers": ([(UNREAD, CROWD)], 1024),
    "unread pages": ([(ASKING % b"/" * 40, CROWD)], 1024),
    "pages at 256 open files": ([(ASKING % b"/browse?ensemble=large&tree=wide", 128), (ASKING % b"/", 300)], 256),
    "strangers at 64 open files": ([(b"", 300), (EVENTS, 100)], 64),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_scrapes_and_probes_get_through(shape: str, tmp_path: Path) -> None:
    sent, files = SHAPES[shape]
    server = Server(tmp_path / "log", ["--large"], files=files)
    try:
        server.scrape()
        with server.memory_grows_by_less_than(4 * MEMORY_LIMIT), contextlib.ExitStack() as crowds:
            for first, number in sent:
                crowds.enter_context(crowd(server, first, number))
            for _ in range(5):
                for path in ("/metrics", "/-/healthy", "/-/ready"):
                    # Each over a new connection. Takes a second or so, more on a busy machine.
                    assert plainhttp.get(server.url + path, timeout=90).status_code in (
                        200,
                        503 if "ready" in path else 200,
                    )
    finally:
        server.end()


def test_clients_that_ask_without_a_pause_take_turns(server: Server) -> None:
    """Each client sends the next request before it has read the last answer, so that no connection is ever idle."""
    stop = threading.Event()
    with crowd(server, ASKING % b"/-/healthy", 600) as clients:

        def ask() -> None:
            while not stop.is_set():
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.setblocking(False)
                        client.send(ASKING % b"/-/healthy" * 10)
                        client.recv(65536)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for path in ("/metrics", "/-/healthy") * 2:
                # A turn of the server's loop, which may take a while on this machine.
                assert plainhttp.get(server.url + path, timeout=90).status_code == 200
        finally:
            stop.set()
            asking.join()


CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\n" + CLOSE, 200),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"BREW /metrics HTTP/1.1\r\n" + CLOSE, 405),
        (b"TRACE /metrics HTTP/1.1\r\n" + CLOSE, 405),
        (b"CONNECT a:1 HTTP/1.1\r\n" + CLOSE, 404),
        (b"OPTIONS * HTTP/1.1\r\n" + CLOSE, 404),
        (b"G(T / HTTP/1.1\r\n" + CLOSE, 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 404),
        (b"GET\r\n" + CLOSE, 400),
        (b"GET /\xff HTTP/1.1\r\n" + CLOSE, 400),
        (b"GET /%ff%00%0d%0a HTTP/1.1\r\n" + CLOSE, 404),
        (b"GET /%zz%u1234 HTTP/1.1\r\n" + CLOSE, 404),
        (b"GET //metrics HTTP/1.1\r\n" + CLOSE, 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\n" + CLOSE, 404),
        (b"GET /-/%2e%2e%2f%2e%2e%2fetc/passwd HTTP/1.1\r\n" + CLOSE, 404),
        (b"GET /metrics?name[]=%ff%00&&=&name[]=\x7f HTTP/1.1\r\n" + CLOSE, 400),
        (b"GET /metrics?name[]=%ff%00&&=& HTTP/1.1\r\n" + CLOSE, 200),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: b\r\n" + CLOSE, 400),
        (b"GET / HTTP/1.1\r\nX : 1\r\n" + CLOSE, 400),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n" + CLOSE, 400),
        (b"GET / HTTP/1.1\r\nAuthorization: Basic \xff\r\n" + CLOSE, 200),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + CLOSE, 200),
        (b"GET / HTTP/1.1\r\nExpect: 100-continue\r\n" + CLOSE, 200),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + CLOSE, 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n" + CLOSE, 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + CLOSE, 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"0\r\n\r\nGET /", 400),
    ],
)
def test_requests_that_are_not_as_they_should_be(server: Server, request_: bytes, status: int) -> None:
    answer = server.exchange(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    # The server takes nothing after the refused request for another one.
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"nosniff" in answer
    assert b"root:x:" not in answer
    if status == 405:
        assert b"\r\nallow: " in answer.lower()


def test_a_body_that_ends_badly_after_the_answer(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 405 ")
        client.sendall(b"no chunk\r\n")
        received(client)
    assert_scrapes_are_quick(server, 1)


REQUEST_LINE = (
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"/",
    b"/metrics",
    b"/browse?path=",
    b"?",
    b"name[]=",
    b"%",
    b"%00",
    b"%ff",
)
SYNTAX = (b"..", b" ", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r\n\r\n", b": ", b"q=", b";", b",", b"\0")
HEADERS = (
    b"Host: a",
    b"Accept: ",
    b"Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"Connection: close",
    b"0\r\n\r\n",
)
fragments = st.sampled_from(REQUEST_LINE + SYNTAX + HEADERS)
requests = st.one_of(st.binary(max_size=300), st.lists(fragments, max_size=40).map(b"".join))
paths = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=size(300, 100_000), deadline=None, suppress_health_check=list(HealthCheck))
@given(requests)
def test_any_bytes_are_answered_without_an_error_of_ours(server: Server, request_: bytes) -> None:
    answer = server.exchange(request_)
    assert b"HTTP/1.1 5" not in answer
    assert server.process.poll() is None


@settings(max_examples=size(200, 100_000), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["/", "/metrics", "/browse", "/-/ready"]),
    st.dictionaries(paths, paths, max_size=4),
    st.binary(max_size=40),
)
def test_any_query_and_header_is_answered_without_an_error_of_ours(
    server: Server, client: httpx.Client, path: str, query: dict[str, str], header: bytes
) -> None:
    known = {"ensemble": "main", "tree": "/services", **query}
    value = header.translate(None, bytes(range(32)) + b"\x7f").strip()
    names = (b"accept", b"accept-encoding", b"authorization", b"cookie", b"last-event-id")
    answer = client.head(path, params=known, headers=[(name, value) for name in names])
    assert answer.status_code < 500
    assert server.process.poll() is None
