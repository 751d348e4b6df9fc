"""A client that may be read-only: with an ordinary server, and with one that loses and regains its quorum."""

from __future__ import annotations

import pytest
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry

from exporter import TreeCache, TreeEvent
from exporter.demo.server import CONFIG, SYSTEM_PROPERTIES
from tests.conftest import ClientFactory, connected
from tests.faults.ensemble import Ensemble
from tests.support import eventually


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_client_that_may_be_read_only_at_an_ordinary_server(client_factory: ClientFactory, mode: str) -> None:
    client = client_factory(read_only=True)
    with TreeCache(client, "/app", mode=mode) as cache:
        assert cache.wait_initialized(10)
        client.create("/app/a", b"1")
        eventually(lambda: "/app/a" in cache)


def test_a_server_without_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only server has only local sessions: it refuses sessions from elsewhere, so this one begins there."""
    monkeypatch.setitem(SYSTEM_PROPERTIES, "readonlymode.enabled", "true")
    monkeypatch.setitem(CONFIG, "localSessionsEnabled", "true")
    monkeypatch.setitem(CONFIG, "localSessionsUpgradingEnabled", "true")
    retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2)
    events: list[int] = []
    with Ensemble() as ensemble:
        with connected(ensemble.hosts) as writer:
            writer.create("/app", b"1")
            writer.create("/app/a", b"1")
        last, *others = ensemble.members
        for member in others:
            member.kill()
        eventually(lambda: last.mode == "read-only", timeout=30)
        with connected(f"127.0.0.1:{last.port}", read_only=True, timeout=4, connection_retry=retry) as client:
            cache = TreeCache(client, "/app")
            cache.listen(lambda event: events.append(event.event_type))
            with cache:
                assert client.client_state == KeeperState.CONNECTED_RO
                assert cache.wait_initialized(10)
                assert list(cache) == ["/app", "/app/a"]
                ensemble.heal()
                eventually(lambda: client.client_state == KeeperState.CONNECTED, timeout=30)
                client.retry(client.set, "/app/a", b"2")
                eventually(lambda: cache.get_data("/app/a").data == b"2")
    assert TreeEvent.NODE_REMOVED not in events
    assert events.count(TreeEvent.NODE_ADDED) == 2
