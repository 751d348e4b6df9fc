"""Paths of every kind: any root, any name, any chroot."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient

from exporter import TreeEvent
from tests.conftest import ClientFactory, ZooKeeper
from tests.contract.conftest import Program, Run, Soon

NAMES = ["ünï", "日本", "with space", ".hidden", "...", "a.b", "100%", "%2F", "<b>", "{0}", "x" * 200]


@pytest.mark.parametrize("root", ["/", "/app", "/app/deep/er", "/ünï/with space/100%/a.b"])
def test_any_root(run: Run, client: KazooClient, soon: Soon, root: str) -> None:
    below = root.rstrip("/")
    client.ensure_path(root)
    client.create(f"{below}/a", b"1")
    client.ensure_path("/elsewhere/a")
    program = run(root)
    assert program.data(f"{below}/a") == b"1"
    client.set(f"{below}/a", b"2")
    client.create(f"{below}/a/b", b"3")
    client.set("/elsewhere/a", b"not below every root")
    soon(lambda: (program.data(f"{below}/a"), program.data(f"{below}/a/b")) == (b"2", b"3"))
    client.delete(f"{below}/a/b")
    soon(lambda: program.cache.get_children(f"{below}/a") == frozenset())


def test_names_of_every_kind(run: Run, client: KazooClient, soon: Soon) -> None:
    client.create("/app")
    for name in NAMES[::2]:
        client.create(f"/app/{name}", name.encode())
    program = run()
    for name in NAMES[1::2]:
        client.create(f"/app/{name}", name.encode())
    soon(lambda: program.cache.get_children("/app") == frozenset(NAMES))
    soon(lambda: [program.data(f"/app/{name}") for name in NAMES] == [name.encode() for name in NAMES])
    for name in NAMES:
        client.delete(f"/app/{name}")
    soon(lambda: program.cache.get_children("/app") == frozenset())
    removed = {(TreeEvent.NODE_REMOVED, f"/app/{name}") for name in NAMES}
    soon(lambda: set(program.told()[-len(NAMES) :]) == removed)


def test_nodes_directly_below_the_root_of_all_come_and_go(run: Run, client: KazooClient, soon: Soon) -> None:
    program = run("/")
    for _ in range(2):
        client.create("/a", b"1")
        soon(lambda: program.data("/a") == b"1")
        client.delete("/a")
        soon(lambda: program.cache.get_children("/") == frozenset())


def added(program: Program) -> list[str | None]:
    """The paths of the NODE_ADDED events that a program received."""
    return [path for kind, path in program.told() if kind == TreeEvent.NODE_ADDED]


def test_paths_are_those_of_the_client_whatever_its_chroot(
    run: Run, client_factory: ClientFactory, zookeeper: ZooKeeper, client: KazooClient, soon: Soon
) -> None:
    client.ensure_path("/inner/app/a")
    for hosts, prefix in ((zookeeper.server.hosts, zookeeper.root + "/inner"), (zookeeper.hosts + "/inner", "")):
        program = run(f"{prefix}/app", client_factory(hosts))
        client.create("/inner/app/b", b"1")
        soon(lambda prefix=prefix, program=program: program.data(f"{prefix}/app/b") == b"1")  # type: ignore[misc]
        # Listeners receive an event a moment after the cache has changed.
        soon(lambda program=program: len(added(program)) >= 3)  # type: ignore[misc]
        assert added(program) == [f"{prefix}/app", f"{prefix}/app/a", f"{prefix}/app/b"]
        client.delete("/inner/app/b")
        program.cache.close()
