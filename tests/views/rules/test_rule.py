"""Rule: what is wrong is refused in one line that names the rule and the field; names and suffixes are the field's."""

from __future__ import annotations

import re
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
        ({"name": "1st"}, "name='1st': not a name; accepted: letters, digits and _, with a letter first"),
        ({"name": "rule_x"}, "name='rule_x': begins with rule_"),
        ({"value": "sum"}, "value='sum': unknown; accepted: count, exists, "),
        ({"match": "things"}, "match: the pattern 'things' is not absolute; accepted: "),
        ({"match": "/{ensemble}"}, "match='/{ensemble}': the label 'ensemble' is reserved; accepted: "),
        ({"match": "/{__a}"}, "match='/{__a}': the label '__a' is reserved; accepted: "),
        (
            {"match": "/{owner}", "value": "owner"},
            "match='/{owner}': the metric has the label 'owner' twice; accepted: ",
        ),
        (
            {"match": "/{value}", "value": "info"},
            "match='/{value}': the metric has the label 'value' twice; accepted: ",
        ),
        ({"kind": "container"}, "kind='container': unknown; accepted: ephemeral, persistent"),
        ({"key": "/a"}, "key='/a': not for the value count; accepted: with json, owner, election"),
        ({"value": "json", "key": None}, "key: required for the value json; accepted: a JSON pointer (RFC 6901)"),
        ({"value": "json", "key": "a"}, "key: 'a' is not a JSON pointer; accepted: a JSON pointer (RFC 6901)"),
        ({"value": "json", "key": "/~2"}, "key: '/~2' is not a JSON pointer; accepted: "),
        ({"labels": {"a": "/a"}}, "labels={'a': '/a'}: empty, or not for the value info; accepted: "),
        ({"value": "info", "labels": {}}, "labels={}: empty, or not for the value info; accepted: "),
        (
            {"value": "info", "labels": {"a-b": "/a"}},
            "labels={'a-b': '/a'}: 'a-b' is not a label name; accepted: letters",
        ),
        ({"value": "info", "labels": {"a": "b"}}, "labels: a: 'b' is not a JSON pointer; accepted: "),
        ({"by": ["other"]}, "by=['other']: 'other' is not a capture of the pattern; accepted: thing"),
        ({"by": ["thing", "thing"]}, "by=['thing', 'thing']: a capture twice; accepted: each capture once"),
        ({"by": "thing"}, "by='thing': not a list; accepted: a list of captures"),
        ({"aggregate": "median", "value": "bytes"}, "aggregate='median': unknown; accepted: sum, min, max, avg"),
        ({"aggregate": "sum"}, "aggregate='sum': not for the value count; accepted: with children, "),
        ({"max_series": 0}, "max_series=0: too small; accepted: a whole number from 1 on"),
        ({"max_series": True}, "max_series=True: too small; accepted: a whole number from 1 on"),
        (
            {"metric": "a-b"},
            "metric='a-b': not a metric name; accepted: letters, digits, _ and :, without a digit first",
        ),
        ({"metric": "python", "value": "info"}, "metric='python': a name of the exporter's own metrics; "),
        (
            {"metric": "zookeeper_cache", "value": "info"},
            "metric='zookeeper_cache': a name of the exporter's own metrics; ",
        ),
        ({"metric": "_info", "value": "info"}, "metric='_info': nothing but a suffix; accepted: "),
        ({"key": 5, "value": "json"}, "key=5: not a text; accepted: a string"),
        ({"match": 5}, "match=5: not a text; accepted: a string"),
        ({"help": 5}, "help=5: not a text; accepted: a string"),
        ({"value": "info", "labels": {"a": 1}}, "labels={'a': 1}: not texts; accepted: "),
        ({"metric": "zk_nodes"}, "metric='zk_nodes': a name of the exporter's own metrics; "),
        ({"metric": "zookeeper_cache_nodes"}, "metric='zookeeper_cache_nodes': a name of the exporter's own metrics; "),
    ],
)
def test_what_is_wrong_is_named_with_its_rule(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RuleError) as refusal:
        rule(**fields)
    name = fields.get("name", "things")
    assert str(refusal.value).startswith(f"rule {name}: {problem}")
    assert "; accepted: " in refusal.value.problem
    assert refusal.value.rule == name
    assert refusal.value.field == re.split("[=:]", problem)[0]
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
