"""An application sees the same states and errors of its client in every outage, with a cache or without."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import KazooState

from exporter import TreeCache
from tests.faults.conftest import quick_client, started
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import Proxy
from tests.faults.size import SOAK, size
from tests.support import eventually

pytestmark = pytest.mark.long

ROOT = "/app"
#: Seconds: enough for a busy machine to reconnect once there is a quorum again.
TIMEOUT = 2.0


class Application:
    """A client, its connection states, and its ephemeral znode."""

    def __init__(self, client: KazooClient, name: str) -> None:
        self.client = client
        self.name = name
        self.states: list[str] = []
        self.session = client.client_id[0]
        client.add_listener(self._hear)
        client.create(self.ephemeral, ephemeral=True)

    @property
    def ephemeral(self) -> str:
        """The path of its ephemeral znode."""
        return f"{ROOT}/{self.name}"

    def _hear(self, state: str) -> None:
        self.states.append(state)

    def is_back(self) -> bool:
        """Whether it is connected, with the old session or a new one."""
        return bool(self.client.connected)

    def ask(self) -> list[IAsyncResult]:
        """Makes calls of different kinds, which wait for a server as long as the session exists."""
        client = self.client
        return [client.get_async(ROOT), client.exists_async(ROOT + "/none"), client.get_children_async(ROOT + "/none")]

    def seen(self, answers: list[IAsyncResult]) -> dict[str, object]:
        """The states and results that the application saw in an outage, once it is over."""
        outcomes = []
        for answer in answers:
            answer.wait(30)
            outcomes.append("no answer" if not answer.ready() else type(answer.exception or answer.value).__name__)
        return {
            "states": without_retries(self.states),
            "keeps its session": self.client.client_id is not None and self.client.client_id[0] == self.session,
            "keeps its ephemeral": self.client.exists(self.ephemeral) is not None,
            "calls": outcomes,
        }


def without_retries(states: list[str]) -> list[str]:
    """States without connections that failed next, to servers that end or lag: their number depends on milliseconds."""
    kept: list[str] = []
    for state in states:
        if state == KazooState.SUSPENDED and kept[1:] and kept[-1] == KazooState.CONNECTED:
            kept.pop()
        else:
            kept.append(state)
    return kept


class Pair:
    """The same application twice on the same servers: with a plain client, and with a cache."""

    def __init__(self, plain: Application, cached: Application, cache: TreeCache) -> None:
        self.plain = plain
        self.cached = cached
        self.cache = cache
        self.both = (plain, cached)

    def until(self, condition: Callable[[Application], bool], timeout: float = 60.0) -> None:
        """Waits until something is true of both."""
        eventually(lambda: all(map(condition, self.both)), timeout=timeout)

    def outlasts(self, outage: Callable[[], object], ending: Callable[[], object], while_out: float = 0.0) -> None:
        """Runs both through an outage and compares what they see; neither may lose anything.

        With `while_out`, the seconds without a server, their calls during the outage must be answered afterwards.
        """
        for application in self.both:
            application.states.clear()
        outage()
        self.until(lambda application: application.states[:1] == [KazooState.SUSPENDED])
        time.sleep(while_out)
        answers = [application.ask() for application in self.both] if while_out else []
        ending()
        self.until(Application.is_back)
        answers = answers or [application.ask() for application in self.both]
        plain, cached = (one.seen(asked) for one, asked in zip(self.both, answers, strict=True))
        assert cached == plain
        assert plain["keeps its session"]
        assert plain["keeps its ephemeral"]
        assert self.cache.wait_initialized(30)


@contextlib.contextmanager
def applications(hosts: str) -> Iterator[Pair]:
    """A pair of applications with a loaded cache."""
    with started(client_at(hosts)) as plain, started(client_at(hosts)) as cached:
        plain.ensure_path(ROOT)
        with TreeCache(cached, ROOT) as cache:
            assert cache.wait_initialized(60)
            yield Pair(Application(plain, "plain"), Application(cached, "cached"), cache)


def client_at(hosts: str) -> KazooClient:
    """A client that connects to the same servers in the same order as its twin."""
    client = quick_client(hosts, timeout=TIMEOUT)
    client.randomize_hosts = False
    return client


def test_a_server_is_changed_quorum_is_lost_and_the_ensemble_is_wiped() -> None:
    """The longest time without a quorum is 20 session timeouts; neither client gives up its session."""
    with Ensemble() as ensemble, applications(ensemble.hosts) as pair:
        pair.outlasts(ensemble.members[0].kill, ensemble.heal)
        pair.outlasts(ensemble.lose_quorum, ensemble.heal, while_out=size(12, 20) * TIMEOUT)

        for application in pair.both:
            application.states.clear()
        for member in ensemble.members:
            member.kill()
            member.wipe()
        ensemble.heal()
        time.sleep(size(2, 20) * TIMEOUT)
        assert [without_retries(application.states) for application in pair.both] == [[KazooState.SUSPENDED]] * 2
        # The new history overtakes the zxids that were seen, and the servers report the sessions as expired.
        overtake(ensemble, max(application.client.last_zxid for application in pair.both))
        pair.until(lambda application: KazooState.LOST in application.states)
        pair.until(Application.is_back)
        plain, cached = (application.seen(application.ask()) for application in pair.both)
        assert cached == plain
        assert plain["states"] == [KazooState.SUSPENDED, KazooState.LOST, KazooState.CONNECTED]
        pair.plain.client.ensure_path(ROOT + "/new")
        eventually(lambda: pair.cache.get_data(ROOT + "/new") is not None)


def overtake(ensemble: Ensemble, zxid: int) -> None:
    """Runs elections and writes until the newest zxid is above `zxid`."""
    while True:
        with started(KazooClient(ensemble.hosts)) as writer:
            writer.ensure_path("/counter")
            while writer.last_zxid <= zxid and writer.last_zxid >> 32 == zxid >> 32:
                writer.set("/counter", b"")
            if writer.last_zxid > zxid:
                return
        ensemble.leader.kill()
        ensemble.heal()


def test_a_server_that_opens_another_session_without_a_word() -> None:
    """kazoo believes that the old session was resumed; for the application this is so with and without a cache."""
    with Ensemble() as ensemble, contextlib.ExitStack() as proxies:
        proxy = proxies.enter_context(Proxy(ensemble.members[0].port))
        with applications(proxy.hosts) as pair:
            proxy.forgets_sessions = True
            for application in pair.both:
                application.states.clear()
            proxy.cut()
            pair.until(lambda application: application.states == [KazooState.SUSPENDED, KazooState.CONNECTED])
            plain, cached = (application.seen(application.ask()) for application in pair.both)
            assert cached == plain
            assert not plain["keeps its session"]


# Other releases are not available everywhere: `make soak` uses those in the environment, oldest first.
if SOAK and os.environ.get("ZOOKEEPER_UPGRADE"):

    def test_an_upgrade_one_server_after_the_other() -> None:
        """`ZOOKEEPER_UPGRADE` has the homes of releases, such as `/opt/zookeeper/3.6.3:/opt/zookeeper/3.9.5`."""
        homes = os.environ["ZOOKEEPER_UPGRADE"].split(os.pathsep)
        with Ensemble(home=homes[0]) as ensemble, applications(ensemble.hosts) as pair:
            for home in homes[1:]:
                for member in ensemble.members:
                    was_its_own = all(application.client.connected for application in pair.both)
                    assert was_its_own
                    member.kill()
                    member.home = home
                    ensemble.heal()
                    pair.until(Application.is_back)
            plain, cached = (application.seen(application.ask()) for application in pair.both)
            assert cached == plain
            assert plain["keeps its session"]
            assert plain["keeps its ephemeral"]
            assert KazooState.LOST not in plain["states"]  # type: ignore[operator]
