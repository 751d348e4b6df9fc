"""The listening sockets: the addresses that they answer on, and the files of Unix sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.config.settings import ListenAddress, SettingsError, UnixAddress, parse_listen_address
from exporter.web.listening import base_url, listen, listening
from exporter.web.server import serving
from tests import plainhttp


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exporter.sock"


def knock(path: Path) -> None:
    """Connects and sends nothing."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("text", [":0", "[::]:0"])
def test_every_address_is_of_ipv4_and_ipv6_as_in_go(text: str) -> None:
    with listening([parse_listen_address(text)]) as (listener,):
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()
        assert base_url(listener) == f"http://localhost:{port}"


def test_an_ipv4_address_in_the_form_of_ipv6() -> None:
    with listening([parse_listen_address("[::ffff:127.0.0.1]:0")]) as (listener,):
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])).close()


def test_the_url_of_an_ipv6_address_has_brackets() -> None:
    with listen(ListenAddress("::1", 0)) as listener:
        assert base_url(listener) == f"http://[::1]:{listener.getsockname()[1]}"


@pytest.mark.parametrize("address", [ListenAddress("192.0.2.1", 0), ListenAddress("nowhere.invalid", 0)])
def test_an_address_of_another_machine_is_refused(address: ListenAddress) -> None:
    with pytest.raises(SettingsError, match=rf"^--web.listen-address={address}: cannot listen there: \w.+; accepted: "):
        listen(address)


@pytest.mark.starts
def test_all_are_served_at_once(path: Path) -> None:
    def greet(request: Request) -> Response:
        return PlainTextResponse(f"hello {request.client.host if request.client else 'you'}")

    async def ask() -> list[str]:
        addresses = (ListenAddress("127.0.0.1", 0), ListenAddress("::1", 0), UnixAddress(path))
        with listening(addresses) as listeners:
            urls = [base_url(listener) for listener in listeners]
            assert urls[2] == f"unix://{path}"
            async with (
                serving(Starlette(routes=[Route("/", greet)]), listeners),
                plainhttp.AsyncClient() as client,
                plainhttp.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as local,
            ):
                answers = [await client.get(urls[0]), await client.get(urls[1]), await local.get("http://exporter/")]
        return [answer.text for answer in answers]

    assert asyncio.run(ask()) == ["hello 127.0.0.1", "hello ::1", "hello you"]
    assert not path.exists()


def test_the_url_of_a_unix_socket_without_a_file() -> None:
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind("\0treecache-exporter-test-" + os.urandom(8).hex())
        assert base_url(passed).startswith("unix://@treecache-exporter-test-")


def test_one_address_that_cannot_be_had_closes_the_others(path: Path) -> None:
    with pytest.raises(SettingsError), listening([UnixAddress(path), UnixAddress(path)]):
        pass
    assert not path.exists()


def test_a_unix_socket_is_for_its_owner_and_group(path: Path) -> None:
    before = os.umask(0)
    try:
        with listening([UnixAddress(path)]):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with listening([UnixAddress(path)]):
        knock(path)


def test_a_socket_that_somebody_listens_on_stays(path: Path) -> None:
    with listening([UnixAddress(path)]):
        with pytest.raises(
            SettingsError, match=f"^--web.listen-address=unix://{path}: cannot listen there: Address al"
        ):
            listen(UnixAddress(path))
        knock(path)


def test_a_file_that_is_no_socket_stays(path: Path) -> None:
    for make in (path.write_text, lambda _text: path.symlink_to(path.parent / "elsewhere")):
        make("precious")
        with pytest.raises(
            SettingsError, match="cannot listen there: File exists; accepted: a path in a writable folder"
        ):
            listen(UnixAddress(path))
        assert path.is_symlink() or path.read_text() == "precious"
        path.unlink()


def test_a_folder_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot listen there: No such file or directory; accepted: a path in a"):
        listen(UnixAddress(tmp_path / "none" / "exporter.sock"))


def test_the_socket_of_another_process_is_not_removed(path: Path) -> None:
    with listening([UnixAddress(path)]):
        path.unlink()
        other = listen(UnixAddress(path))
    assert path.exists()
    other.close()
