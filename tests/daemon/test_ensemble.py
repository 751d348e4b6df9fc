"""A watched ensemble: the arguments of kazoo and the caches for given settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.config.settings import OPTIONS, Digest, DigestMd5, Ensemble, Gssapi, Tls, Tree
from exporter.daemon.ensemble import _differ_in_views, cache_options, client_options
from exporter.treecache import Shard
from exporter.treecache.options import CacheOptions
from exporter.views.limits.view import Limits
from exporter.views.rules.rule import Rule


def test_what_kazoo_is_given() -> None:
    tls = Tls(Path("/ca"), Path("/cert"), Path("/key"), SecretStr("k"), check_hostname=True)
    settings = Ensemble("a", "zk:2181/x", (), 4.0, (Digest("u", SecretStr("p")),), DigestMd5("s", SecretStr("q")), tls)
    options = client_options(settings)
    del options["connection_retry"], options["logger"]
    assert options == {
        "hosts": "zk:2181/x",
        "timeout": 4.0,
        "auth_data": [("digest", "u:p")],
        "sasl_options": {"mechanism": "DIGEST-MD5", "username": "s", "password": "q"},
        "use_ssl": True,
        "ca": "/ca",
        "certfile": "/cert",
        "keyfile": "/key",
        "keyfile_password": "k",
        "verify_certs": True,
        "check_hostname": True,
    }


@pytest.mark.parametrize(
    ("sasl", "options"),
    [
        (Gssapi(), {"mechanism": "GSSAPI", "service": "zookeeper"}),
        (Gssapi("zk", "me@X"), {"mechanism": "GSSAPI", "service": "zk", "principal": "me@X"}),
    ],
)
def test_kerberos(sasl: Gssapi, options: Mapping[str, str]) -> None:
    assert client_options(Ensemble("a", "zk:2181", (), sasl=sasl))["sasl_options"] == options


def test_what_a_cache_is_given() -> None:
    assert cache_options(Tree("a", "/a")) == CacheOptions(
        name="a",
        create_root=False,
        keep_data=False,
        freshness_interval=5.0,
        freshness_timeout=10.0,
        freshness_barrier="quorum",
        audit_interval=300.0,
        audit_sample=1000,
    )
    asked = replace(OPTIONS, max_depth=3, freshness_interval=None, freshness_barrier="sync", audit_sample=0)
    given = cache_options(Tree("a", "/a", exclude=("/a/b",), options=asked))
    assert given.selector is not None
    assert not given.selector.keep("/a/b")
    assert replace(given, selector=None, name=None) == asked


def test_only_a_tree_that_is_shared_is_sharded() -> None:
    tree = Tree("a", "/a")
    assert cache_options(tree, Shard(1, 2)).shard == Shard(1, 2)
    assert cache_options(tree, Shard(0, 1)) == cache_options(tree)


@pytest.mark.parametrize(
    ("before", "after", "keeps_data", "stays"),
    [
        ("count", "exists", False, True),
        ("number", "exists", False, True),
        ("number", "info", False, True),
        ("count", "number", False, False),
        # An election reads the candidates, not their directory.
        ("election", "number", False, False),
        ("number", "election", False, False),
        ("count", "number", True, True),
    ],
)
def test_other_rules_leave_the_cache_alone_if_it_has_their_data(
    before: str, after: str, keeps_data: bool, stays: bool
) -> None:
    options = replace(OPTIONS, keep_data=keeps_data)
    trees = [
        Tree("/a", "/a", rules=(Rule(name="x", match="/a/{y}", value=value),), options=options)
        for value in (before, after)
    ]
    assert _differ_in_views(*trees) == stays
    assert not _differ_in_views(trees[0], replace(trees[1], exclude=("/a/b",)))


def test_other_limits_leave_the_cache_alone() -> None:
    tree = Tree("/a", "/a")
    assert _differ_in_views(tree, replace(tree, limits=Limits(subtrees=7)))
    assert not _differ_in_views(tree, replace(tree, limits=Limits(subtrees=7), path="/b"))
