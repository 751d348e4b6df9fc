"""Findings about a server: how long they hold, and how often the server is asked."""

from __future__ import annotations

from itertools import pairwise

import pytest

from exporter.zookeeper.capabilities import REQUEST_BYTES, TOO_LONG, TOO_MUCH, Capabilities
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    OK,
    UNIMPLEMENTED,
    AddWatch,
    Check,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    Request,
    Sync,
)

SERVER = "server:2181"


@pytest.fixture
def capabilities() -> Capabilities:
    return Capabilities()


def bulk(size: int) -> MultiRead:
    request = MultiRead("", ["", "/" + "x" * (size - 39)], [])
    request.serialize()
    assert request.size == size
    return request


def send(capabilities: Capabilities, request: Request, at: float) -> None:
    capabilities.asked(request, at)
    request.serialize()


def hang_up(capabilities: Capabilities, request: Request, at: float = 10.0, after: float = 0.1) -> int | None:
    send(capabilities, request, at)
    return capabilities.disconnected(SERVER, at + after)


def answer(capabilities: Capabilities, request: Request, error: int = OK, at: float = 10.0) -> None:
    send(capabilities, request, at)
    capabilities.answered(request, error, SERVER, at)


def test_a_server_is_asked_before_it_is_used(capabilities: Capabilities) -> None:
    assert capabilities.recursive(SERVER, 0.0) is None
    capabilities.found(SERVER, True, 0.0)
    assert capabilities.recursive(SERVER, 0.0) is True
    capabilities.disconnected(SERVER, 0.0)
    assert capabilities.recursive("another:2181", 0.0) is None


def test_a_yes_is_believed_for_an_hour_of_connections_and_for_the_whole_of_one(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    assert capabilities.recursive(SERVER, 1e6) is True
    capabilities.disconnected(SERVER, 10.0)
    assert capabilities.recursive(SERVER, 3599.0) is True
    assert capabilities.recursive(SERVER, 3601.0) is None


def test_a_no_holds_for_its_connection_and_is_asked_again_on_the_next(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, False, 0.0)
    assert capabilities.recursive(SERVER, 1e6) is False
    assert capabilities.ask_in(SERVER, 1e6) is None
    capabilities.disconnected(SERVER, 1e6)
    assert capabilities.recursive(SERVER, 1e6) is None


def test_a_connection_that_comes_and_goes_is_asked_ever_less_often(capabilities: Capabilities) -> None:
    asked_at: list[float] = []
    for second in range(7200):
        if capabilities.recursive(SERVER, float(second)) is None:
            asked_at.append(second)
            capabilities.found(SERVER, False, float(second))
        capabilities.disconnected(SERVER, float(second))
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == pauses[-1] == 600
    capabilities.found(SERVER, True, 7200.0)
    answer(capabilities, MultiRead("", [], []), at=7200.0)
    capabilities.disconnected(SERVER, 7200.0)
    capabilities.found(SERVER, False, 7201.0)
    capabilities.disconnected(SERVER, 7201.0)
    assert capabilities.ask_in(SERVER, 7201.0) == 1.0, "an answer ends the back-off"


def test_a_server_that_an_inquiry_praises_and_the_connection_refutes_is_tried_ever_less_often(
    capabilities: Capabilities,
) -> None:
    """A proxy is between the server and the client, but not between the server and the inquiry."""
    pauses = []
    for _ in range(4):
        capabilities.found(SERVER, True, 10.0)
        answer(capabilities, AddWatch("/"))
        answer(capabilities, MultiRead("", [], []), UNIMPLEMENTED)
        capabilities.disconnected(SERVER, 10.0)
        pauses.append(capabilities.ask_in(SERVER, 10.0))
    assert pauses == [1, 2, 4, 8]


def test_each_kind_of_request_is_judged_by_itself(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    for _ in range(3):
        answer(capabilities, AddWatch("/"))
        hang_up(capabilities, MultiRead("", [], []))
    assert capabilities.recursive(SERVER, 10.0) is False


def test_an_inquiry_without_an_answer_is_made_again_on_the_same_connection(
    capabilities: Capabilities,
) -> None:
    capabilities.found(SERVER, None, 0.0)
    assert capabilities.recursive(SERVER, 0.0) is False
    assert capabilities.ask_in(SERVER, 0.25) == 0.75
    assert capabilities.recursive(SERVER, 1.0) is None


def test_what_was_known_stands_when_an_inquiry_has_no_answer(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    capabilities.disconnected(SERVER, 0.0)
    capabilities.found(SERVER, None, 4000.0)
    assert capabilities.recursive(SERVER, 4000.5) is True


@pytest.mark.parametrize("error", [UNIMPLEMENTED, MARSHALLING_ERROR])
@pytest.mark.parametrize("request_", [AddWatch("/"), MultiRead("", [], [])])
def test_a_refusal_on_the_clients_connection_counts_too(
    capabilities: Capabilities, request_: Request, error: int
) -> None:
    capabilities.found(SERVER, True, 0.0)
    answer(capabilities, request_, error)
    assert capabilities.recursive(SERVER, 10.0) is False


def test_other_errors_and_other_requests_say_nothing(capabilities: Capabilities) -> None:
    answer(capabilities, AddWatch("/"), -127)
    answer(capabilities, Sync("/"), UNIMPLEMENTED)
    assert capabilities.recursive(SERVER, 10.0) is None


def test_three_connections_in_a_row_that_end_for_it_are_a_refusal(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    for _ in range(2):
        hang_up(capabilities, AddWatch("/"))
        assert capabilities.recursive(SERVER, 10.0)
    hang_up(capabilities, AddWatch("/"))
    assert capabilities.recursive(SERVER, 10.0) is False


def test_a_connection_that_ends_much_later_ends_for_something_else(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    for _ in range(10):
        assert hang_up(capabilities, AddWatch("/"), after=5.0) is None
        assert hang_up(capabilities, bulk(40_000), after=5.0) is None
    assert capabilities.recursive(SERVER, 10.0)
    assert capabilities.request_bytes(SERVER) == REQUEST_BYTES


def test_an_answer_ends_the_suspicion(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    for _ in range(3):
        hang_up(capabilities, AddWatch("/"))
        hang_up(capabilities, AddWatch("/"))
        answer(capabilities, AddWatch("/"))
    assert capabilities.recursive(SERVER, 10.0)


def test_long_requests_get_shorter_before_a_server_is_doubted(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    answer(capabilities, bulk(2000))
    limits = [hang_up(capabilities, bulk(size)) for size in (48_000, 24_000, 12_000, 6_000, 3_000)]
    assert limits == [24_000, 12_000, 6_000, 3_000, 2_000]
    assert capabilities.recursive(SERVER, 10.0)
    assert capabilities.request_bytes(SERVER) == 2000
    assert capabilities.request_bytes("another:2181") == REQUEST_BYTES


def test_what_was_taken_once_is_not_suspected_of_its_length(capabilities: Capabilities) -> None:
    answer(capabilities, bulk(40_000))
    assert hang_up(capabilities, bulk(30_000)) is None
    assert capabilities.request_bytes(SERVER) == REQUEST_BYTES


@pytest.mark.parametrize(
    "request_",
    [
        MultiRead("/" + "n" * 5000, [""], []),
        GetData("/" + "n" * 5000, ""),
        GetChildren("/" + "n" * 5000, ""),
        Exists("/" + "n" * 5000),
        AddWatch("/" + "n" * 5000),
        Check("/" + "n" * 5000),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_for_one_path_that_is_hung_up_on_three_times_is_not_sent_any_more(
    capabilities: Capabilities, request_: Request
) -> None:
    longer, shorter = MultiRead("/" + "n" * 6000, [], [""]), MultiRead("/" + "n" * 3000, [""], [])
    two = MultiRead("/" + "n" * 6000, ["", ""], [])
    for _ in range(3):
        assert capabilities.refuses(request_, SERVER, 10.0) is None
        assert hang_up(capabilities, request_) is None
    refused = [capabilities.refuses(request, SERVER, 20.0) for request in (request_, longer, shorter, two)]
    assert refused == [TOO_LONG, TOO_LONG, None, None]
    assert capabilities.refuses(request_, "another:2181", 20.0) is None
    assert capabilities.refuses(request_, SERVER, 10_000.0) is None, "its limit may have been raised by then"
    hang_up(capabilities, request_, at=10_000.0)
    assert capabilities.refuses(request_, SERVER, 10_001.0) == TOO_LONG, "once is enough after an earlier refusal"


def test_shorter_answers_between_hang_ups_do_not_clear_what_is_longer(capabilities: Capabilities) -> None:
    long, short = GetData("/" + "n" * 5000, ""), GetData("/" + "n" * 4000, "")
    for _ in range(3):
        answer(capabilities, short)
        hang_up(capabilities, long)
    assert capabilities.refuses(long, SERVER, 10.0) == TOO_LONG
    assert capabilities.refuses(short, SERVER, 10.0) is None


def test_an_answer_that_is_as_long_clears_it(capabilities: Capabilities) -> None:
    long = GetData("/" + "n" * 5000, "")
    for _ in range(3):
        hang_up(capabilities, long)
        hang_up(capabilities, long)
        answer(capabilities, long)
    assert capabilities.refuses(long, SERVER, 10.0) is None


def test_more_lengths_of_a_server_that_hangs_up_are_found_at_once(capabilities: Capabilities) -> None:
    for _ in range(3):
        hang_up(capabilities, GetData("/" + "n" * 5000, ""), at=10.0)
    hang_up(capabilities, GetData("/" + "n" * 4000, ""), at=20.0)
    assert capabilities.refuses(GetData("/" + "n" * 4500, ""), SERVER, 20.0) == TOO_LONG
    hang_up(capabilities, GetData("/" + "n" * 3000, ""), at=200.0)
    assert capabilities.refuses(GetData("/" + "n" * 3000, ""), SERVER, 200.0) is None


def test_a_server_may_take_less_after_a_restart(capabilities: Capabilities) -> None:
    capabilities.found(SERVER, True, 0.0)
    answer(capabilities, bulk(40_000))
    capabilities.disconnected(SERVER, 10.0)
    limits = [hang_up(capabilities, bulk(size)) for size in (40_000, 40_000, 40_000, 20_000, 10_000)]
    assert limits == [None, None, 20_000, 10_000, 5_000]
    assert capabilities.recursive(SERVER, 10.0)


def test_a_znode_whose_answer_is_too_long_rests_longer_each_time(capabilities: Capabilities) -> None:
    wide, now, rests = MultiRead("/wide", [], [""]), 10.0, []
    assert capabilities.answered_at_length(bulk(40_000), SERVER, now) == 20_000
    for _ in range(8):
        assert capabilities.answered_at_length(wide, SERVER, now) is None
        assert capabilities.refuses(GetChildren("/wide", ""), SERVER, now) == TOO_MUCH
        assert capabilities.refuses(GetData("/wide", ""), SERVER, now) == TOO_MUCH
        assert capabilities.refuses(Exists("/wide"), SERVER, now) is None
        assert capabilities.refuses(GetData("/narrow", ""), SERVER, now) is None
        rests.append(next(rest for rest in range(10_000) if not capabilities.refuses(wide, SERVER, now + rest)))
        now += rests[-1]
    assert rests == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert capabilities.request_bytes(SERVER) == 20_000
