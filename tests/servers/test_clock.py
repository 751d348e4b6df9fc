"""A server's clock by the date of its answer: right to half a second, and nothing for a date that is none."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.servers.clock import clock_offset

#: A Tuesday afternoon.
NOON = datetime(2026, 11, 24, 14, 30, 7, tzinfo=UTC).timestamp()
SAID = b"Tue, 24 Nov 2026 14:30:07 GMT"


@given(offset=st.floats(-1e6, 1e6), took=st.floats(0, 60), at=st.floats(0, 1), asked=st.floats(NOON, NOON + 1))
def test_it_is_right_to_half_a_second_and_half_of_the_time_that_the_answer_took(
    offset: float, took: float, at: float, asked: float
) -> None:
    by_its_clock = asked + at * took + offset
    date = format_datetime(datetime.fromtimestamp(int(by_its_clock), UTC), usegmt=True).encode()
    found = clock_offset(date, asked, asked + took)
    assert found is not None
    assert abs(found - offset) <= 0.5 + took / 2 + 1e-6


def test_equal_clocks_differ_by_nothing_on_average() -> None:
    assert clock_offset(SAID, NOON, NOON) == 0.5
    assert clock_offset(SAID, NOON + 0.2, NOON + 0.8) == pytest.approx(0)
    assert clock_offset(SAID, NOON + 0.999, NOON + 0.999) == pytest.approx(-0.499)


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"now",
        b"2026-11-24T14:30:07Z",
        SAID[:-1],
        SAID + b" ",
        SAID.replace(b"GMT", b"+0100"),
        SAID.replace(b"GMT", b"-0000"),
        SAID.replace(b"Nov", b"Nox"),
        SAID.replace(b"24 ", b"99 "),
        SAID.replace(b"14:", b"24:"),
        SAID.replace(b"2026", b"9" * 5000),
        SAID.replace(b"2026", "\N{FULLWIDTH DIGIT TWO}026".encode()),
        b"\xff" * 29,
    ],
)
def test_a_malformed_date_says_nothing(date: bytes) -> None:
    assert clock_offset(date, NOON, NOON) is None
