"""Scrapes and probes are answered while many clients send complete requests, or ever slower ones over TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import bcrypt
import httpx
import pytest

from tests.support import eventually
from tests.web.certificates import Authority
from tests.web.process import MEMORY_LIMIT, SCRAPE_LIMIT, Server, assert_scrapes_are_quick, scrapes
from tests.web.serve import REQUEST_TIMEOUT, WIDE

PASSWORD = ("alice", "secret")
CLIENTS = 48


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Many trees, one of them wide and with data, over TLS and with a password that is slow to check."""
    folder = tmp_path_factory.mktemp("crowds")
    authority = Authority(folder)
    authority.issue("server", "127.0.0.1")
    config = folder / "web.yml"
    hashed = bcrypt.hashpw(PASSWORD[1].encode(), bcrypt.gensalt(10)).decode()
    config.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
        f"basic_auth_users: {{{PASSWORD[0]}: {hashed}}}\n"
    )
    arguments = ["--large", "--config", str(config)]
    running = Server(folder / "log", arguments, authority=authority, auth=PASSWORD)
    running.scrape()
    yield running
    running.end()


def request(path: str, password: str = PASSWORD[1]) -> bytes:
    authorization = base64.b64encode(f"{PASSWORD[0]}:{password}".encode())
    return b"GET %s HTTP/1.1\r\nHost: a\r\nAuthorization: Basic %s\r\n\r\n" % (path.encode(), authorization)


@contextlib.contextmanager
def crowd(server: Server, asking: bytes) -> Iterator[dict[int, int]]:
    """Runs this many clients that repeat requests; the block begins once all are connected, and counts at its end."""
    assert server.authority is not None
    command = [sys.executable, "-m", "tests.web.crowd", str(CLIENTS), str(server.port), str(server.authority.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        try:
            clients.stdin.write(asking)
            clients.stdin.close()
            assert clients.stdout.readline() == b"answered\n"
            answers: dict[int, int] = {}
            yield answers
        finally:
            clients.terminate()
        answers.update({int(status): number for status, number in json.loads(clients.stdout.read()).items()})


@pytest.mark.parametrize(
    ("asking", "statuses"),
    [
        (request(f"/browse?ensemble=large&tree={WIDE}&path=/child-09"), {200}),
        (request(f"/browse?ensemble=large&tree={WIDE}&view=json"), {200}),
        (request("/"), {200}),
        (request("/metrics"), {200}),
        (request("/", "wrong"), {401}),
    ],
    ids=["children", "deep data", "status", "metrics", "wrong passwords"],
)
def test_a_crowd_of_complete_requests(server: Server, asking: bytes, statuses: set[int]) -> None:
    with server.memory_grows_by_less_than(2 * MEMORY_LIMIT), crowd(server, asking) as answers:
        # The machine may be busy otherwise, but not all the time.
        eventually(lambda: max(scrapes(server)) < SCRAPE_LIMIT, timeout=60)
        assert httpx.get(f"{server.url}/-/healthy", verify=server.verify, timeout=10).status_code == 200
    assert set(answers) == statuses


def test_slow_headers_by_tls(server: Server) -> None:
    stop, gone = threading.Event(), set()
    with contextlib.ExitStack() as connections:
        clients = [
            connections.enter_context(server.verify.wrap_socket(server.connect(), server_hostname="127.0.0.1"))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: ")

        def drip() -> None:
            while not stop.wait(0.2):
                for client in clients:
                    try:
                        client.send(b"X")
                    except OSError:
                        gone.add(client)

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert_scrapes_are_quick(server)
            eventually(lambda: len(gone) == CLIENTS, timeout=REQUEST_TIMEOUT + 30)
        finally:
            stop.set()
            dripping.join()
