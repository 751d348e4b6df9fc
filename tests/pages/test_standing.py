"""Places on the page go to the worst of many trees, which keep them until they are better than others."""

from __future__ import annotations

from exporter.pages.standing import Places, Standing


def tree(name: str, level: str = "good") -> Standing:
    return Standing(name, f"/{name}", level=level)


def names(places: Places, *trees: Standing) -> str:
    return "".join(one.name for one in places.allot("main", trees))


def test_all_where_there_is_room() -> None:
    assert names(Places(3), tree("a"), tree("b"), tree("c")) == "abc"


def test_the_worst_and_the_first_by_name_where_there_is_none() -> None:
    assert names(Places(2), tree("d", "bad"), tree("c", "waiting"), tree("a")) == "dc"
    assert names(Places(2), tree("a"), tree("b"), tree("c")) == "ab"


def test_a_place_is_lost_to_a_worse_tree_alone() -> None:
    places = Places(2)
    assert names(places, tree("a"), tree("b"), tree("c")) == "ab"
    assert names(places, tree("c", "waiting"), tree("a"), tree("b")) == "ca"
    # It was worse before, but that is no reason to reload every page.
    assert names(places, tree("a"), tree("b"), tree("c")) == "ac"
    assert names(places, tree("a", "bad"), tree("b", "bad"), tree("c", "bad")) == "ac"
    assert places.allot("other", [tree("b"), tree("c"), tree("d")])[0].name == "b"
