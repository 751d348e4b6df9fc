"""What is learnt of a server from how it takes recursive watches and bulk reads."""

from __future__ import annotations

import pytest

from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.wire import MARSHALLING_ERROR, OK, UNIMPLEMENTED, AddWatch, MultiRead, Request, Sync

SERVER = "server:2181"


@pytest.fixture
def capabilities() -> Capabilities:
    return Capabilities()


def hang_up(capabilities: Capabilities, request: Request, after: float = 0.1) -> None:
    capabilities.asked(request, 10.0)
    capabilities.disconnected(SERVER, 10.0 + after)


@pytest.mark.parametrize("error", [UNIMPLEMENTED, MARSHALLING_ERROR])
@pytest.mark.parametrize("request_", [AddWatch("/"), MultiRead("", [], [])])
def test_one_refusal_is_enough_for_that_server(capabilities: Capabilities, request_: Request, error: int) -> None:
    capabilities.asked(request_, 10.0)
    capabilities.answered(request_, error, SERVER)
    assert not capabilities.recursive(SERVER)
    assert capabilities.recursive("another:2181")


def test_other_errors_and_other_requests_say_nothing(capabilities: Capabilities) -> None:
    capabilities.answered(AddWatch("/"), -127, SERVER)
    capabilities.answered(Sync("/"), UNIMPLEMENTED, SERVER)
    assert capabilities.recursive(SERVER)


def test_three_connections_in_a_row_that_end_for_it_are_a_refusal(capabilities: Capabilities) -> None:
    hang_up(capabilities, AddWatch("/"))
    hang_up(capabilities, AddWatch("/"))
    assert capabilities.recursive(SERVER)
    hang_up(capabilities, AddWatch("/"))
    assert not capabilities.recursive(SERVER)


def test_a_connection_that_ends_much_later_ends_for_something_else(capabilities: Capabilities) -> None:
    for _ in range(10):
        hang_up(capabilities, AddWatch("/"), after=5.0)
    assert capabilities.recursive(SERVER)


def test_an_answer_ends_the_suspicion_until_the_next_connection(capabilities: Capabilities) -> None:
    hang_up(capabilities, AddWatch("/"))
    hang_up(capabilities, AddWatch("/"))
    capabilities.asked(AddWatch("/"), 10.0)
    capabilities.answered(AddWatch("/"), OK, SERVER)
    hang_up(capabilities, AddWatch("/"))
    hang_up(capabilities, AddWatch("/"))
    assert capabilities.recursive(SERVER)


def test_each_kind_of_request_is_judged_by_itself(capabilities: Capabilities) -> None:
    for _ in range(3):
        capabilities.asked(AddWatch("/"), 10.0)
        capabilities.answered(AddWatch("/"), OK, SERVER)
        hang_up(capabilities, MultiRead("", [], []))
    assert not capabilities.recursive(SERVER)
