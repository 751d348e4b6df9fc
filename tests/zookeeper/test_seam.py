"""The seam to kazoo: only it uses kazoo's private names, it names missing ones, and generations can differ."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState

import exporter
from exporter import TreeCache
from exporter.zookeeper.kazoo import seam
from exporter.zookeeper.kazoo.seam import GENERATIONS, IncompatibleKazooError, Kazoo2, adapt
from exporter.zookeeper.session import Session
from tests.conftest import ZooKeeper, connected
from tests.support import eventually
from tests.zookeeper.nextkazoo import RENAMED, NextKazoo, NextKazooClient

PACKAGE = Path(exporter.__file__).parent
ROOT = PACKAGE.parent
PRIVATE = {name for generation in GENERATIONS for _, name in generation.names() if name.startswith("_")}
#: The names of variables that hold kazoo's objects.
KAZOOS = re.compile(r"(^|_)(kazoo|client|connection|reader|writer|admin|handler|zk)$")
#: Names with an underscore in strings of exporter/zookeeper that are its own.
OWN = {"_treecache_session", "_ending", "_result", "_context"}


# What is missing


class Without:
    """One of kazoo's objects without one of its attributes."""

    def __init__(self, original: object, name: str) -> None:
        self._original = original
        self._name = name

    def __getattr__(self, asked: str) -> object:
        if asked == self._name:
            raise AttributeError(asked)
        return getattr(self._original, asked)


def test_installed_kazoo_has_every_name() -> None:
    assert Kazoo2.missing(KazooClient()) == []


@pytest.mark.parametrize(("owner", "name"), sorted(Kazoo2.names()))
def test_kazoo_without_a_name_is_refused_by_that_name(owner: str, name: str) -> None:
    client = KazooClient()
    if owner == "client":
        client = Without(client, name)
    else:
        held_by = owner.removeprefix("client.")
        setattr(client, held_by, Without(getattr(client, held_by), name))
    with pytest.raises(IncompatibleKazooError) as refused:
        Session.attach(client)
    assert str(refused.value) == f"this release of kazoo has no {owner}.{name}"


# What is named where


def names_of_kazoos(source: str) -> Iterator[str]:
    """The places where a file uses an underscore attribute of kazoo's objects, or names one in a string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            whose = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            if whose not in ("self", "cls") and (node.attr in PRIVATE or KAZOOS.search(whose)):
                yield f"{whose}.{node.attr} in line {node.lineno}"
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            for given in node.args[1:] if called in ("getattr", "setattr", "hasattr", "delattr", "object") else ():
                if isinstance(given, ast.Constant) and given.value in PRIVATE:
                    yield f"{called} of {given.value} in line {node.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "client._queue.clear()",
        "self.client._connection.close()",
        "replica._connection._socket.shutdown(2)",
        "own_client._anything = 1",
        "setattr(thing, '_call', None)",
        "monkeypatch.setattr(thing, '_pending', deque())",
        "patch.object(thing, '_session_callback')",
    ],
)
def test_a_name_of_kazoos_is_found(source: str) -> None:
    assert list(names_of_kazoos(source))


@pytest.mark.long
def test_nothing_names_what_kazoo_keeps_to_itself() -> None:
    """Not even the seam does, except in its declarations."""
    folders = ("exporter", "tests", "bench", "scripts", "examples", "dashboards")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): list(names_of_kazoos(path.read_text())) for path in paths}
    assert len(found) > 300
    assert {path: names for path, names in found.items() if names} == {}


def test_every_name_that_the_seam_uses_is_declared() -> None:
    """No other string looks like a private name, and no other code uses kazoo's own objects."""
    for path in sorted((PACKAGE / "zookeeper").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                looks_private = re.fullmatch(r"(\w+\.)*_[a-z]\w*", node.value)
                assert not looks_private or node.value in PRIVATE | OWN, f"{node.value!r} in {path}:{node.lineno}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                assert node.value.attr != "connection", f"connection.{node.attr} in {path}:{node.lineno}"


# Generations


def test_a_release_with_other_names_is_refused_until_there_is_a_generation_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(IncompatibleKazooError) as refused:
        adapt(NextKazooClient())
    assert str(refused.value).startswith("this release of kazoo has no ")
    assert {name for name in RENAMED if name in str(refused.value)} == set(RENAMED)
    monkeypatch.setattr(seam, "GENERATIONS", [Kazoo2, NextKazoo])
    assert type(adapt(NextKazooClient())) is NextKazoo
    assert type(adapt(KazooClient())) is Kazoo2


def test_of_several_generations_the_closest_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "GENERATIONS", [NextKazoo, Kazoo2])
    with pytest.raises(IncompatibleKazooError, match=r"^this release of kazoo has no client\.last_zxid$"):
        adapt(Without(KazooClient(), "last_zxid"))


def test_two_generations_live_side_by_side(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches of each load, follow events, survive the loss of their connection, and close."""
    monkeypatch.setattr(seam, "GENERATIONS", [Kazoo2, NextKazoo])
    coming = NextKazooClient(zookeeper.hosts)
    coming.start()
    with connected(zookeeper.hosts) as today:
        today.create("/app/a", b"1", makepath=True)
        caches = [
            TreeCache(client, "/app", mode=mode) for client in (today, coming) for mode in ("recursive", "classic")
        ]
        fired: list[str] = []
        coming.get("/app/a", watch=lambda event: fired.append(event.path))
        for cache in caches:
            cache.start()
            assert cache.wait_initialized(60)
            assert cache.get_data("/app/a").data == b"1"
        coming.set("/app/a", b"2")
        today.create("/app/b")
        for cache in caches:
            eventually(lambda cache=cache: cache.get_data("/app/a").data == b"2" and "/app/b" in cache)  # type: ignore[misc]
            assert cache.verify(30)
        eventually(lambda: fired == ["/app/a"])
        adapt(coming).hang_up()
        eventually(lambda: caches[2].stats().syncs["reconnect"] == 1)
        today.delete("/app/b")
        for cache in caches:
            eventually(lambda cache=cache: "/app/b" not in cache)  # type: ignore[misc]
            cache.close()
        stats = Session.attach(coming).stats()
        assert (stats.transitions["connected"], stats.protocol_errors) == (1, dict.fromkeys(stats.protocol_errors, 0))
    coming.stop()
    coming.close()
    assert coming.state == KazooState.LOST
    assert Session.attach(coming).stats().requests_outstanding == 0
