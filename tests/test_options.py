"""No option of a tree is accepted and ignored: each goes from file, flags and keywords to the code that it is for."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kazoo.client import KazooClient

import exporter.treecache
from exporter import TreeCache
from exporter.cli import parse_settings
from exporter.config import schema
from exporter.config.settings import OPTIONS
from exporter.config.source import load
from exporter.daemon.ensemble import cache_options
from exporter.treecache import Shard
from exporter.treecache.options import CacheKeywords, CacheOptions

NAMES = [option.name for option in fields(CacheOptions)]
ENGINE = Path(exporter.treecache.__file__).parent


class Everything:
    """A selector."""

    def keep(self, path: str) -> bool:
        return True

    def descend(self, path: str) -> bool:
        return True


#: Of each option a value that is not its default, neither of a cache nor of the daemon.
OTHER: dict[str, Any] = {
    "create_root": False,
    "keep_data": True,
    "mode": "classic",
    "batch_size": 7,
    "window": 2,
    "selector": Everything(),
    "max_depth": 3,
    "max_nodes_per_second": 17,
    "shard": Shard(1, 2),
    "old_data": True,
    "freshness_interval": 90.0,
    "freshness_timeout": 0.5,
    "freshness_barrier": "sync",
    "audit_interval": 60.0,
    "audit_sample": 5,
    "max_reply_bytes": 1 << 20,
    "name": "other",
}
#: The option that each key of a tree in the configuration file is, with a text that means the value above.
KEYS = {
    "keep_data": ("keep_data", "true"),
    "max_depth": ("max_depth", "3"),
    "max_nodes_per_second": ("max_nodes_per_second", "17"),
    "freshness.interval": ("freshness_interval", "1m30s"),
    "freshness.timeout": ("freshness_timeout", "500ms"),
    "freshness.barrier": ("freshness_barrier", "sync"),
    "audit.interval": ("audit_interval", "1m"),
    "audit.sample": ("audit_sample", "5"),
    "name": ("name", "other"),
}
#: Keys that say which znodes belong to the tree; `include` and `exclude` become the selector.
OF_ZNODES = {"path", "include", "exclude"}
#: The rules and the limits, which are options of views.
OF_VIEWS = {"packs", "metrics", "limits.jute_maxbuffer", "limits.subtrees"}
#: The same of flags.
FLAGS = {
    "--freshness.interval": ("freshness_interval", "1m30s"),
    "--freshness.timeout": ("freshness_timeout", "500ms"),
    "--freshness.barrier": ("freshness_barrier", "sync"),
    "--audit.interval": ("audit_interval", "1m"),
    "--audit.sample": ("audit_sample", "5"),
}
#: What the daemon decides on itself: it changes no znode, shares trees out by its own flags, bounds replies for a
#: session, has no use for old data, and leaves the way of reading to the engine.
NOT_ASKED_FOR = {"create_root", "shard", "max_reply_bytes", "old_data", "mode", "batch_size", "window", "selector"}


def made(options: CacheOptions) -> CacheOptions:
    """What a cache makes of them."""
    return TreeCache(KazooClient(), "/a", **options.keywords())._options


def keys_of(section: type[schema.Section], prefix: str = "") -> Iterator[str]:
    for key, field in section.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, schema.Section):
            yield from keys_of(field.annotation, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_every_option_is_tried() -> None:
    assert list(OTHER) == NAMES
    assert {option for option, _ in KEYS.values()} | NOT_ASKED_FOR == set(NAMES)
    assert set(keys_of(schema.Tree)) == set(KEYS) | OF_ZNODES | OF_VIEWS


def test_the_keywords_are_the_options() -> None:
    assert list(CacheKeywords.__annotations__) == NAMES
    assert get_type_hints(CacheKeywords) == get_type_hints(CacheOptions)
    parameters = inspect.signature(TreeCache).parameters
    assert list(parameters) == ["client", "path", *NAMES]
    assert {name: parameters[name].default for name in NAMES} == vars(CacheOptions())


@pytest.mark.parametrize("name", NAMES)
def test_each_option_is_explained_and_read_by_the_engine(name: str) -> None:
    # Python 3.13 dedents docstrings itself.
    lines = inspect.cleandoc(TreeCache.__doc__ or "").splitlines()
    explained = [line for line in lines if line.startswith(f"    {name}: ")]
    assert len(explained) == 1
    modules = [path for path in ENGINE.glob("*.py") if path.name != "options.py"]
    readers = [
        node
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value).endswith("options")
    ]
    assert readers, f"nothing in {ENGINE} reads options.{name}"


@pytest.mark.parametrize("name", NAMES)
def test_each_option_comes_from_keywords(name: str) -> None:
    # Of this one the daemon's default is the other value.
    other: dict[str, Any] = {name: False if name == "keep_data" else OTHER[name]}
    asked = CacheOptions(**other)
    assert asked != CacheOptions()
    assert made(asked) == asked


@pytest.mark.parametrize("key", KEYS)
def test_each_option_comes_from_the_file(tmp_path: Path, key: str) -> None:
    option, written = KEYS[key]
    section, _, inner = key.partition(".")
    line = f"{section}: {{{inner}: {written}}}" if inner else f"{key}: {written}"
    file = tmp_path / "config.yml"
    file.write_text(f"ensembles:\n- name: main\n  hosts: zk\n  trees:\n  - path: /a\n    {line}\n")
    (ensemble,) = load(file)
    usual = replace(OPTIONS, name="/a")
    assert getattr(usual, option) != OTHER[option]
    assert made(cache_options(ensemble.trees[0])) == replace(usual, **{option: OTHER[option]})


@pytest.mark.parametrize("flag", FLAGS)
def test_each_option_comes_from_the_flags(flag: str) -> None:
    option, written = FLAGS[flag]
    flags = ["--zookeeper.hosts=zk", "--treecache.path=/a", f"{flag}={written}"]
    (ensemble,) = parse_settings(flags).ensembles
    assert made(cache_options(ensemble.trees[0])) == replace(OPTIONS, name="/a", **{option: OTHER[option]})


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("create_root", 1, "True or False"),
        ("keep_data", None, "True or False"),
        ("mode", "fast", "one of auto, recursive, classic"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", 1.5, "at least 1"),
        ("window", True, "at least 1"),
        ("selector", "/a", "an object with the methods keep and descend"),
        ("max_depth", -1, "at least 0"),
        ("max_nodes_per_second", 0, "above 0"),
        ("max_nodes_per_second", float("nan"), "above 0"),
        ("shard", (0, 2), "a Shard"),
        ("old_data", "yes", "True or False"),
        ("freshness_interval", 0, "above 0"),
        ("freshness_interval", "5s", "above 0"),
        ("freshness_timeout", None, "above 0"),
        ("freshness_barrier", "hope", "one of quorum, sync"),
        ("audit_interval", -1, "above 0"),
        ("audit_sample", -1, "at least 0"),
        ("max_reply_bytes", 1, "from 1048576 to 2147483647"),
        ("name", 1, "a text"),
    ],
)
def test_what_an_option_does_not_take_is_named_with_it(option: str, value: object, accepted: str) -> None:
    with pytest.raises(ValueError, match=f"^{option} must be {accepted}, not ") as refusal:
        CacheOptions(**{option: value})  # type: ignore[arg-type]
    assert str(refusal.value).endswith(f"not {value!r}")


@pytest.mark.parametrize(
    ("interval", "timeout", "stale_after"), [(5.0, 10.0, 30.0), (0.1, 0.1, 10.0), (None, 10.0, 0.0)]
)
def test_a_tree_is_stale_once_two_checks_in_a_row_have_failed(
    interval: float | None, timeout: float, stale_after: float
) -> None:
    options = CacheOptions(freshness_interval=interval, freshness_timeout=timeout)
    assert options.stale_after == stale_after
    assert TreeCache(KazooClient(), "/a", **options.keywords()).stats().stale_after == stale_after
