"""Rule: what is wrong is refused in one line that names the rule and the field; names and suffixes are the field's."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.views.rules.pointer import MissingError, Pointer
from exporter.views.rules.rule import VALUES, Rule, RuleError, check_collisions, check_rules


def rule(**fields: Any) -> Rule:
    fields = {"name": "things", "match": "/things/{thing}", "value": "count", **fields}
    if fields["value"] == "json":
        fields.setdefault("key", "/a")
    return Rule(**fields)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "1st"}, "rule 1st: name: must be letters, digits and _, with a letter first '1st'"),
        ({"name": "rule_x"}, "rule rule_x: name: must not begin with rule_, which"),
        ({"value": "sum"}, "rule things: value: must be one of count, exists, "),
        ({"match": "things"}, "rule things: match: the pattern 'things' is not absolute; accepted: "),
        ({"match": "/{ensemble}"}, "rule things: match: must not capture, nor info label, "),
        ({"match": "/{__a}"}, "rule things: match: must not capture, nor info label, "),
        ({"match": "/{owner}", "value": "owner"}, "rule things: match: must not capture what is another label"),
        ({"match": "/{value}", "value": "info"}, "rule things: match: must not capture what is another label"),
        ({"kind": "container"}, "rule things: kind: must be one of ephemeral, persistent, not 'container'"),
        ({"key": "/a"}, "rule things: key: is for the values json, owner, election, not for 'count'"),
        ({"value": "json", "key": None}, "rule things: key: must be given for the value 'json'"),
        ({"value": "json", "key": "a"}, "rule things: key: must be a JSON pointer (RFC 6901)"),
        ({"value": "json", "key": "/~2"}, "rule things: key: must be a JSON pointer (RFC 6901)"),
        ({"labels": {"a": "/a"}}, "rule things: labels: must be labels with JSON pointers, for the value info, not"),
        ({"value": "info", "labels": {}}, "rule things: labels: must be labels with JSON pointers"),
        ({"value": "info", "labels": {"a-b": "/a"}}, "rule things: labels: must be named by letters"),
        ({"value": "info", "labels": {"a": "b"}}, "rule things: labels: a: must be a JSON pointer"),
        ({"by": ["other"]}, "rule things: by: must name captures of the pattern (thing), not 'other'"),
        ({"by": ["thing", "thing"]}, "rule things: by: must name each capture once"),
        ({"aggregate": "median", "value": "bytes"}, "rule things: aggregate: must be one of sum, min, max, avg, not"),
        ({"aggregate": "sum"}, "rule things: aggregate: is for the values children, "),
        ({"max_series": 0}, "rule things: max_series: must be at least 1, not 0"),
        ({"max_series": True}, "rule things: max_series: must be at least 1, not True"),
        ({"metric": "a-b"}, "rule things: metric: must be letters, digits, _ and :, without a digit first, not 'a-b'"),
        ({"metric": "zookeeper_cache_nodes"}, "rule things: metric: must not be one of the exporter's own ("),
    ],
)
def test_what_is_wrong_is_named_with_its_rule(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RuleError) as refusal:
        rule(**fields)
    assert str(refusal.value).startswith(problem)
    assert refusal.value.rule == fields.get("name", "things")
    assert refusal.value.field == problem.split(":")[1].split()[0]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", VALUES)
def test_each_value_has_a_name_a_type_and_a_help(value: str) -> None:
    assert all(
        family.help and family.name.startswith("zookeeper_znode_things") for family in rule(value=value).families
    )


def test_the_metric_has_its_suffixes_once() -> None:
    def names(**fields: Any) -> list[str]:
        return [family.name for family in rule(**fields).families]

    assert names() == ["zookeeper_znode_things"]
    assert names(value="created") == ["zookeeper_znode_things_timestamp_seconds"]
    assert names(value="changes", metric="old_name") == ["old_name_total"]
    assert names(value="changes", metric="old_name_total") == ["old_name_total"]
    assert names(value="info", name="things_info") == ["zookeeper_znode_things_info"]
    assert names(value="election", metric="leader_info") == [
        "leader_info",
        "leader_owner_changes_total",
        "leader_owner_since_timestamp_seconds",
        "leader_candidates",
    ]


def test_labels_are_the_captures_or_those_chosen() -> None:
    assert rule(match="/{a}/{b}").label_names == ("a", "b")
    assert rule(match="/{a}/{b}", by=["b"]).label_names == ("b",)
    assert rule(match="/{a}/{b}", by=[]).families[0].labels == ()
    assert rule(value="info", labels={"x": "/x"}).families[0].labels == ("thing", "x")


@pytest.mark.parametrize(
    "others",
    [
        [rule()],
        [rule(name="other", metric="zookeeper_znode_things", value="changes", match="/x")],
        [rule(name="things_candidates"), rule(name="x", metric="zookeeper_znode_things", value="election", match="/x")],
    ],
)
def test_metrics_do_not_collide(others: list[Rule]) -> None:
    with pytest.raises(ValueError, match=r"another rule of the tree has this name|collides with"):
        check_rules([rule(), *others])


def test_rules_of_several_trees_may_share_metrics_of_the_same_type_and_labels() -> None:
    check_collisions([rule(), rule(match="/elsewhere/{thing}")])
    with pytest.raises(ValueError, match="collides with zookeeper_znode_things of the rule things"):
        check_collisions([rule(), rule(match="/elsewhere")])


# RFC 6901, section 5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "k": {"~1": 9}}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo/0", "bar"),
        ("/foo/1", "baz"),
        ("/", 0),
        ("/a~1b", 1),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/k/~01", 9),
    ],
)
def test_a_pointer_finds_what_it_names(pointer: str, value: object) -> None:
    assert Pointer(pointer).value_in(DOCUMENT) == value


@pytest.mark.parametrize(
    "pointer", ["/bar", "/foo/2", "/foo/00", "/foo/-", "/foo/" + "9" * 5000, "/foo/0/0", "/a~1b/x", "/foo/x"]
)
def test_a_pointer_to_nothing_says_so(pointer: str) -> None:
    with pytest.raises(MissingError):
        Pointer(pointer).value_in(DOCUMENT)
