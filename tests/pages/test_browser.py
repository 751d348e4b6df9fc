"""Browsing a tree: which znode and which children are shown, in which words, and at most one page of them."""

from __future__ import annotations

import re
import time
import tracemalloc
from typing import Any

import pytest

from exporter.pages import browser
from exporter.pages.browser import DATA_SHOWN, JSON_SHOWN, PAGE, PATH_SHOWN, Browsable, find, look_up
from exporter.pages.links import short_path
from exporter.telemetry.sources import EnsembleSource
from tests.pages.znodes import STAT, Znodes
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, Source


def small(data: bytes | None = b"data", **of_a: Any) -> Znodes:
    paths = ("/app", "/app/a", "/app/a/b", "/app/ab", "/app/z")
    return Znodes("/app", {**dict.fromkeys(paths, STAT), "/app/a": STAT._replace(**of_a), "/app/secret": None}, data)


@pytest.mark.parametrize(
    ("asked", "found", "begins_with", "children"),
    [
        ("", "/app", "", ["a", "ab", "secret", "z"]),
        ("/app/a", "/app/a", "", ["b"]),
        (" //app//a/ ", "/app/a", "", ["b"]),
        ("/app/a/b", "/app/a/b", "", []),
        ("/app/s", "/app", "s", ["secret"]),
        ("/app/a/x/y", "/app/a", "x", []),
        ("/elsewhere", "/app", "", ["a", "ab", "secret", "z"]),
        ("/apple", "/app", "", ["a", "ab", "secret", "z"]),
        ("/app/../a", "/app", "..", []),
        ("no path", "/app", "", ["a", "ab", "secret", "z"]),
    ],
)
def test_paths(asked: str, found: str, begins_with: str, children: list[str]) -> None:
    znode = look_up(small(), asked)
    assert (znode.path, znode.begins_with, [child.name for child in znode.children]) == (found, begins_with, children)


ODD = (
    " ",
    " a",
    "a ",
    "a  b",
    "%",
    "%2f",
    "?a=b",
    "#a",
    "&a",
    "+",
    "..a",
    "a\nb",
    "\u202ea",
    "~0123456789abcdef",
    "日本",
)


def odd(*names: str) -> Znodes:
    return Znodes(
        "/", dict.fromkeys(("/", *(f"/{name}" for name in names), *(f"/{name}/below" for name in names)), STAT)
    )


@pytest.mark.parametrize("name", [*ODD, "x" * 100_000, "日" * 100_000])
def test_each_child_is_what_its_link_leads_to(name: str) -> None:
    tree = odd(name, name + "x", "a")
    for child in look_up(tree, "/").children:
        assert child.link is not None
        found = look_up(tree, child.link)
        assert (found.link, found.begins_with) == (child.link, "")
        assert [below.link for below in found.children] == [f"{child.link}/below"]
        assert found.steps[-1] == (child.name, child.link)
    assert f"/{name}" in {look_up(tree, child.link or "").path for child in look_up(tree, "/").children}


@pytest.mark.parametrize(
    ("asked", "found"), [("/a ", "/a"), (" /a", "/a"), ("/b ", "/b "), ("/b", "/b"), ("/b  ", "/b"), (" ", "/")]
)
def test_spaces_that_were_pasted_along_and_those_of_a_name(asked: str, found: str) -> None:
    znode = look_up(odd("a", "b", "b "), asked)
    assert (znode.path, znode.begins_with) == (found, "")


def test_long_names_page_by_page() -> None:
    names = [f"{number:04}" + "x" * 100_000 for number in range(PAGE + 10)]
    tree = Znodes("/", dict.fromkeys(("/", *(f"/{name}" for name in names)), STAT))
    first = look_up(tree, "/")
    assert len(first.next_after) < 100
    assert [child.name[:4] for child in look_up(tree, "/", after=first.next_after).children] == [
        f"{number:04}" for number in range(PAGE, PAGE + 10)
    ]


def test_the_largest_children_come_first_if_asked_for() -> None:
    sizes = {f"/app/n{number:03}": STAT._replace(dataLength=number, numChildren=number) for number in range(PAGE + 9)}
    tree = Znodes("/app", {"/app": STAT, **sizes, "/app/secret": None})
    by_size = look_up(tree, "/app", order="size")
    assert [child.name for child in by_size.children[:2]] == ["n208", "n207"]
    assert (len(by_size.children), by_size.omitted, by_size.next_after) == (PAGE, 10, "")
    assert look_up(tree, "/app", order="children").children[0].name == "n208"
    # Those that do not match are not left out of anything; a page has no place to begin.
    some = look_up(tree, "/app/n20", order="size", after="n203")
    assert [child.name for child in some.children] == [f"n{number}" for number in range(208, 199, -1)]
    assert (some.omitted, some.after) == (0, "")
    assert look_up(tree, "/app").children[0].name == "n000"


def test_very_many_children_come_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "SORTED", 2)
    tree = Znodes(
        "/app", {"/app": STAT, **{f"/app/{name}": STAT._replace(dataLength=len(name)) for name in ("a", "bb", "ccc")}}
    )
    found = look_up(tree, "/app", order="size", after="a")
    assert (found.order, [child.name for child in found.children]) == ("name", ["bb", "ccc"])


def test_the_whole_of_a_long_path_is_there_up_to_a_limit() -> None:
    for length, said in ((100_000, "x"), (PATH_SHOWN + 1_999, "… and 2\u202f000 more characters")):
        znode = look_up(
            Znodes("/", dict.fromkeys(("/", "/" + "x" * length), STAT)), short_path("/" + "x" * length) or ""
        )
        assert znode.whole.startswith("/xxx")
        assert znode.whole.endswith(said)
        assert len(znode.whole) < PATH_SHOWN + 100


def test_a_way_of_very_many_steps() -> None:
    names = [f"n{number}" for number in range(1000)]
    paths = ["/" + "/".join(names[:length]) for length in range(len(names) + 1)]
    znode = look_up(Znodes("/", dict.fromkeys(paths, STAT)), paths[-1])
    assert znode.path == paths[-1]
    assert [name for name, _ in znode.steps] == ["/", *names[:4], "…", *names[-12:]]
    assert {link for _, link in znode.steps[-12:]} == {None}
    assert znode.steps[4] == ("n3", "/n0/n1/n2/n3")


def test_the_root_of_everything() -> None:
    tree = Znodes("/", dict.fromkeys(("/", "/a", "/a/b"), STAT))
    assert [child.link for child in look_up(tree, "/").children] == ["/a"]
    assert look_up(tree, "/a/b").steps == [("/", "/"), ("a", "/a"), ("b", "/a/b")]


def test_a_stat_in_words() -> None:
    now = int(time.time() * 1000)
    facts = look_up(small(ctime=now - 3_600_000, mtime=now - 90_000), "/app/a").facts
    assert facts["Kind"] == "persistent"
    assert facts["Created"].startswith("1 h ago, 20")
    assert facts["Created"].endswith(" UTC, zxid 0x10")
    assert re.match(r"1 min 3\d s ago, ", facts["Changed"])
    assert facts["Children"] == "7 children, last changed with zxid 0x12"
    assert facts["Versions"] == "data 3, children 4, ACL 5"


@pytest.mark.parametrize(
    ("owner", "facts"),
    [
        (0x1234, {"Kind": "ephemeral", "Owner": "session 0x1234"}),
        (0, {"Kind": "persistent"}),
    ],
)
def test_kinds_in_words(owner: int, facts: dict[str, str]) -> None:
    assert facts.items() <= look_up(small(ephemeralOwner=owner), "/app/a").facts.items()


def test_times_of_wrong_clocks() -> None:
    facts = look_up(small(ctime=2**62, mtime=-(2**62)), "/app/a").facts
    assert " ahead (server clock), " in facts["Created"]
    assert "s after 1970" in facts["Changed"]


def test_a_znode_that_may_not_be_read() -> None:
    znode = look_up(small(), "/app/secret", expose_data=True)
    assert (znode.path, znode.is_held, znode.facts, znode.data) == ("/app/secret", True, {}, None)
    assert znode.heading == "No children known"
    assert [child.kind for child in look_up(small(), "/app/s").children] == ["unreadable"]


@pytest.mark.parametrize(
    ("path", "there", "heading"),
    [
        ("/app/a", 1, "1 child"),
        ("/app/a", 7, "1 of 7 children in the cache"),
        ("/app/z", 7, "0 of 7 children in the cache"),
    ],
)
def test_children_that_are_there_are_not_those_that_are_held(path: str, there: int, heading: str) -> None:
    assert look_up(small(numChildren=there), path).heading == heading


def test_children_known_before_their_parent_was_closed() -> None:
    assert look_up(Znodes("/app", {"/app": None, "/app/a": STAT}), "/app").heading == "1 child known"


def test_an_empty_tree() -> None:
    znode = look_up(Znodes("/app", {}), "/app/a")
    assert (znode.path, znode.is_held, znode.facts, znode.children) == ("/app", False, {}, [])
    assert (znode.begins_with, znode.heading) == ("a", "No children known")


@pytest.mark.parametrize(
    ("data", "view", "shown"),
    [
        (b"a\tb\r\nc\x00\xff", "text", "a       b\nc\\x00\\xff"),
        (b'{"a":[1,"\xc3\xbc"]}', "json", '{\n  "a": [\n    1,\n    "ü"\n  ]\n}'),
        (b"{", "json", "not JSON"),
        (b"[" * 60_000, "json", "nested too deeply to show as JSON"),
        (b"\x00A" * 9, "hex", f"00000000  {'00 41 ' * 8} {'.A' * 8}\n00000010  {'00 41':<47}  .A"),
        (b"", "text", ""),
        (None, "text", None),
    ],
)
def test_data(data: bytes | None, view: str, shown: str | None) -> None:
    assert look_up(small(data), "/app/a", view=view, expose_data=True).data == shown
    assert look_up(small(data), "/app/a", view=view).data is None


@pytest.mark.parametrize("view", ["text", "json", "hex"])
def test_no_more_data_than_fits(view: str) -> None:
    shown = look_up(small(b"1" * 1_000_000), "/app/a", view=view, expose_data=True).data
    assert shown is not None
    assert len(shown) < 6 * DATA_SHOWN
    assert shown.endswith("912.6 KiB more")


def test_indentation_takes_no_more_room_than_there_is() -> None:
    deep = b"[" * 900 + b"[],".join([b""] * 500) + b"[]" + b"]" * 900
    tracemalloc.start()
    shown = look_up(small(deep), "/app/a", view="json", expose_data=True).data
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown is not None
    assert shown.startswith("[\n  [\n    [")
    assert shown.endswith("… truncated, too long as JSON")
    assert len(shown) < 2 * JSON_SHOWN
    assert peak < 16 * JSON_SHOWN


@pytest.mark.parametrize("depth", [990, 5_000, 30_000])
def test_no_depth_of_json_is_too_much(depth: int) -> None:
    shown = look_up(small(b"[" * depth + b"]" * depth), "/app/a", view="json", expose_data=True).data
    assert shown is not None
    assert shown.startswith(("[\n", "nested too deeply"))


def test_a_hundred_thousand_children_are_a_page_each_time() -> None:
    tree = Znodes("/", dict.fromkeys(("/", *(f"/n{number:06}" for number in range(100_000))), STAT))
    begun = time.process_time()
    first = look_up(tree, "/")
    second = look_up(tree, "/", after=first.next_after)
    took = time.process_time() - begun
    assert (len(first.children), len(second.children)) == (PAGE, PAGE)
    assert (first.children[0].name, second.children[0].name) == ("n000000", f"n{PAGE:06}")
    assert first.heading == "100\u202f000 of 7 children in the cache"
    assert took < 2
    assert look_up(tree, "/n0999").children[-1].name == "n099999"
    assert look_up(tree, "/n0999").next_after == ""


def test_only_known_trees_that_can_be_looked_into() -> None:
    tree = small()
    assert isinstance(tree, Browsable)
    ensembles = [EnsembleSource("main", Source(BUSY_CLIENT), {"app": tree, "closed": Source(BUSY_CACHE)})]
    assert find(ensembles, "main", "app") is tree
    assert find(ensembles, "main", "closed") is None
    assert find(ensembles, "main", "nope") is None
    assert find(ensembles, "nope", "app") is None
