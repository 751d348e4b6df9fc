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
        ("takes 0.25 s and 141 requests", "100,101 znodes of 100 bytes | 0.254 (0.236..0.467) |"),
        ("and 141 requests", "tree b takes 141 requests"),
        ("kazoo's cache: 200,205 requests", "| requests | 200,205 | 141 |"),
        ("within 0.91 ms (kazoo: 1.02)", "50 %, ms | 1.02 (1.00..1.22) | 0.91 (0.84..1.19)"),
        ("99 % within 1.56 ms (kazoo: 1.85)", "99 %, ms | 1.85 (1.78..5.53) | 1.56 (1.45..3.22)"),
        ("21 ms later", "| behind, s | 0.0207 (0.0186..0.0264)"),
        ("from 42 to 33 us", "from 42.1 us (37.8..64.5) to 33.2"),
    ],
)
def test_what_it_comes_to_was_measured(stated: str, measured: str) -> None:
    assert stated in TEXT
    assert measured in MEASURED
