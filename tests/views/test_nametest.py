"""NameTest: one look at many names says what the tests of each say, or nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.views.nametest import LONGEST_TESTED, NameTest

#: What expressions are made of here: what is plain, and what is not.
PIECES = [
    "a",
    "b",
    "1",
    "-",
    r"\.",
    r"\d",
    r"\w",
    ".",
    "[ab]",
    "[a-z0-9]",
    "[-a]",
    "[!-z]",
    "[^a]",
    r"\D",
    r"\W",
    r"\b",
    "$",
]
PIECES += ["(a)", "(?:ab|a)", "(?=.*b)", "(?!a)", "(?<=/)", "(?s:.)", "(?-s:.)", "|", "(?>a*)"]
QUANTIFIERS = ["", "", "+", "*", "?", "{2}", "{,2}", "+?"]

expressions = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(QUANTIFIERS)).map("".join), max_size=4).map(
    "".join
)
names = st.lists(st.text("ab1-.\n", min_size=1, max_size=4), min_size=1, max_size=4)


def compiles(expression: str) -> bool:
    try:
        re.compile(f"(?:{expression})")
    except re.error:
        return False
    return True


@given(expressions.filter(compiles), names)
def test_what_is_said_of_all_is_true_of_each(expression: str, of_children: list[str]) -> None:
    test = NameTest(expression)
    matches = [test(name) for name in of_children]
    assert [match and match.groups() for match in test.of_each(of_children)] == [
        match and match.groups() for match in matches
    ]
    if test.surely_all(of_children):
        assert all(matches)


@pytest.mark.parametrize(
    ("expression", "matching", "other"),
    [
        (r"leaf\-([0-9]+)", "leaf-17", "leaf-x"),
        (r"(.+):(.+)", "host:2181", "host"),
        (r"lock\-(.+)", "lock-0000000001", "lock-"),
        (r"([a-z0-9-]{3,8}|x)", "a-1", "ab"),
        (r"(\d+)\.json", "1.json", "1json"),
    ],
)
def test_usual_expressions_are_tested_at_once(expression: str, matching: str, other: str) -> None:
    test = NameTest(expression)
    assert test.surely_all([matching] * 3)
    assert not test.surely_all([matching, other, matching])


def test_what_could_match_across_names_is_tested_one_by_one() -> None:
    for expression in ("[^a]+", "a(?=.*c)", r"\D+", "(?s:.+)", "[!-z]+", "[--0]+"):
        assert not NameTest(expression).surely_all(["b"])


def test_a_long_name_is_no_name_for_all() -> None:
    test = NameTest("(.+)")
    assert test.surely_all(["a" * LONGEST_TESTED])
    assert not test.surely_all(["a", "a" * (LONGEST_TESTED + 1)])
    assert test.of_each(["a" * (LONGEST_TESTED + 1)]) == [None]
