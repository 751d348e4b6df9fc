"""Numbers, times and names in readable form."""

from __future__ import annotations

import pytest

from exporter.pages.format import (
    BRIEF,
    brief,
    counted,
    human_bytes,
    human_count,
    human_duration,
    human_latency,
    human_moment,
    human_rate,
    roughly,
    visible,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_572_864, "1.5 MiB"),
        (3 * 1024**4, "3.0 TiB"),
        (2048 * 1024**4, "2048.0 TiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_counts() -> None:
    assert human_count(1234567) == "1\u202f234\u202f567"
    assert [counted(number, "znode") for number in (0, 1, 2)] == ["0 znodes", "1 znode", "2 znodes"]
    assert counted(2, "child", "children") == "2 children"


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0, "0"), (0.04, "0.0"), (9.94, "9.9"), (10.4, "10"), (1234.5, "1\u202f234")]
)
def test_rates(rate: float, text: str) -> None:
    assert human_rate(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 400, "400 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_moments() -> None:
    assert human_moment(1_700_000_000.9) == "2023-11-14 22:13:20 UTC"
    assert human_moment(2**62) == "4.61169e+18 s after 1970"


def test_names_hide_nothing() -> None:
    assert [visible(name) for name in (" a b ", "a  b", " ", "")] == ["\\x20a b\\x20", "a \\x20b", "\\x20", ""]
    assert visible("a\u202egnp.exe\n\x00 ü 日本") == "a\\u202egnp.exe\\n\\x00 ü 日本"


def test_long_names_are_cut_in_their_middle() -> None:
    assert brief("x" * BRIEF) == "x" * BRIEF
    assert brief("\n" + "x" * 99_998 + "z") == "\\n" + "x" * 79 + "…" + "x" * 19 + "z (100\u202f000 characters)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "a few seconds"),
        (9.9, "a few seconds"),
        (12.0, "10 s"),
        (59.9, "50 s"),
        (60.0, "1 min"),
        (7290.0, "2 h 1 min"),
    ],
)
def test_a_duration_that_goes_on_changes_seldom(seconds: float, text: str) -> None:
    assert roughly(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 ms"), (0.00042, "0.42 ms"), (0.0125, "12.5 ms"), (0.9991, "999 ms"), (1.25, "1.2 s")]
)
def test_a_duration_that_is_mostly_short(seconds: float, text: str) -> None:
    assert human_latency(seconds) == text
