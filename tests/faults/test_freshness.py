"""The proof of freshness at an ensemble: it never says more than is held, and says nothing while it cannot know."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache
from tests.faults.conftest import quick_client, started
from tests.faults.ensemble import Ensemble, Member
from tests.faults.proxy import DOWN, UP, Proxy
from tests.faults.size import SOAK, size
from tests.support import eventually

ROOT = "/app"
#: How many proofs are held against the writes, by strategy.
SAMPLES = {"recursive": size(220, 7_000), "classic": size(80, 3_000)}
INTERVAL = 0.02
TIMEOUT = 0.5
_SETS = 8
_LIVING = 20


@pytest.fixture(scope="module")
def whole() -> Iterator[Ensemble]:
    """One ensemble for this file, with an observer."""
    with Ensemble(observer=True) as ensemble:
        yield ensemble
        ensemble.heal()


@pytest.fixture
def ensemble(whole: Ensemble) -> Iterator[Ensemble]:
    """The same, whole and with an empty tree, and whole again afterwards."""
    whole.heal()
    with started(quick_client(whole.hosts)) as client:
        client.retry(client.delete, ROOT, recursive=True) if client.exists(ROOT) else None
        client.retry(client.ensure_path, ROOT)
    yield whole
    whole.heal()


@dataclass
class Life:
    """One znode's: monotonic times, None for what has not happened."""

    created_at: float | None = None
    ending_at: float | None = None
    deleted_at: float | None = None

    def created(self, result: Any) -> None:
        """Its creation was acknowledged, or failed."""
        self.created_at = time.monotonic() if result.successful() else None

    def deleted(self, result: Any) -> None:
        """Its deletion was acknowledged, or failed."""
        self.deleted_at = time.monotonic() if result.successful() else None


class Writer(threading.Thread):
    """Writes without a pause and stamps what is acknowledged, as soon as it is, with the time of that."""

    def __init__(self, hosts: str) -> None:
        super().__init__(daemon=True)
        self._client = quick_client(hosts, timeout=4.0)
        self._stopping = threading.Event()
        self.acknowledged: dict[str, tuple[int, float]] = {}
        self.lives: dict[str, Life] = {}

    def run(self) -> None:
        with started(self._client) as client:
            for number in range(_SETS):
                client.create(f"{ROOT}/set{number}", b"-1")
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                self._write(client, number)

    def _write(self, client: KazooClient, number: int) -> None:
        """A round of writes in flight together; those that fail prove nothing and are forgotten."""
        results = []
        for path in (f"{ROOT}/set{n}" for n in range(_SETS)):
            result = client.set_async(path, b"%d" % number)
            result.rawlink(lambda result, path=path: self._on_set(path, number, result))
            results.append(result)
        born, ended = f"{ROOT}/born{number}", f"{ROOT}/born{number - _LIVING}"
        life = self.lives[born] = Life()
        created = client.create_async(born)
        created.rawlink(life.created)
        results.append(created)
        if (ending := self.lives.get(ended)) is not None:
            ending.ending_at = time.monotonic()
            deleted = client.delete_async(ended)
            deleted.rawlink(ending.deleted)
            results.append(deleted)
            self.lives.pop(f"{ROOT}/born{number - 4 * _LIVING}", None)
        for result in results:
            with contextlib.suppress(Exception):
                result.get(timeout=5)

    def _on_set(self, path: str, number: int, result: Any) -> None:
        if result.successful():
            self.acknowledged[path] = (number, time.monotonic())

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        assert not self.is_alive()


class Judge:
    """Holds each proof of a cache against the writes that were acknowledged before the moment it is about."""

    def __init__(self, cache: TreeCache, writer: Writer) -> None:
        self._cache = cache
        self._writer = writer
        self._last = 0.0
        self.samples = 0

    def look(self) -> bool:
        """Judges the latest proof, if it is a new one."""
        # What was acknowledged is looked up before, and what is held after: so whatever is held was to be held.
        sets = dict(self._writer.acknowledged)
        lives = [(path, life, life.created_at, life.deleted_at) for path, life in list(self._writer.lives.items())]
        proven = moment(self._cache)
        if proven <= self._last:
            return False
        self._last = proven
        self.samples += 1
        for path, (number, at) in sets.items():
            if at < proven:
                held = self._cache.get_data(path)
                assert held is not None
                assert int(held.data) >= number, f"{path} lacks a write of {proven - at} s before"
        held_names = self._cache.get_children(ROOT)
        for path, life, created_at, deleted_at in lives:
            is_held = path[len(ROOT) + 1 :] in held_names
            if deleted_at is not None and deleted_at < proven:
                assert not is_held, f"{path} was deleted {proven - deleted_at} s before"
            elif created_at is not None and created_at < proven and life.ending_at is None:
                assert is_held, f"{path} was created {proven - created_at} s before"
        return True


def moment(cache: TreeCache) -> float:
    """The monotonic time up to which a cache is proven to be fresh."""
    verified = cache._replica.freshness.verified
    return 0.0 if verified is None else verified.asked_at


@contextlib.contextmanager
def loaded(client: KazooClient, mode: str = "auto", **options: Any) -> Iterator[TreeCache]:
    """A cache that proves all the time how fresh it is, and has done so."""
    options = {"freshness_interval": INTERVAL, "freshness_timeout": TIMEOUT, **options}
    with started(client), TreeCache(client, ROOT, mode=mode, create_root=False, **options) as cache:
        assert cache.verify(10)
        yield cache


def test_no_proof_says_more_than_is_held(ensemble: Ensemble, strategy: str) -> None:
    draw = random.Random(f"freshness {strategy}" + (" at length" if SOAK else ""))
    targets = [ensemble.leader, *ensemble.followers, ensemble.observer]
    writer = Writer(",".join(f"127.0.0.1:{member.port}" for member in ensemble.members[:3]))
    writer.start()
    eventually(lambda: len(writer.acknowledged) == _SETS)
    with Proxy(ensemble.leader.port) as proxy, loaded(quick_client(proxy.hosts), strategy) as cache:
        judge = Judge(cache, writer)
        try:
            for number, target in enumerate(targets, 1):
                proxy.target = target.port
                proxy.cut()
                disturbed_until = 0.0
                while judge.samples < SAMPLES[strategy] * number / len(targets):
                    if not judge.look():
                        time.sleep(INTERVAL / 10)
                    if time.monotonic() > disturbed_until:
                        disturbed_until = time.monotonic() + disturb(proxy, draw)
        finally:
            writer.stop()
        assert cache.stats().syncs["reconnect"] >= len(targets)


def disturb(proxy: Proxy, draw: random.Random) -> float:
    """Does something to the connection; gives how many seconds it is to last."""
    proxy.heal()
    fault = draw.choice(["none", "none", "none", "none", "none", "none", "cut", "up", "down", "delay", "break"])
    if fault == "cut":
        proxy.cut()
    elif fault in ("up", "down"):
        proxy.stall(UP if fault == "up" else DOWN)
    elif fault == "delay":
        proxy.delay = draw.random() * 0.02
    elif fault == "break":
        proxy.break_frame(draw.choice([UP, DOWN]))
    return draw.random() * 0.2


# What stands still while nothing can be known

Disturbance = Callable[[Ensemble, Proxy, Member], None]


def stop_the_server(ensemble: Ensemble, proxy: Proxy, server: Member) -> None:
    server.suspend()


def stall_what_is_sent(ensemble: Ensemble, proxy: Proxy, server: Member) -> None:
    proxy.stall(UP)


def stall_what_is_received(ensemble: Ensemble, proxy: Proxy, server: Member) -> None:
    proxy.stall(DOWN)


def lose_the_quorum(ensemble: Ensemble, proxy: Proxy, server: Member) -> None:
    for member in ensemble.members[:3]:
        if member is not server:
            member.suspend()


@pytest.mark.parametrize("disturbance", [stop_the_server, stall_what_is_sent, stall_what_is_received, lose_the_quorum])
def test_a_proof_stands_still_while_nothing_can_be_known(ensemble: Ensemble, disturbance: Disturbance) -> None:
    server = ensemble.followers[0]
    with Proxy(server.port) as proxy, loaded(quick_client(proxy.hosts)) as cache:
        disturbance(ensemble, proxy, server)
        began = time.monotonic()
        failures = sum(cache.stats().verification_failures.values())
        eventually(lambda: sum(cache.stats().verification_failures.values()) > failures)
        # A stopped process may have answered what it was already about to.
        assert moment(cache) < began + 0.1
        assert time.time() - cache.verified_at >= time.monotonic() - began - 0.1
        proxy.heal()
        ensemble.heal()
        ended = time.monotonic()
        eventually(lambda: moment(cache) > ended, timeout=20)


def test_a_proof_stands_still_while_the_engine_does(ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded(quick_client(ensemble.hosts)) as cache:
        go_on, paused, take = threading.Event(), threading.Event(), cache._replica.take

        def wait_and_take(now: float) -> Any:
            paused.set()
            go_on.wait(10)
            return take(now)

        monkeypatch.setattr(cache._replica, "take", wait_and_take)
        assert paused.wait(10)
        began, before = time.monotonic(), cache.verified_at
        eventually(lambda: time.monotonic() > began + 10 * INTERVAL)
        assert cache.verified_at == pytest.approx(before, abs=0.001)
        go_on.set()
        eventually(lambda: moment(cache) > began)


def test_a_blocked_listener_holds_up_no_proof(ensemble: Ensemble) -> None:
    with loaded(quick_client(ensemble.hosts)) as cache, started(quick_client(ensemble.hosts)) as writer:
        go_on = threading.Event()
        cache.listen(lambda event: go_on.wait(10))
        for number in range(3):
            writer.create(f"{ROOT}/{number}")
        eventually(lambda: cache.stats().undelivered_events >= 2)
        began = time.monotonic()
        eventually(lambda: moment(cache) > began)
        assert cache.stats().undelivered_events >= 2
        go_on.set()


def test_a_lost_connection_is_one_failure(ensemble: Ensemble) -> None:
    options: dict[str, Any] = {"freshness_interval": None, "freshness_timeout": 60}
    with Proxy(ensemble.leader.port) as proxy, loaded(quick_client(proxy.hosts), **options) as cache:
        proxy.stall(DOWN)
        asking = threading.Thread(target=cache.verify)
        asking.start()
        eventually(lambda: cache._replica.freshness.deadline)
        proxy.cut()
        proxy.heal()
        asking.join(20)
        assert not asking.is_alive()
        assert cache.stats().verification_failures == {
            "timeout": 0,
            "connection_loss": 1,
            "throttled": 0,
            "refused": 0,
            "other": 0,
        }


def test_a_throttled_barrier_proves_nothing(ensemble: Ensemble) -> None:
    throttled, multi = -127, 14
    with Proxy(ensemble.leader.port) as proxy, loaded(quick_client(proxy.hosts)) as cache:
        proxy.refuse_requests({multi}, throttled, close=False)
        eventually(lambda: cache.stats().verification_failures["throttled"] >= 1)
        before = moment(cache)
        assert not cache.verify(2 * INTERVAL)
        assert moment(cache) == before
        proxy.refuse_requests(set(), 0, close=False)
        assert cache.verify(10)
