"""The trees for the packs that flags ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.cli import parse_settings
from exporter.config.packed import packed
from exporter.config.settings import OPTIONS, SettingsError, Tree
from exporter.packs.library import load

OTHER = replace(OPTIONS, audit_sample=7)


def trees(paths: list[str], packs: list[str]) -> dict[str, set[str]]:
    """The names of the rules in each tree, up to the first underscore, which are those of the packs."""
    return {tree.path: {rule.name.partition("_")[0] for rule in tree.rules} for tree in packed(paths, packs, OPTIONS)}


def test_a_pack_belongs_to_the_tree() -> None:
    (tree,) = packed(["/kafka/"], ["kafka"], OTHER)
    assert tree == Tree("/kafka", "/kafka", rules=load("kafka").rules_in("/kafka"), options=OTHER)
    assert tree.rules[0].match == "/kafka/brokers/ids/{broker:[0-9]+}"


def test_trees_without_packs() -> None:
    assert trees(["/a", "/b"], []) == {"/a": set(), "/b": set()}


@pytest.mark.parametrize(
    ("packs", "roots"),
    [
        (["hbase"], {"/hbase": {"hbase"}}),
        (["hbase", "hdfs", "yarn"], {"/hbase": {"hbase"}, "/hadoop-ha": {"hdfs"}, "/yarn-leader-election": {"yarn"}}),
        # The tree at / has the roots of all.
        (["hbase", "kafka", "solr"], {"/": {"hbase", "kafka", "solr"}}),
        (["curator", "patroni"], {"/services": {"curator"}, "/service": {"patroni"}}),
    ],
)
def test_without_a_path_there_is_a_tree_for_each_root(packs: list[str], roots: dict[str, set[str]]) -> None:
    assert trees([], packs) == roots


def test_flags() -> None:
    settings = parse_settings(["--zookeeper.hosts=zk/kafka", "--pack=kafka", "--pack=hbase", "--audit.sample=7"])
    (tree,) = settings.ensembles[0].trees
    assert tree.path == "/"
    assert tree.rules == load("kafka").rules_in("/") + load("hbase").rules_in("/")
    assert tree.options.audit_sample == 7


@pytest.mark.parametrize(
    ("paths", "packs", "complaint"),
    [
        ([], ["kafca"], "--pack=kafca: unknown; accepted: bookkeeper, clickhouse, "),
        ([], ["kafka", "kafka"], "--pack=kafka: the pack is given twice; accepted: once"),
        (["/a", "/b"], ["kafka"], "--pack=kafka: it is not clear which tree is meant; accepted: with one "),
        (["/a{b}"], ["kafka"], "--treecache.path=/a{b}: no pattern can begin with the path /a{b}; accepted: "),
        (["a"], ["kafka"], "--treecache.path=a: the path is not absolute; accepted: "),
    ],
)
def test_mistakes(paths: list[str], packs: list[str], complaint: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        packed(paths, packs, OPTIONS)
    assert str(refusal.value).startswith(complaint)
