"""The log about a real server: outages and lost sessions, but nothing about single znodes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import structlog

from exporter.config.settings import Ensemble, Tree
from exporter.daemon import ensemble as ensemble_module
from exporter.daemon.ensemble import WatchedEnsemble
from exporter.process.logs import Flood
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import Proxy
from tests.support import eventually, expire


@contextlib.contextmanager
def watching(settings: Ensemble) -> Iterator[WatchedEnsemble]:
    ensemble = WatchedEnsemble(settings)
    ensemble.start()
    try:
        yield ensemble
    finally:
        ensemble.stop()


def test_a_lost_session_is_one_warning(zookeeper: ZooKeeper) -> None:
    settings = Ensemble("main", zookeeper.hosts, (Tree("root", "/"),))
    with structlog.testing.capture_logs() as logged, watching(settings) as ensemble:
        eventually(lambda: count(logged, "tree in sync") == 1)
        session = ensemble.source.client.stats().session_id
        expire(ensemble._client.client_id, zookeeper.hosts)
        eventually(lambda: count(logged, "tree in sync", after="session lost") == 1)
    assert [entry["event"] for entry in logged if entry["log_level"] == "warning"] == ["session lost"]
    assert all(entry["ensemble"] == "main" for entry in logged)
    (lost,) = (entry for entry in logged if entry["event"] == "session lost")
    assert (lost["session"], lost["reason"], lost["server"]) == (session, "expired", zookeeper.server.hosts)
    assert 0 <= lost["disconnected_seconds"] <= lost["session_seconds"]
    assert [entry["tree"] for entry in logged if entry["event"] == "tree in sync"] == ["root", "root"]


def test_a_connection_that_comes_and_goes_is_no_flood(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than eight connections take on a busy machine: a longer pause between them would end the flood.
    monkeypatch.setattr(ensemble_module, "Flood", partial(Flood, limit=2, interval=4.0))
    with Proxy(zookeeper.server.port) as proxy, structlog.testing.capture_logs() as logged:
        settings = Ensemble("main", proxy.hosts + zookeeper.root, (Tree("a", "/"), Tree("b", "/")))
        with watching(settings) as ensemble:
            for comings in range(1, 9):
                eventually(lambda: ensemble.source.client.stats().transitions["connected"] == comings)  # noqa: B023
                proxy.cut()
            eventually(lambda: count(logged, "connection flapping"))
            counts = {event: count(logged, event) for event in ("connected", "reconnected", "connection suspended")}
            assert counts == {"connected": 1, "reconnected": 2, "connection suspended": 2}
            eventually(lambda: count(logged, "tree in sync"))
            assert count(logged, "tree in sync") <= 4
            sums = [entry for entry in logged if entry["event"] == "connection flapping"]
            assert sums[0]["held_back"] > 0
            assert (sums[0]["log_level"], sums[0]["ensemble"]) == ("warning", "main")
            eventually(lambda: any(entry.get("state") == "connected" for entry in logged))


def test_the_lines_of_an_outage_say_where_which_session_why_and_how_long(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy, structlog.testing.capture_logs() as logged:
        with watching(Ensemble("main", proxy.hosts + zookeeper.root, (Tree("root", "/"),))) as ensemble:
            eventually(lambda: count(logged, "connected") == 1)
            session = ensemble.source.client.stats().session_id
            proxy.cut()
            eventually(lambda: count(logged, "reconnected") == 1)
        lines = {entry["event"]: entry for entry in logged if entry["event"] not in ("connecting", "tree in sync")}
    assert list(lines) == ["connected", "connection suspended", "reconnected"]
    for line in lines.values():
        assert (line["server"], line["session"], line["ensemble"]) == (proxy.hosts, session, "main")
        assert line["session_seconds"] >= 0
    connected, suspended, reconnected = lines.values()
    assert not {"reason", "connected_seconds", "disconnected_seconds"} & connected.keys()
    assert suspended["reason"] == "socket connection broken"
    assert suspended["connected_seconds"] > 0
    assert 0 < reconnected["disconnected_seconds"] < reconnected["session_seconds"]


def test_what_kazoo_says_of_an_outage_names_the_server(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        with watching(Ensemble("main", proxy.hosts + zookeeper.root, (Tree("root", "/"),))) as ensemble:
            eventually(lambda: ensemble.source.client.stats().state == "connected")
            proxy.refuse()
            proxy.cut()
            eventually(lambda: refusals(caplog))
            proxy.heal()
        refused = refusals(caplog)[-1]
    assert (refused.__dict__["ensemble"], refused.__dict__["server"]) == ("main", proxy.hosts)


def refusals(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """kazoo's messages about refused connections."""
    return [record for record in caplog.records if record.name == "kazoo.client" and "refused" in record.getMessage()]


def test_nothing_is_logged_for_a_znode_above_debug(zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    writer = client_factory()
    settings = Ensemble("main", zookeeper.hosts, (Tree("root", "/"),))
    with structlog.testing.capture_logs() as logged, watching(settings) as ensemble:
        eventually(lambda: count(logged, "tree in sync") == 1)
        for number in range(20):
            writer.create(f"/{number}")
        eventually(lambda: sum(ensemble.source.caches["root"].stats().nodes.values()) == 21)
    assert [entry["event"] for entry in logged if entry["log_level"] != "debug"] == [
        "connecting",
        "connected",
        "tree in sync",
    ]


def count(logged: Sequence[Mapping[str, Any]], event: str, after: str | None = None) -> int:
    """How often an event was logged, in total, or since the last event `after`."""
    events = [entry["event"] for entry in logged]
    if after is not None:
        events = events[len(events) - events[::-1].index(after) :] if after in events else []
    return events.count(event)
