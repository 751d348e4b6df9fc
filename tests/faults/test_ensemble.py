"""A cache on a three-server ensemble whose servers are killed, suspended, restarted and partitioned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter import TreeCache, TreeEvent
from exporter.zookeeper.session import Session
from tests.faults.conftest import quick_client, started
from tests.faults.ensemble import Ensemble, Member
from tests.replay import Replay, settles
from tests.support import eventually, expire

ROOT = "/app"


@pytest.fixture(scope="module")
def whole() -> Iterator[Ensemble]:
    """One ensemble for this file."""
    with Ensemble() as ensemble:
        yield ensemble


class Observer:
    """A cache on the ensemble, and all its events."""

    def __init__(self, ensemble: Ensemble, strategy: str) -> None:
        self.ensemble = ensemble
        self.client = quick_client(ensemble.hosts)
        self.session = Session.attach(self.client)
        self.replay = Replay()
        self.cache = TreeCache(self.client, ROOT, mode=strategy)
        self.cache.listen(self.replay)

    @property
    def server(self) -> Member:
        """The member that the client is connected to."""
        return self.ensemble.serving(eventually(lambda: self.session.stats().server))

    def change(self) -> None:
        """Makes a change, with a client that retries until it succeeds."""
        with started(quick_client(self.ensemble.hosts)) as writer:
            for name in ("x", "y"):
                with contextlib.suppress(KazooException):
                    writer.retry(writer.delete, f"{ROOT}/{name}", recursive=True)
                writer.retry(writer.ensure_path, f"{ROOT}/{name}/below")
                writer.retry(writer.set, f"{ROOT}/{name}", name.encode())

    def settles(self, timeout: float = 60.0) -> bool:
        """Waits until server, cache and events agree on the tree."""
        with started(KazooClient(self.ensemble.hosts)) as reader:
            return settles(self.cache, self.replay, reader, ROOT, timeout)


@contextlib.contextmanager
def loaded(whole: Ensemble, *strategies: str) -> Iterator[list[Observer]]:
    """A loaded cache of each strategy on a healthy ensemble, which is healed afterwards."""
    whole.heal()
    with contextlib.ExitStack() as ending:
        ending.callback(whole.heal)
        observers = [Observer(whole, strategy) for strategy in strategies]
        for observer in observers:
            ending.enter_context(started(observer.client))
            ending.enter_context(observer.cache)
            assert observer.cache.wait_initialized(60)
        observers[0].change()
        assert all(observer.settles() for observer in observers)
        yield observers


@pytest.fixture
def observer(whole: Ensemble, strategy: str) -> Iterator[Observer]:
    """A loaded cache."""
    with loaded(whole, strategy) as (observer,):
        yield observer


@pytest.fixture
def observers(whole: Ensemble) -> Iterator[list[Observer]]:
    """A loaded cache of each strategy, for faults of all servers."""
    with loaded(whole, "recursive", "classic") as observers:
        yield observers


def test_its_server_is_killed(observer: Observer, whole: Ensemble) -> None:
    before = observer.server
    before.kill()
    observer.change()
    assert observer.settles()
    assert observer.server is not before
    assert observer.replay.kinds[TreeEvent.CONNECTION_RECONNECTED] >= 1
    assert observer.replay.kinds[TreeEvent.INITIALIZED] == 1


def test_its_server_stops_answering_and_comes_back(observer: Observer, whole: Ensemble) -> None:
    before = observer.server
    before.suspend()
    eventually(lambda: observer.server is not before)
    observer.change()
    assert observer.settles()
    before.resume()
    observer.change()
    assert observer.settles()


def test_the_leader_is_killed(observers: list[Observer], whole: Ensemble) -> None:
    whole.leader.kill()
    observers[0].change()
    assert all(observer.settles() for observer in observers)


def test_quorum_is_lost_and_regained(observers: list[Observer], whole: Ensemble) -> None:
    held = set(observers[0].cache)
    for member in whole.members[:2]:
        member.kill()
    for observer in observers:
        eventually(lambda: observer.replay.kinds[TreeEvent.CONNECTION_SUSPENDED] >= 1)  # noqa: B023
        eventually(lambda: not observer.client.connected)  # noqa: B023
        assert set(observer.cache) == held
    whole.heal()
    observers[0].change()
    assert all(observer.settles() for observer in observers)


def test_every_server_is_restarted_in_turn(observers: list[Observer], whole: Ensemble) -> None:
    for member in whole.members:
        member.kill()
        observers[0].change()
        whole.heal()
    assert all(observer.settles() for observer in observers)


def test_its_session_expires(observer: Observer, whole: Ensemble) -> None:
    expire(observer.client.client_id, whole.hosts)
    eventually(lambda: observer.replay.kinds[TreeEvent.CONNECTION_LOST] == 1)
    observer.change()
    eventually(lambda: observer.replay.kinds[TreeEvent.INITIALIZED] == 2)
    assert observer.settles()
