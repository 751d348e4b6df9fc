"""Batches start small, grow while answers stay small, and stay within the server's limits."""

from __future__ import annotations

from exporter.treecache.reading import BatchSize

MIB = 1024 * 1024


def grown(answer_bytes: int, ceiling: int = 1024) -> BatchSize:
    size = BatchSize(ceiling)
    for _ in range(20):
        operations = size.room(0).operations
        size.answered(operations, operations * answer_bytes)
    return size


def test_starts_small_and_grows_to_the_ceiling() -> None:
    assert BatchSize(1024).room(0).operations == 64
    assert grown(100).room(0).operations == 1024
    assert BatchSize(5).room(0).operations == 5


def test_large_answers_shrink_batches_to_a_mebibyte() -> None:
    assert 8 <= grown(100_000).room(0).operations <= 11


def test_one_operation_always_fits() -> None:
    assert grown(50 * MIB).room(0).operations == 1
    room = BatchSize(1).room(MIB)
    assert room.operations == 1


def test_long_paths_keep_the_request_below_the_servers_limit() -> None:
    room = grown(10).room(900)
    assert room.operations * room.overhead <= room.bytes < 48 * 1024


def test_a_server_that_takes_less_gets_less() -> None:
    size = grown(10)
    size.limit(4096)
    room = size.room(86)
    assert room.operations * room.overhead <= room.bytes < 4096


def test_room_is_used_up_by_long_paths() -> None:
    room = grown(10).room(0)
    room.take(20, 20 * 8_000)
    assert room.operations == 0


def test_room_is_used_up_by_lists() -> None:
    room = grown(100).room(0)
    room.take(2, 100, names=100_000)
    assert room.operations == 0


def test_names_fill_an_answer_even_if_there_may_be_many_operations() -> None:
    room = grown(10, ceiling=100_000).room(0)
    room.take(2, 100, names=20_000)
    assert room.operations > 0
    room.take(2, 100, names=30_000)
    assert room.operations == 0


def test_what_brings_names_says_nothing_of_the_size_of_records() -> None:
    size = BatchSize(1024)
    for _ in range(3):
        size.answered(1024, 1024 * 100)
    room = size.room(0)
    before = room.operations
    size.answered(86, None)
    assert size.room(0).operations == before
