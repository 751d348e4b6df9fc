"""Requests are encoded, and answers decoded, as ZooKeeper's jute definitions say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.zookeeper.wire import (
    NO_NODE,
    AddWatch,
    Check,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    RemoveWatches,
    Sync,
    WatchingRead,
)

STAT = bytes(range(68))


def string(text: str) -> bytes:
    return struct.pack("!i", len(text.encode())) + text.encode()


def result(kind: int, body: bytes) -> bytes:
    return struct.pack("!iBi", kind, False, 0) + body


END = struct.pack("!iBi", -1, True, -1)


def test_add_watch_is_persistent_and_recursive() -> None:
    assert AddWatch("/ä").serialize() == string("/ä") + struct.pack("!i", 1)


def test_remove_watches_removes_any_kind() -> None:
    assert RemoveWatches("/a").serialize() == string("/a") + struct.pack("!i", 3)


def test_sync_is_a_path() -> None:
    assert Sync("/a").serialize() == string("/a")


def test_check_is_a_multi_of_one_check_of_any_version() -> None:
    check = struct.pack("!iBi", 13, False, -1) + string("/a") + struct.pack("!i", -1)
    assert Check("/a").serialize() == check + END


def test_multi_read_asks_for_data_and_for_pairs_of_data_and_children() -> None:
    request = MultiRead("/root", ["", "/a"], ["/b"])
    header = struct.Struct("!iBi").pack
    assert request.operations == 4
    assert request.serialize() == (
        header(4, False, -1)
        + string("/root")
        + b"\0"
        + header(4, False, -1)
        + string("/root/a")
        + b"\0"
        + header(4, False, -1)
        + string("/root/b")
        + b"\0"
        + header(8, False, -1)
        + string("/root/b")
        + b"\0"
        + END
    )


def test_root_of_the_server_is_a_slash() -> None:
    assert string("/") in MultiRead("", [""], []).serialize()
    assert string("/") in MultiRead("", [], [""]).serialize()


def test_answers_are_records_names_and_error_codes() -> None:
    body = (
        b"header"
        + result(4, string("data") + STAT)
        + result(-1, struct.pack("!i", NO_NODE))
        + result(4, struct.pack("!i", -1) + STAT)
        + result(8, struct.pack("!i", 2) + string("x") + string("ü"))
        + END
    )
    answers = MultiRead("", ["/a", "/b"], ["/c"]).decode(body, len(b"header"))
    assert answers == [string("data") + STAT, NO_NODE, struct.pack("!i", -1) + STAT, ["x", "ü"]]


@given(st.binary(max_size=60))
def test_no_bytes_are_taken_for_an_answer_to_another_request(body: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        MultiRead("", ["/a", "/b"], []).decode(body, 0)


def test_unknown_operation_in_an_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="operation 12"):
        MultiRead("", ["/a"], []).decode(result(12, bytes(100)), 0)


@pytest.mark.parametrize(
    "request_", [AddWatch("/a"), RemoveWatches("/a"), Sync("/a"), MultiRead("", ["/a"] * 9999, [])]
)
def test_reprs_are_short_since_kazoo_logs_them(request_: object) -> None:
    assert len(repr(request_)) < 60


@pytest.mark.parametrize("request_", [GetData("/app", "/a"), GetChildren("/app", ""), Exists("/app")])
def test_a_read_without_its_watch_is_another_request_for_the_same(request_: WatchingRead) -> None:
    twin = request_.without_watch()
    assert (twin.type, twin.path, twin.watch, request_.watch) == (request_.type, request_.path, False, True)
    body = request_.serialize()
    assert (body[-1:], twin.serialize()) == (b"\1", body[:-1] + b"\0")
    assert request_.size == twin.size == len(body)
