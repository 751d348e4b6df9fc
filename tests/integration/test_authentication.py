"""Credentials that are added later: the cache then reads what it may, and loses or mixes up no outstanding request."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from kazoo.security import make_digest_acl

from exporter import TreeCache, TreeEvent
from tests.conftest import ClientFactory
from tests.support import eventually

NODES = 1_000


@pytest.fixture
def owner(client_factory: ClientFactory) -> KazooClient:
    """A client with the credentials of the only user who may read /app/secret and below."""
    owner = client_factory(auth_data=[("digest", "user:password")])
    acl = [make_digest_acl("user", "password", all=True)]
    owner.create("/app")
    owner.create("/app/open", b"1")
    owner.create("/app/secret", b"2", acl=acl)
    owner.create("/app/secret/below", b"3", acl=acl)
    return owner


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_credentials_that_come_later_show_what_was_hidden(
    owner: KazooClient, client: KazooClient, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.treecache.cache._POLL_INTERVAL", 0.2)
    added: list[str] = []
    cache = TreeCache(client, "/app", mode=mode)
    cache.listen(lambda event: added.append(event.event_data.path) if event.event_type == TreeEvent.NODE_ADDED else 0)
    with cache:
        assert cache.wait_initialized(10)
        assert sorted(cache) == ["/app", "/app/open"]
        client.add_auth("digest", "user:password")
        eventually(lambda: "/app/secret/below" in list(cache), timeout=20)
        assert cache.get_data("/app/secret").data == b"2"
        eventually(lambda: sorted(added) == ["/app", "/app/open", "/app/secret", "/app/secret/below"])
        owner.set("/app/secret", b"new")
        eventually(lambda: cache.get_data("/app/secret").data == b"new")


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_credentials_among_thousands_of_reads_in_flight(client: KazooClient, owner: KazooClient, mode: str) -> None:
    for creation in [owner.create_async(f"/app/open/{number}", b"%d" % number) for number in range(NODES)]:
        creation.get(20)
    states: list[str] = []
    client.add_listener(states.append)
    caches = [TreeCache(client, "/app/open", mode=mode) for _ in range(3)]
    reads, auths = [], []
    for cache in caches:
        cache.start()
        for number in range(NODES):
            reads.append(client.get_async(f"/app/open/{number}"))
            if number % 200 == 0:
                auths.append(client.add_auth_async("digest", f"user{number}:password"))
    assert [read.get(20)[0] for read in reads] == [b"%d" % number for number in range(NODES)] * 3
    assert all(auth.get(20) for auth in auths)
    for cache in caches:
        assert cache.wait_initialized(20)
        eventually(lambda cache=cache: len(cache) == NODES + 1)  # type: ignore[misc]
        assert all(cache.get_data(f"/app/open/{number}").data == b"%d" % number for number in range(NODES))
        cache.close()
    assert states == []


def test_refused_credentials_fail_their_own_request(client: KazooClient, owner: KazooClient) -> None:
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        with pytest.raises(AuthFailedError):
            client.add_auth("unknown-scheme", "user:password")
