"""Which znodes belong to a tree, by the globs of a configuration."""

from __future__ import annotations

import pytest

from exporter.config.globs import Globs, Pattern

ZNODES = [
    "/services",
    "/services/web",
    "/services/web/instances",
    "/services/web/instances/1",
    "/services/web/instances/1/locks",
    "/services/web/locks",
    "/services/web/locks/a",
    "/services/db",
    "/services/db/config",
    "/services/db/instances",
    "/services/db/instances/2",
    "/other",
]


def kept(include: list[str], exclude: list[str], root: str = "/services") -> list[str]:
    """The znodes below the root that a cache would hold; it asks only about children of znodes that it enters."""
    globs = Globs(include, exclude)
    held = [root]
    for path in ZNODES:
        parent = path.rpartition("/")[0] or "/"
        if path != root and parent in held and globs.descend(parent) and globs.keep(path):
            held.append(path)
    return held[1:]


def below(*parts: str) -> list[str]:
    return [f"/services/{part}" for part in parts]


ALL = ZNODES[1:-1]


INSTANCES = below("web", "web/instances", "web/instances/1", "db", "db/instances", "db/instances/2")
DB = below("db", "db/config", "db/instances", "db/instances/2")


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], [], ALL),
        (["/services"], [], ALL),
        (["/**"], [], ALL),
        (["/services/web"], [], [path for path in ALL if path.startswith("/services/web")]),
        (["/services/*/config"], [], below("web", "db", "db/config")),
        (["/services/*/inst*"], ["/**/locks"], INSTANCES),
        (["/services/d?/[ci]*"], [], DB),
        (["/services/[!d]*"], ["/services/web/*/*"], below("web", "web/instances", "web/locks")),
        ([], ["/services/*/*"], below("web", "db")),
        ([], ["/services/**"], []),
        ([], ["/services/web", "/services/**/instances"], below("db", "db/config")),
        (["/services/**/locks/a"], [], ALL),
        (["/services/**/instances/**"], ["/services/web"], DB),
        (["/services/web"], ["/services/web"], []),
    ],
)
def test_include_and_exclude(include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert kept(include, exclude) == expected


def test_a_tree_at_the_top() -> None:
    assert kept(["/other"], [], root="/") == ["/other"]
    assert kept([], ["/services"], root="/") == ["/other"]
    assert kept([], ["/*"], root="/") == []


def test_nothing_is_read_below_what_is_left_out_as_a_whole() -> None:
    globs = Globs(exclude=["/a/**", "/b/*", "/c/*/x"])
    assert [globs.descend(path) for path in ("/a", "/a/b", "/b", "/c", "/c/d", "/")] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]


def test_the_order_of_questions_does_not_matter() -> None:
    globs, paths = Globs(["/services/*/instances"], ["/**/1"]), [*ZNODES, *reversed(ZNODES), "/services/x/instances/1"]
    assert [globs.keep(path) for path in paths] == [
        Globs(["/services/*/instances"], ["/**/1"]).keep(path) for path in paths
    ]


def test_dots_and_case_and_brackets_are_characters() -> None:
    assert Globs(["/a.b"]).keep("/a.b")
    assert not Globs(["/a.b"]).keep("/axb")
    assert not Globs(["/A"]).keep("/a")
    assert Globs(["/[*]"]).keep("/*")
    assert not Globs(["/[*]"]).keep("/x")


def test_a_deep_path_and_many_stars_take_no_time() -> None:
    globs = Globs(["/**/" + "*a*/" * 20 + "**/z"])
    assert globs.keep("/a" * 2000)
    assert Globs(["/**/z"]).keep("/a" * 2000 + "/z")


@pytest.mark.parametrize("glob", ["", "a", "**", "/", "//a", "/a/", "/a//b", "/a/./b", "/..", "/a**", "/**b/c", "/***"])
def test_unusable_globs_are_refused(glob: str) -> None:
    with pytest.raises(ValueError, match="accepted: an absolute path in which"):
        Pattern(glob)
