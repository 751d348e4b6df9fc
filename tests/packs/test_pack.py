"""The files of packs: all are right, mistakes in them are found, and their paths begin where the system's do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from exporter.packs.library import NAMES, load
from exporter.packs.parsing import PackError, parse
from exporter.views.patterns import Patterns
from exporter.views.rules.rule import check_rules

FILES = Path(__file__).parents[2] / "exporter" / "packs" / "files"


# The shipped ones


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_right_and_has_a_test(name: str) -> None:
    pack = load(name)
    assert pack.text == (FILES / f"{name}.yml").read_text("utf-8")
    assert (Path(__file__).parent / f"test_{name}.py").exists()
    assert pack.description.endswith(".")
    assert all(omitted.strip().endswith(".") for omitted in pack.omits)
    assert all(rule.help.endswith(".") for rule in pack.rules)


def test_each_file_is_a_pack() -> None:
    assert sorted(path.name for path in FILES.iterdir()) == [f"{name}.yml" for name in NAMES]


def test_all_packs_fit_into_one_tree() -> None:
    rules = [rule for name in NAMES for rule in load(name).rules_in("/")]
    check_rules(rules)
    assert not any(Patterns([rule.pattern], "/").is_idle for rule in rules)


@pytest.mark.parametrize("name", NAMES)
def test_each_source_is_used(name: str) -> None:
    pack = load(name)
    used = re.findall(r"(?:source: |; )(\S+),", pack.text)
    assert set(used) == set(pack.sources)


# Mistakes


RULE: dict[str, Any] = {
    "name": "app_queue",
    "help": "Tasks.",
    "match": "/queue",
    "value": "children",
    "source": "App.java, QUEUE",
}
ALERT: dict[str, Any] = {
    "alert": "AppQueueLong",
    "expr": "zookeeper_znode_app_queue > 9",
    "for": "5m",
    "severity": "warning",
    "summary": "Tasks of {tree}: {value}.",
    "look": "Look first at the workers.",
}
PACK: dict[str, Any] = {
    "title": "App",
    "description": "Its queue.",
    "root": "/app",
    "root_is": "its chroot",
    "sources": {"App.java": "https://example.org/App.java"},
    "omits": [],
    "rules": [RULE],
    "alerts": [ALERT],
}


def written(content: Any, folder: Path) -> str:
    YAML(typ="safe", pure=True).dump(content, folder / "app.yml")
    return (folder / "app.yml").read_text("utf-8")


def test_the_least(tmp_path: Path) -> None:
    pack = parse("app", written(PACK, tmp_path))
    assert (pack.name, pack.title, pack.root, pack.root_is) == ("app", "App", "/app", "its chroot")
    assert [rule.match for rule in pack.rules] == ["/queue"]
    assert [alert.name for alert in pack.alerts] == ["AppQueueLong"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chroot": "/app"}, "pack app: chroot: unknown key; accepted: title, description, root"),
        ({"title": ""}, "pack app: title: not a text, or empty; accepted: a string"),
        ({"root": "app"}, "pack app: root: not an absolute path; accepted: "),
        ({"root": "/app/"}, "pack app: root: not an absolute path; accepted: "),
        ({"root": "/{app}"}, "pack app: root: not an absolute path; accepted: "),
        ({"rules": RULE}, "pack app: rules: not a list; accepted: "),
        ({"rules": ["queue"]}, "pack app: rules[0]: not a mapping; accepted: name, match"),
        ({"omits": [1]}, "pack app: omits[0]: not a text, or empty; accepted: "),
        ({"sources": {}}, "pack app: sources: not a mapping, or empty; accepted: "),
        ({"sources": {"App.java": "App.java"}}, "pack app: sources.App.java: accepted: "),
    ],
)
def test_mistakes_in_a_pack(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PackError) as refusal:
        parse("app", written(PACK | change, tmp_path))
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": {}}, "pack app: rules[0]: rule app_queue: labels={}: "),
        ({"matches": "/a"}, "pack app: rules[0].matches: unknown key; accepted: name, match, value"),
        ({"value": "size"}, "pack app: rules[0]: rule app_queue: value='size': unknown; accepted: "),
        ({"match": "queue"}, "pack app: rules[0]: rule app_queue: match: the pattern 'queue' is not absolute"),
        ({"name": "queue"}, "pack app: rules[0].name: queue: accepted: a name that begins with app_"),
        ({"source": "App.java"}, "pack app: rules[0].source: App.java: accepted: a file of sources, a comma, "),
        ({"source": "App.scala, QUEUE"}, "pack app: rules[0].source: App.scala, QUEUE: accepted: "),
        ({"help": ""}, "pack app: rules[0].help: not a text, or empty; accepted: "),
    ],
)
def test_mistakes_in_a_rule(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PackError) as refusal:
        parse("app", written({**PACK, "rules": [RULE | change]}, tmp_path))
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": {}}, "pack app: alerts[0].labels: unknown key; accepted: alert, expr, for"),
        ({"alert": "app queue"}, "pack app: alerts[0].alert: app queue: accepted: a name such as "),
        ({"for": "1h30m"}, "pack app: alerts[0].for: 1h30m: accepted: a duration of one unit, such as 10m"),
        ({"severity": "page"}, "pack app: alerts[0].severity: page: accepted: warning, critical"),
        (
            {"expr": "zookeeper_znode_app_queues > 9"},
            "pack app: alerts[0].expr: zookeeper_znode_app_queues: accepted: ",
        ),
        ({"expr": "up == 0"}, "pack app: alerts[0].expr: no metric: accepted: the metrics of the pack's rules"),
        ({"look": None}, "pack app: alerts[0].look: not a text, or empty; accepted: "),
    ],
)
def test_mistakes_in_an_alert(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PackError) as refusal:
        parse("app", written({**PACK, "alerts": [ALERT | change]}, tmp_path))
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize("key", sorted(RULE.keys() | ALERT.keys() | PACK.keys()))
def test_what_is_missing(tmp_path: Path, key: str) -> None:
    rule, alert = ({name: value for name, value in given.items() if name != key} for given in (RULE, ALERT))
    content = {name: value for name, value in (PACK | {"rules": [rule], "alerts": [alert]}).items() if name != key}
    with pytest.raises(PackError, match=rf"^pack app: ((rules|alerts)\[0\]\.)?{key}: missing; accepted: "):
        parse("app", written(content, tmp_path))


def test_rules_that_collide(tmp_path: Path) -> None:
    collides = RULE | {"name": "app_tasks", "metric": "zookeeper_znode_app_queue", "value": "info"}
    for other in (RULE, collides):
        with pytest.raises(PackError, match=r"^pack app: rules: rule app_\w+: .*; accepted: "):
            parse("app", written({**PACK, "rules": [RULE, other]}, tmp_path))


@pytest.mark.parametrize("text", ["", "a: [", "a: 1\na: 2\n", "- a"])
def test_what_is_no_mapping(text: str) -> None:
    with pytest.raises(PackError, match="; accepted: "):
        parse("app", text)


# Places


@pytest.mark.parametrize(
    ("name", "path", "root"),
    [
        # The tree has the default root.
        ("kafka", "/", "/"),
        ("hbase", "/", "/hbase"),
        ("hbase", "/hbase", "/hbase"),
        # It has not: the tree is the system's.
        ("kafka", "/kafka", "/kafka"),
        ("hbase", "/hbase-secure", "/hbase-secure"),
        ("patroni", "/service/production", "/service/production"),
    ],
)
def test_where_the_paths_of_a_pack_begin(name: str, path: str, root: str) -> None:
    pack = load(name)
    assert pack.root_in(path) == root
    assert [rule.match for rule in pack.rules_in(path)] == [root.rstrip("/") + rule.match for rule in pack.rules]


def test_a_rule_about_the_root_itself() -> None:
    matches = {path: load("curator").rules_in(path)[0].match for path in ("/", "/services", "/apps/services")}
    assert matches == {"/": "/services", "/services": "/services", "/apps/services": "/apps/services"}


@pytest.mark.parametrize("path", ["/a{b}", "/a*", "/*"])
def test_a_path_that_no_pattern_can_express(path: str) -> None:
    with pytest.raises(ValueError, match=r"^no pattern can begin with the path .*; accepted: "):
        load("kafka").rules_in(path)
