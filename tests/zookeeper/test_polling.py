"""The polling select behaves as kazoo's own does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.zookeeper.kazoo.polling import PollingHandler


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    yield left, right
    left.close()
    right.close()


@pytest.mark.parametrize("handler", [SequentialThreadingHandler(), PollingHandler(SequentialThreadingHandler())])
class TestSelect:
    def test_nothing_to_read_in_time(self, handler: PollingHandler, pair: tuple[socket.socket, socket.socket]) -> None:
        assert handler.select([pair[0]], [], [], 0.01) == ([], [], [])

    def test_what_can_be_read(self, handler: PollingHandler, pair: tuple[socket.socket, socket.socket]) -> None:
        pair[1].send(b"x")
        assert handler.select([pair[0], pair[1]], [], [], 10) == ([pair[0]], [], [])

    def test_what_can_be_written(self, handler: PollingHandler, pair: tuple[socket.socket, socket.socket]) -> None:
        assert handler.select([], [pair[0]], [], None) == ([], [pair[0]], [])

    def test_end_of_a_connection_can_be_read(
        self, handler: PollingHandler, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        pair[1].close()
        assert handler.select([pair[0]], [], [], 10)[0] == [pair[0]]

    def test_closed_socket_is_refused(self, handler: PollingHandler, pair: tuple[socket.socket, socket.socket]) -> None:
        pair[0].close()
        with pytest.raises((TypeError, ValueError), match="file descriptor"):
            handler.select([pair[0]], [], [], 0)


def test_everything_else_is_the_other_handlers() -> None:
    handler = SequentialThreadingHandler()
    polling = PollingHandler(handler)
    assert polling.timeout_exception is handler.timeout_exception
    assert polling.running == handler.running


class TestPause:
    def test_what_is_sent_meanwhile_is_read_after_it(self, pair: tuple[socket.socket, socket.socket]) -> None:
        here, there = pair
        there.send(b"x")
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as requests:
            polling = PollingHandler(SequentialThreadingHandler(), lambda: 0.05)
            assert polling.select([here, requests], [], [], 0) == ([here], [], [])
        assert time.monotonic() - began >= 0.05

    def test_a_request_ends_it(self, pair: tuple[socket.socket, socket.socket]) -> None:
        here, there = pair
        there.send(b"x")
        polling = PollingHandler(SequentialThreadingHandler(), lambda: 3600.0)
        assert polling.select([there, here], [], [], 10) == ([here], [], [])

    def test_waiting_for_one_socket_has_none(self, pair: tuple[socket.socket, socket.socket]) -> None:
        pair[1].send(b"x")
        polling = PollingHandler(SequentialThreadingHandler(), lambda: 3600.0)
        assert polling.select([pair[0]], [], [], 10) == ([pair[0]], [], [])
