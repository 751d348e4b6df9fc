"""Whose a server's connections are: counted by address, whichever way a release writes it, and never made up."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.servers.clients import SHOWN, most_connected, parse_connections, parse_cons
from exporter.servers.failures import PollError
from tests.servers import recorded

REST = "(queued=0,recved=1,sent=1,sid=0x10000b2d9de0001,lop=SESS,est=1796027963466,to=10000,lcxid=0x0,lzxid=0x2)"


def cons(*clients: str) -> str:
    """An answer to `cons` with these texts for the clients' addresses and ports."""
    return "".join(f" {client}[1]{REST}\n" for client in clients) + "\n"


def connections(*clients: str) -> bytes:
    """The same of AdminServer."""
    return json.dumps({"connections": [{"remote_socket_address": client} for client in clients]}).encode()


@pytest.mark.parametrize("release", recorded.RELEASES)
@pytest.mark.parametrize("role", ["leader", "follower"])
def test_each_release_lists_its_clients(release: str, role: str) -> None:
    text = recorded.text(release, f"cons.{role}")
    assert parse_cons(text) == {"127.0.0.1": len(text.strip().splitlines())}


@pytest.mark.parametrize("release", ["3.6.3", "3.9.5"])
def test_adminserver_lists_them_too(release: str) -> None:
    assert parse_connections(200, recorded.json(release, "admin.connections")) == {"127.0.0.1": 2}


@pytest.mark.parametrize(
    ("in_cons", "at_admin", "address"),
    [
        ("/10.1.2.3:40000", "10.1.2.3:40000", "10.1.2.3"),
        ("web-1.example/10.1.2.3:40000", "Web-1.example:40000", None),
        ("/0:0:0:0:0:0:0:1:40000", "[0:0:0:0:0:0:0:1]:40000", "::1"),
        ("/[2001:db8:0:0:0:0:0:5]:40000", "[2001:db8:0:0:0:0:0:5]:40000", "2001:db8::5"),
        ("/fe80:0:0:0:1:2:3:4%eth0:40000", "[fe80:0:0:0:1:2:3:4%eth0]:40000", "fe80::1:2:3:4%eth0"),
        ("/[::ffff:10.1.2.3]:40000", "[::ffff:10.1.2.3]:40000", "10.1.2.3"),
    ],
)
def test_an_address_has_one_form(in_cons: str, at_admin: str, address: str | None) -> None:
    assert parse_cons(cons(in_cons)) == {address or "10.1.2.3": 1}
    # AdminServer leaves the address out where it knows the name.
    assert parse_connections(200, connections(at_admin)) == {address or "web-1.example": 1}


def test_lines_may_end_as_on_windows() -> None:
    assert parse_cons(cons("/10.1.2.3:1").replace("\n", "\r\n")) == {"10.1.2.3": 1}


def test_connections_with_and_without_tls_count_together() -> None:
    one = [{"remote_socket_address": "10.1.2.3:40000"}]
    said = {"connections": one, "secure_connections": one, "error": None}
    assert parse_connections(200, json.dumps(said).encode()) == {"10.1.2.3": 2}


def test_the_addresses_with_most_over_all_servers_are_shown() -> None:
    number = 2 * SHOWN
    of_servers = [{f"10.0.0.{i}": 1 + i, "10.9.9.9": 1 + i} for i in range(number)]
    total = sum(range(1, number + 1))
    expected = {"10.9.9.9": total} | {f"10.0.0.{i}": 1 + i for i in range(number - SHOWN + 1, number)}
    assert most_connected(of_servers) == expected
    assert list(most_connected(of_servers)) == sorted(expected, key=lambda address: -expected[address])


@given(order=st.permutations([f"10.0.0.{i}" for i in range(2 * SHOWN)]))
def test_of_equal_ones_always_the_same_are_shown(order: list[str]) -> None:
    assert most_connected([dict.fromkeys(order, 1)]) == dict.fromkeys(sorted(order)[:SHOWN], 1)


@pytest.mark.parametrize(
    "entry", ["null", "/:1", "/10.1.2.3", "/a b:1", "/[]:1", "10.1.2.3:1", "/[::1%a b]:1", "/" + "x" * 300 + ":1"]
)
def test_what_is_no_address_is_left_out(entry: str) -> None:
    assert parse_cons(cons(entry, "/10.9.9.9:1")) == {"10.9.9.9": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cons is not executed because it is not in the whitelist.\n",
        "This ZooKeeper instance is not currently serving requests\n",
        cons("/10.1.2.3:1")[:-1],
        cons("/10.1.2.3:1")[:40],
    ],
)
def test_a_refusal_and_a_part_of_an_answer_say_nothing(text: str) -> None:
    with pytest.raises(PollError):
        parse_cons(text)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b""), (200, b"[]"), (404, b"{}"), (403, connections("10.1.2.3:1")), (200, b'{"error": "no such command"}')],
)
def test_an_answer_that_is_none_says_nothing(status: int, body: bytes) -> None:
    with pytest.raises(PollError):
        parse_connections(status, body)


@pytest.mark.parametrize("said", [[], None, 1, "x", [1, "x", None, [], {}, {"remote_socket_address": 1}]])
def test_other_shapes_are_left_out(said: object) -> None:
    one = [{"remote_socket_address": "10.1.2.3:1"}]
    body = json.dumps({"connections": said, "secure_connections": one}).encode()
    assert parse_connections(200, body) == {"10.1.2.3": 1}


ANY_TEXT = st.text(st.characters(exclude_categories=[]))
HOSTS = ANY_TEXT | ANY_TEXT.map("[::1%{}]".format) | ANY_TEXT.map("[{}]".format)


@given(ANY_TEXT, HOSTS.map("{}:1".format) | st.none() | st.integers())
def test_garbage_never_ends_in_a_label_that_is_none(text: str, entry: object) -> None:
    body = json.dumps({"connections": [{"remote_socket_address": entry}]}).encode()
    found = [*parse_connections(200, body), *parse_cons(f" /{entry}[{text}\n\n")]
    with contextlib.suppress(PollError):
        found += parse_cons(text + "\n\n")
    assert all(len(address.encode()) <= 300 and address.isprintable() for address in found)


@given(st.binary())
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    with contextlib.suppress(PollError):
        parse_connections(200, body)
