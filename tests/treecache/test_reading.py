"""Reading: its docstring says what decides when znodes are read, with the current numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.treecache import reading
from exporter.treecache.options import CacheOptions
from exporter.treecache.reading import GATHERED, WORTHWHILE, BatchSize, Pace, RateLimit
from exporter.zookeeper import moderation

TEXT = " ".join((reading.__doc__ or "").split())
MEASURED = (Path(__file__).parents[2] / "bench" / "README.md").read_text()


@pytest.mark.parametrize(
    "stated",
    [
        f"faster than {1 / moderation._DENSE:,.0f} a second",
        f"gather for {moderation._PAUSE * 1e3:g} ms",
        f"when {GATHERED} of them wait",
        f"more than {Pace._STREAM:,.0f} changes a second",
        f"fewer than {Pace._STILL_STREAM:,.0f}",
        f"a refresh each {Pace._INTERVAL * 1e3:g} ms",
        f"fewer than {WORTHWHILE} paths",
        f"starts at {BatchSize._FIRST_SIZE} operations",
    ],
)
def test_what_is_decided_is_stated(stated: str) -> None:
    assert stated in TEXT


def test_what_else_is_decided_is_stated() -> None:
    assert RateLimit._BURST == 0.1, "the docstring says a tenth of a second"
    assert {"batch_size", "window"} <= set(vars(CacheOptions()))


@pytest.mark.parametrize(
    ("stated", "measured"),
    [
        ("takes 0.26 s and 127 requests", "100,101 znodes of 100 bytes | 0.256 (0.238..0.528) |"),
        ("and 127 requests", "tree b takes 127 requests"),
        ("kazoo's cache: 200,200 requests", "| requests | 200,200 | 116 |"),
        ("within 1.20 ms (kazoo: 1.34)", "50 %, ms | 1.34 (1.15..1.44) | 1.20 (1.18..1.43)"),
        ("99 % within 2.0 ms (kazoo: 2.4)", "99 %, ms | 2.4 (1.9..7.8) | 2.0 (1.8..3.9)"),
        ("17 ms later", "| behind, s | 0.0168 (0.0139..0.0199)"),
        ("from 42 to 33 us", "reduced 42.1\nus (37.8..64.5) to 33.2"),
    ],
)
def test_what_it_comes_to_was_measured(stated: str, measured: str) -> None:
    assert stated in TEXT
    assert measured in MEASURED
