"""Patterns: what matches and what it captures, as plain regular expressions say; what is wrong says so in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.views.nametest import NameTest
from exporter.views.pattern import Pattern
from exporter.views.patterns import Matches, Patterns


def captured(pattern: str, path: str) -> dict[str, str] | None:
    """What a pattern captures of a path; None if it does not match."""
    matches = Patterns([pattern]).match("" if path == "/" else path)
    return dict(zip(Pattern(pattern).captures, matches[0][1], strict=True)) if matches else None


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/", "/", {}),
        ("/", "/a", None),
        ("/a", "/a", {}),
        ("/a", "/a/b", None),
        ("/a", "/", None),
        ("/services/{service}/instances/{id}", "/services/web/instances/7", {"service": "web", "id": "7"}),
        ("/services/{service}/instances/{id}", "/services/web/instances", None),
        ("/services/{service}/instances/{id}", "/services/web/config/7", None),
        ("/lock-{seq}", "/lock-0000000001", {"seq": "0000000001"}),
        ("/lock-{seq}", "/lock-", None),
        ("/{name}-{seq}", "/my-lock-0000000001", {"name": "my-lock", "seq": "0000000001"}),
        ("/{host}:{port}", "/[::1]:2181", {"host": "[::1]", "port": "2181"}),
        ("/ids/{broker:[0-9]+}", "/ids/1001", {"broker": "1001"}),
        ("/ids/{broker:[0-9]+}", "/ids/1001a", None),
        ("/ids/{broker:[0-9]{1,2}}", "/ids/10", {"broker": "10"}),
        ("/ids/{broker:a|b}x", "/ids/bx", {"broker": "b"}),
        ("/{braces:\\}+}", "/}}", {"braces": "}}"}),
        ("/a.b", "/acb", None),
        ("/*/b", "/a/b", {}),
        ("/*/b", "/b", None),
        ("/*", "/", None),
        ("/a/**", "/a", {}),
        ("/a/**", "/a/b/c", {}),
        ("/a/**", "/ab", None),
        ("/**", "/", {}),
        ("/**/config", "/config", {}),
        ("/**/config", "/a/b/config", {}),
        ("/**/{last}", "/a/b/c", {"last": "c"}),
        ("/**/{first}/**", "/a/b/c", {"first": "a"}),
        ("/**/x/{after}/**", "/x/x/y", {"after": "x"}),
        ("/**/**", "/a", {}),
        ("/{part}", "/with\nline", {"part": "with\nline"}),
    ],
)
def test_what_matches_is_captured(pattern: str, path: str, expected: dict[str, str] | None) -> None:
    assert captured(pattern, path) == expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "is not absolute"),
        ("a/b", "is not absolute"),
        ("/a/", "has the part ''"),
        ("//a", "has the part ''"),
        ("/a/../b", "has the part '..'"),
        ("/a*", "has * beside other characters in 'a*'"),
        ("/a**", "has * beside other characters in 'a**'"),
        ("/{a", "has a { without its } in the part '{a'"),
        ("/{a:x/y}", "has a { without its } in the part '{a:x'"),
        ("/a}", "has a } without its { in 'a}'"),
        ("/{}", "has a capture whose name '' is not"),
        ("/{a-b}", "has a capture whose name 'a-b' is not"),
        ("/{1}", "has a capture whose name '1' is not"),
        ("/{a:}", "has a regular expression in '{a:}' that is empty"),
        ("/{a:[}", "has a wrong regular expression in '{a:[}' ("),
        ("/{a:(?i)x}", "has a wrong regular expression in '{a:(?i)x}' ("),
        ("/{a:(x)}", "has a regular expression in '{a:(x)}' that has a group that captures"),
        ("/{a}{b}", "has nothing between two captures in '{a}{b}'"),
        ("/{a}/{a}", "captures 'a' twice"),
        ("/{a}/{b}/{c}/{d}", "has 4 captures, and 3 are the most"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"the pattern {pattern!r} {problem}")) as refusal:
        Patterns([pattern])
    assert "\n" not in str(refusal.value)
    assert "; accepted: " in str(refusal.value)


def test_many_patterns_know_their_indices_and_share_parts() -> None:
    patterns = Patterns(["/a/{x}", "/a/b", "/a/{y}", "/**", "/a/*", "/c"])
    assert patterns.match("/a/b") == ((0, ("b",)), (1, ()), (2, ("b",)), (3, ()), (4, ()))
    assert patterns.match("/c") == ((3, ()), (5, ()))
    assert patterns.match("") == ((3, ()),)


def in_run(patterns: Patterns, paths: list[str]) -> list[tuple[int, Matches]]:
    """The positions of siblings that match, each with what matches."""
    found: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
    for matched in patterns.match_run(paths):
        for position, captured in zip(matched.positions, matched.captures.of_each(), strict=True):
            found.setdefault(position, []).append((matched.pattern, captured))
    return [(position, tuple(matches)) for position, matches in sorted(found.items())]


def test_nothing_matches_no_patterns() -> None:
    patterns = Patterns([])
    assert patterns.match("") == patterns.match("/a/b") == ()
    assert patterns.head("/a").is_dead
    assert in_run(patterns, ["/a/b", "/a/c"]) == []


def test_where_no_child_can_match_the_head_says_so() -> None:
    patterns = Patterns(["/services/{service}/instances/{id}", "/config"])
    assert patterns.head("/services").is_barren
    assert not patterns.head("/services").is_dead
    assert patterns.head("/other").is_dead
    assert patterns.head("/other/below/it").is_dead
    assert not patterns.head("/services/web/instances").is_barren


def test_a_run_of_siblings_costs_its_head_once(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = Patterns(["/a/{x}", "/b/7", "/b/3"])
    assert in_run(patterns, ["/b/1", "/b/3", "/b/5", "/b/7"]) == [(1, ((2, ()),)), (3, ((1, ()),))]
    assert in_run(patterns, ["/a/p", "/a/q"]) == [(0, ((0, ("p",)),)), (1, ((0, ("q",)),))]
    assert in_run(patterns, ["/p", "/q"]) == []
    asked: list[str] = []
    monkeypatch.setattr(Patterns, "_reached_by", lambda self, path: asked.append(path))
    for number in range(1000):
        assert patterns.match(f"/a/{number}") == ((0, (str(number),)),)
    assert asked == [], "their parent is remembered"


def test_one_test_is_enough_for_names_that_match_none_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = Patterns([f"/a/{letter}-{{number:[0-9]+}}" for letter in "bcdefghij"])
    names = [f"/a/z-{number}" for number in range(100)]
    tested: list[str] = []

    def test(one: NameTest, name: str) -> None:
        tested.append(name)

    def of_each(one: NameTest, names: Sequence[str]) -> list[None]:
        tested.extend(names)
        return [None] * len(names)

    monkeypatch.setattr(NameTest, "__call__", test)
    monkeypatch.setattr(NameTest, "of_each", of_each)
    assert in_run(patterns, names) == []
    assert len(tested) == len(names)


def test_the_parents_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.views.patterns._REMEMBERED", 10)
    patterns = Patterns(["/{a}/x", "/**/{b:[0-9]+}/*/{c}"])
    for number in range(1000):
        path = f"/{number}/x"
        assert patterns.match(path)[0] == (0, (str(number),))
        assert len(patterns._heads) <= 10
        assert len(patterns._heads_before) <= 10
        assert len(patterns._plans) <= 10
    for path in (f"/{number}/x" for number in range(5)):
        assert patterns.match(path)


# As regular expressions.

NAMES = st.sampled_from(["a", "b", "ab", "a-b", "a-b-a", "1", "12", "lock-1", "a.b", "-"])
PARTS = st.sampled_from(
    ["a", "ab", "1", "a.b", "*", "**", "**", "{}", "{}", "{:[0-9]+}", "a{}", "{}-{}", "{:a|b}-{}", "lock-{:[0-9]+}"]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A pattern of at most three captures."""
    names = iter("abcdefgh")
    parts = [re.sub(r"\{", lambda _: "{" + next(names), part) for part in draw(st.lists(PARTS, max_size=4))]
    text = "/" + "/".join(parts)
    return text if text.count("{") <= 3 else "/" + parts[0]


def naive(text: str) -> re.Pattern[str]:
    """The same pattern as one regular expression of paths."""
    regex = ""
    for part in text[1:].split("/") if text != "/" else ():
        if part == "**":
            regex += "(?:/[^/]+)*?"
        elif part == "*":
            regex += "/[^/]+"
        else:
            pieces = re.split(r"(\{[^}]*\})", part)
            regex += "/" + "".join(
                f"({piece[1:-1].partition(':')[2] or '[^/]+'})" if piece.startswith("{") else re.escape(piece)
                for piece in pieces
            )
    return re.compile(regex)


@given(st.lists(texts(), max_size=6), st.lists(st.lists(NAMES, max_size=5), min_size=1, max_size=8))
@example(["/**/{a}/**/{b}"], [["a", "b", "1"]])
@example(["/**/{a}-{b}/**", "/**/{c:[0-9]+}"], [["a", "a-b", "a-b-a"]])
def test_they_match_and_capture_as_regular_expressions_do(texts: list[str], names: list[list[str]]) -> None:
    patterns, expected = Patterns(texts), [naive(text) for text in texts]

    def wanted(path: str) -> list[tuple[int, tuple[str, ...]]]:
        found = [(index, regex.fullmatch(path)) for index, regex in enumerate(expected)]
        return [(index, match.groups()) for index, match in found if match is not None]

    for path in ["".join(f"/{name}" for name in parts) for parts in names]:
        assert list(patterns.match(path)) == wanted(path), path
        run = [f"{path}/{name}" for name in ("a", "1", "a-b", "lock-1", "z")]
        assert in_run(patterns, run) == [
            (position, tuple(wanted(child))) for position, child in enumerate(run) if wanted(child)
        ]


@given(st.lists(texts(), max_size=6), st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=4))
def test_below_a_root_they_match_as_the_absolute_path_does(texts: list[str], root: list[str], names: list[str]) -> None:
    above, path = ("".join(f"/{name}" for name in parts) for parts in (root, names))
    patterns, absolute = Patterns(texts, above or "/"), Patterns(texts)
    assert patterns.match(path) == absolute.match(above + path)
    if patterns.is_idle:
        assert absolute.match(above + path) == ()


def test_patterns_that_can_match_nothing_in_a_tree_are_idle() -> None:
    assert Patterns(["/other/{x}", "/services"], "/services/web").is_idle
    assert not Patterns(["/services/web"], "/services/web").is_idle
    assert not Patterns(["/{x}/*/*"], "/services/web").is_idle


@pytest.mark.parametrize("pattern", ["/q/{a}-{b}.json", "/q/{a}-{b}-{c}.x", "/q/{a:(?:-*)*}x"])
def test_a_long_name_takes_no_time(pattern: str) -> None:
    patterns = Patterns([pattern])
    assert patterns.match("/q/" + "-" * 100_000) == ()
    assert list(patterns.match_run(["/q/" + "-" * 100_000] * 20)) == []


def test_names_of_any_length_match_without_a_test() -> None:
    assert Patterns(["/q/{a}"]).match("/q/" + "-" * 1000) == ((0, ("-" * 1000,)),)


def test_a_regular_expression_is_one_by_itself() -> None:
    with pytest.raises(ValueError, match="has a wrong regular expression"):
        Pattern("/x/{v:a)|(?:b}")
