"""Scope: which znodes belong to a cache; a selector that raises leaves none out."""

from __future__ import annotations

import pytest

from exporter.treecache.scope import Scope


class Fruit:
    """Keeps names that do not begin with an x, and descends into everything except /app/closed."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def keep(self, path: str) -> bool:
        self.asked.add(path)
        return not path.rpartition("/")[2].startswith("x")

    def descend(self, path: str) -> bool:
        self.asked.add(path)
        return path != "/app/closed"


class Broken:
    def keep(self, path: str) -> bool:
        raise RuntimeError(f"keep {path}")

    def descend(self, path: str) -> bool:
        raise RuntimeError(f"descend {path}")


def never(error: BaseException) -> None:
    raise AssertionError("no selector failed") from error


def test_everything_belongs_by_default() -> None:
    scope = Scope("/app", None, None, never)
    assert scope.children("/a", ["b", "c"]) == ["/a/b", "/a/c"]
    assert scope.covers("")
    assert scope.covers("/a/b/c")
    assert not scope.may_leave_out_children("/a")


@pytest.mark.parametrize(("path", "covered"), [("", True), ("/a", True), ("/a/b", True), ("/a/b/c", False)])
def test_depth(path: str, covered: bool) -> None:
    scope = Scope("", None, 2, never)
    assert scope.covers(path) == covered
    assert bool(scope.children(path, ["child"])) == scope.covers(path + "/child")
    assert scope.may_leave_out_children(path) == (not scope.covers(path + "/child"))


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("", True),
        ("/a", True),
        ("/x", False),
        ("/x/a", False),
        ("/a/x", False),
        ("/closed", True),
        ("/closed/a", False),
    ],
)
def test_selector(path: str, covered: bool) -> None:
    scope = Scope("/app", Fruit(), None, never)
    assert scope.covers(path) == covered
    parent, _, name = path.rpartition("/")
    if path and scope.covers(parent):
        assert scope.children(parent, [name]) == ([path] if covered else [])


def test_selector_is_asked_about_the_paths_that_users_see() -> None:
    selector = Fruit()
    Scope("/app", selector, None, never).covers("/a/b")
    assert selector.asked == {"/app", "/app/a", "/app/a/b"}
    root = Fruit()
    Scope("", root, None, never).children("", ["a"])
    assert root.asked == {"/", "/a"}


def test_error_of_a_selector_is_told_and_leaves_nothing_out() -> None:
    errors: list[BaseException] = []
    scope = Scope("/app", Broken(), None, errors.append)
    assert scope.children("", ["a"]) == ["/a"]
    assert scope.covers("/a")
    assert {str(error) for error in errors} == {"descend /app", "keep /app/a"}


def test_a_selector_that_raises_is_reported_once_for_each_question() -> None:
    errors: list[str] = []
    scope = Scope("/app", Broken(), None, lambda error: errors.append(str(error)))
    for _ in range(100):
        assert scope.covers("/a")
        assert scope.covers("/b")
    assert errors == ["descend /app", "keep /app/a", "keep /app/b"]
