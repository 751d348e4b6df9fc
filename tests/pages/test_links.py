"""Paths in links are short, and lead back to the same znode."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest

from exporter.pages.links import LIMIT, NAME_LIMIT, meant, short_name, short_path

LONG = "x" * 100_000


@pytest.mark.parametrize("name", ["", "a", " ", "a b", "..", "%", "~0123456789abcdef", "x" * NAME_LIMIT])
def test_names_that_fit_stay_as_they_are(name: str) -> None:
    assert short_name(name) == name
    assert short_path(f"/a/{name}") == f"/a/{name}"


@pytest.mark.parametrize("name", [LONG, "x" * (NAME_LIMIT + 1), "日" * 8, "\ud800" + LONG])
def test_long_names_are_found_among_their_siblings(name: str) -> None:
    short = short_name(name)
    assert len(short) < 20
    assert meant(short, {"a", name, name + "x"}) == name
    assert meant(short, {"a", name + "x"}) is None
    assert short_path(f"/a/{name}/b") == f"/a/{short}/b"


@pytest.mark.parametrize("name", ["", "~", "a", "~0123456789abcde", "~0123456789ABCDEF", "~0123456789abcdef "])
def test_other_names_stand_for_themselves(name: str) -> None:
    assert meant(name, {name}) is None


def test_there_is_an_end_to_what_fits_into_a_link() -> None:
    deep = "/" + "/".join(["x" * 60] * 80)
    short = short_path(deep)
    assert short is not None
    assert len(quote_plus(short)) <= LIMIT
    assert short.count("/") == 80
    assert short_path("/" + "/".join(["x" * 60] * 400)) is None
    assert short_path("/a" * 500_000) is None
