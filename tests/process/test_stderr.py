"""The log on standard error: with a reader, without one, and with the warning about dropped lines."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

import pytest

from exporter.process.stderr import FLUSH_TIMEOUT, DescriptorHandler

CAPACITY = 10
FILLER = "filler " * 1000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.fixture
def handler(pipe: tuple[int, int]) -> Iterator[DescriptorHandler]:
    handler = DescriptorHandler(pipe[1], CAPACITY)
    yield handler
    # Pending writes then fail immediately, instead of going to the next owner of the descriptor's number.
    with contextlib.suppress(OSError):
        os.close(pipe[0])
    handler.flush()
    handler.close()


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("exporter", logging.INFO, __file__, 1, message, None, None)


def fill(handler: DescriptorHandler) -> int:
    """Logs far more than the pipe and the queue hold; returns the number of lines."""
    for number in range(100):
        handler.handle(record(f"{number} {FILLER}"))
    return 100


def read_all(end: int, last: bytes) -> list[bytes]:
    """The lines up to the last one."""
    data = b""
    while not data.endswith(last + b"\n"):
        data += os.read(end, 1 << 16)
    return data.splitlines()


def test_flush_waits_until_everything_is_written(handler: DescriptorHandler, pipe: tuple[int, int]) -> None:
    for number in range(CAPACITY):
        handler.handle(record(str(number)))
    handler.flush()
    assert os.read(pipe[0], 1 << 16) == b"".join(b"%d\n" % number for number in range(CAPACITY))


def test_a_reader_that_stops_holds_nobody_up(handler: DescriptorHandler) -> None:
    fill(handler)
    begun = time.monotonic()
    handler.flush()
    assert time.monotonic() - begun >= FLUSH_TIMEOUT


def test_a_reader_that_goes_on_is_told_what_it_missed(handler: DescriptorHandler, pipe: tuple[int, int]) -> None:
    logged = fill(handler)
    lines = read_all(pipe[0], b"log lines dropped")
    kept = [int(line.split()[0]) for line in lines[:-1]]
    assert kept == sorted(kept)
    assert kept[:CAPACITY] == list(range(CAPACITY))
    assert len(kept) < logged
    handler.handle(record("afterwards"))
    assert read_all(pipe[0], b"afterwards") == [b"afterwards"]


def test_the_count_of_dropped_lines_is_right(handler: DescriptorHandler, pipe: tuple[int, int]) -> None:
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(dropped)s", defaults={"dropped": ""}))
    logged = fill(handler)
    lines = read_all_until_told(pipe[0])
    assert lines[-1] == b"WARNING log lines dropped %d" % (logged - len(lines) + 1)


def read_all_until_told(end: int) -> list[bytes]:
    """The lines up to the warning that says how many were dropped."""
    data = b""
    while b"log lines dropped" not in data or not data.endswith(b"\n"):
        data += os.read(end, 1 << 16)
    return data.splitlines()


def test_a_reader_that_is_gone_is_no_error(handler: DescriptorHandler, pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    for _ in range(3 * CAPACITY):
        handler.handle(record("unheard"))
        handler.flush()


def test_a_descriptor_that_does_not_block_is_written_to_all_the_same(
    handler: DescriptorHandler, pipe: tuple[int, int]
) -> None:
    os.set_blocking(pipe[1], False)
    for _ in range(CAPACITY - 1):
        # More than a pipe holds.
        handler.handle(record(2 * FILLER))
    handler.handle(record("last"))
    lines = read_all(pipe[0], b"last")
    assert lines[:-1] == [2 * FILLER.encode()] * (CAPACITY - 1)
