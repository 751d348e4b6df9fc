"""Which connections end when there are too many: in which order, of which address, and which never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exporter.web.lobby import Kind, Lobby, network_of


class Client(asyncio.Transport):
    """A connection from this address."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__()
        self._address = address
        self.left = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._address, 1) if name == "peername" else default

    def abort(self) -> None:
        self.left = True


def enter(lobby: Lobby, number: int, kind: Kind = Kind.STRANGER, address: str = "192.0.2.1") -> list[Client]:
    """Clients that all got a place, which they may have lost again."""
    clients = [Client(address) for _ in range(number)]
    for client in clients:
        lobby.enter(client)
        if kind is Kind.IDLE:
            lobby.busy(client, Kind.ESSENTIAL)
            lobby.idle(client)
        elif kind is Kind.SLOW:
            lobby.busy(client, Kind.ESSENTIAL)
            lobby.slow(client, lambda: 1)
        elif kind is not Kind.STRANGER:
            lobby.busy(client, kind)
    return clients


def left(clients: list[Client]) -> int:
    return sum(client.left for client in clients)


def test_the_order() -> None:
    lobby = Lobby(16)
    kinds = [Kind.PAGE, Kind.STREAM, Kind.SLOW, Kind.IDLE, Kind.ESSENTIAL]
    groups = {kind: enter(lobby, 2, kind) for kind in kinds}
    strangers = enter(lobby, 6)
    leaving = [Kind.STRANGER, Kind.STRANGER, Kind.IDLE, Kind.IDLE, Kind.SLOW, Kind.SLOW, Kind.STREAM, Kind.STREAM]
    for number, kind in enumerate(leaving, 1):
        before = left(strangers if kind is Kind.STRANGER else groups[kind])
        enter(lobby, 1, Kind.ESSENTIAL)
        assert left(strangers if kind is Kind.STRANGER else groups[kind]) == before + 1, number
        assert len(lobby) == 16
    assert [client.left for client in strangers] == [True, True, False, False, False, False]
    assert left(groups[Kind.ESSENTIAL]) == 0


@pytest.mark.parametrize("kind", [Kind.STRANGER, Kind.IDLE, Kind.SLOW, Kind.STREAM, Kind.PAGE])
def test_any_crowd_makes_room_for_a_scrape(kind: Kind) -> None:
    lobby = Lobby(16)
    enter(lobby, 100, kind)
    (scrape,) = enter(lobby, 1, Kind.ESSENTIAL)
    enter(lobby, 100, kind)
    assert not scrape.left


def test_a_newcomer_gets_as_far_as_its_request() -> None:
    lobby = Lobby(64)
    enter(lobby, 64, Kind.SLOW)
    (newcomer,) = enter(lobby, 1)
    enter(lobby, 15)
    assert not newcomer.left


def test_scrapes_alone_are_not_pushed_out() -> None:
    lobby = Lobby(16)
    scrapes = enter(lobby, 16, Kind.ESSENTIAL)
    (late,) = enter(lobby, 1)
    assert (left(scrapes), late.left, len(lobby)) == (0, True, 16)


@pytest.mark.parametrize("kind", [Kind.STRANGER, Kind.IDLE, Kind.SLOW])
def test_those_of_the_address_with_the_most_leave_first(kind: Kind) -> None:
    lobby = Lobby(16)
    (alone,) = enter(lobby, 1, kind, "198.51.100.1")
    crowd = enter(lobby, 15, kind)
    enter(lobby, 10, Kind.ESSENTIAL)
    assert (alone.left, left(crowd)) == (False, 10)


@pytest.mark.parametrize("kind", [Kind.STREAM, Kind.PAGE])
def test_streams_and_pages_have_a_share_of_which_each_address_gets_a_part(kind: Kind) -> None:
    lobby = Lobby(16)
    crowd = enter(lobby, 4, kind)
    (one_more, other) = Client(), Client("198.51.100.1")
    for client in (one_more, other):
        lobby.enter(client)
    assert not lobby.busy(one_more, kind)
    assert left(crowd) == 0
    assert lobby.busy(other, kind)
    assert [client.left for client in crowd] == [True, False, False, False]


def test_a_slow_stream_keeps_its_place_until_another_wants_it() -> None:
    lobby = Lobby(16)
    crowd = enter(lobby, 4, Kind.STREAM)
    lobby.slow(crowd[2], lambda: 1)
    (late,) = enter(lobby, 1, Kind.STREAM)
    assert [client.left for client in [*crowd, late]] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
