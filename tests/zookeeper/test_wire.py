"""Requests are encoded, and answers decoded, as ZooKeeper's jute definitions say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.zookeeper import wire
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


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
NAME_LISTS = st.lists(NAME | st.sampled_from(["x" * 255, "x" * 256, "ü" * 127, "ü" * 128, "y" * 70_000]), max_size=60)
NAME_LISTS |= st.lists(st.sampled_from(["lock-0000000017", "lock-0000000018", "löck-000000017"]), max_size=60)


def names_answer(names: list[bytes]) -> bytes:
    """The answer to a read and a list of one path."""
    body = struct.pack("!i", len(names)) + b"".join(struct.pack("!i", len(name)) + name for name in names)
    return result(4, string("data") + STAT) + result(8, body)


@given(NAME_LISTS)
def test_names_of_any_length_and_number_are_decoded(names: list[str]) -> None:
    body = (
        names_answer([name.encode() for name in names]) + result(4, string("next") + STAT) + result(8, bytes(4)) + END
    )
    answers = MultiRead("", [], ["/a", "/b"]).decode(body, 0)
    assert answers == [string("data") + STAT, names, string("next") + STAT, []]


@pytest.mark.parametrize("count", [1, 15, 16, 40])
@pytest.mark.parametrize("wrong", [b"", b"a/b", b"/", b"\xff", b"\xc3"])
@pytest.mark.parametrize("at", [0, 0.5, 1])
def test_names_that_are_none_are_refused(count: int, wrong: bytes, at: float) -> None:
    names = [b"name-%d" % number for number in range(count)]
    names[int(at * (count - 1))] = wrong
    with pytest.raises((ValueError, struct.error)):
        MultiRead("", [], ["/a"]).decode(names_answer(names) + END, 0)


@given(NAME_LISTS, st.integers(0, 200), st.binary(max_size=8))
def test_names_that_are_cut_or_spoiled_are_decoded_as_one_by_one(names: list[str], at: int, spoiled: bytes) -> None:
    """For any bytes of a server: many names are decoded together only where the result is the same."""
    body = names_answer([name.encode() for name in names])
    start = len(result(4, string("data") + STAT)) + 13
    body = body[: start + at] + spoiled + body[start + at + len(spoiled) :]
    assert outcome(body, start, len(names), many=16) == outcome(body, start, len(names), many=1 << 30)


def outcome(body: bytes, offset: int, count: int, many: int) -> object:
    """The result of decoding names, if up to `many` are decoded together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "MANY", many)
        try:
            return wire._decode_names(body, offset, count)
        except (ValueError, struct.error):
            return "refused"


def records_answer(records: list[bytes]) -> bytes:
    return b"".join(result(4, string("x" * len(record)) + STAT) for record in records)


#: Data of one length, with some that differ.
DATA = st.integers(0, 40).flatmap(lambda size: st.lists(st.just(bytes(size)) | st.binary(max_size=3), max_size=40))
DATA |= st.integers(0, 40).flatmap(lambda size: st.lists(st.just(bytes(size)), min_size=16, max_size=40))


@given(DATA, st.integers(0, 300), st.binary(max_size=8), st.sampled_from([0, 1, 2]))
def test_records_that_are_cut_or_spoiled_are_decoded_as_one_by_one(
    data: list[bytes], at: int, spoiled: bytes, lists: int
) -> None:
    """For any bytes of a server: many records are decoded together only where the result is the same."""
    body = b"before" + records_answer(data) + names_answer([b"name"]) * lists + END
    body = body[: 6 + at] + spoiled + body[6 + at + len(spoiled) :]
    request = MultiRead("", [f"/{number}" for number in range(len(data))], ["/a", "/b"][:lists])
    assert decoded(request, body, 6, many=16) == decoded(request, body, 6, many=1 << 30)


KNOWN = [string(data) + STAT for data in ("", "x", "x" * 40)]


@given(
    st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from([*KNOWN, *KNOWN, -101])), max_size=200)
    | st.lists(st.tuples(st.just(KNOWN[1]), st.just(KNOWN[1])), min_size=60, max_size=140),
    st.integers(0, 9000),
    st.binary(max_size=8),
)
def test_what_differs_from_what_is_expected_is_found_as_by_decoding(
    pairs: list[tuple[bytes, bytes | int]], at: int, spoiled: bytes
) -> None:
    expected = [record for record, _ in pairs]
    answers = [result(4, one) if isinstance(one, bytes) else result(-1, struct.pack("!i", one)) for _, one in pairs]
    body = b"before" + b"".join(answers) + END
    request = MultiRead("", [f"/{number}" for number in range(len(pairs))], [])
    for received in (body, body[: 6 + at] + spoiled + body[6 + at + len(spoiled) :], body[: 6 + at]):
        decoded_ = decoded(request, received, 6, many=16)
        if isinstance(decoded_, list):
            odd = {at: one for at, one in enumerate(decoded_) if one != expected[at]}
            assert request.differing(expected, received, 6) == odd
        else:
            with pytest.raises((ValueError, struct.error)):
                request.differing(expected, received, 6)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_records_of_one_length_are_decoded_together(size: int) -> None:
    body = records_answer([bytes(size)] * 20) + END
    assert MultiRead("", ["/a"] * 20, []).decode(body, 0) == [string("x" * size) + STAT] * 20
    assert wire._decode_equally_long(body, 0, 20) is not None


def decoded(request: MultiRead, body: bytes, offset: int, many: int) -> object:
    """The result of decoding an answer, if up to `many` records are decoded together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "MANY", many)
        try:
            return request.decode(body, offset)
        except (ValueError, struct.error):
            return "refused"


TEXT = st.text(max_size=9) | st.text("abc\0\x7f", max_size=9)


@given(st.sampled_from(["", "/root", "/ä"]), st.lists(TEXT.map("/{}".format) | st.just(""), max_size=9))
def test_each_read_has_its_path(prefix: str, paths: list[str]) -> None:
    header = struct.pack("!iBi", 4, False, -1)
    expected = b"".join(header + string(prefix + path or "/") + b"\0" for path in paths) + END
    assert MultiRead(prefix, paths, []).serialize() == expected
