"""Freshness checks on an ensemble: they never verify more than the cache holds, and do not succeed wrongly."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache
from exporter.treecache.observer import CacheObserver
from tests.faults.conftest import BRIEF_SESSION, quick_client, started
from tests.faults.ensemble import Ensemble, Member
from tests.faults.proxy import DOWN, UP, Proxy
from tests.faults.size import SOAK, size
from tests.support import eventually

pytestmark = pytest.mark.long

ROOT = "/app"
#: How many checks are compared with the writes, by strategy.
SAMPLES = {"recursive": size(96, 7_000), "classic": size(48, 3_000)}
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
    """The same, healthy with an empty tree, and healed afterwards."""
    whole.heal()
    with started(quick_client(whole.hosts)) as client:
        client.retry(client.delete, ROOT, recursive=True) if client.exists(ROOT) else None
        client.retry(client.ensure_path, ROOT)
    yield whole
    whole.heal()


@dataclass
class Life:
    """The life of a znode: monotonic times, None for events that have not happened."""

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
    """Writes without a pause, and records the time of each acknowledgement immediately."""

    def __init__(self, hosts: str) -> None:
        super().__init__(daemon=True)
        self._client = quick_client(hosts, timeout=4.0)
        self._stopping = threading.Event()
        #: The latest writes of each path: the data, and the time of the acknowledgement.
        self.acknowledged: dict[str, deque[tuple[int, float]]] = {
            f"{ROOT}/set{number}": deque(maxlen=200) for number in range(_SETS)
        }
        self.lives: dict[str, Life] = {}

    def run(self) -> None:
        with started(self._client) as client:
            for path in self.acknowledged:
                client.create(path, b"-1")
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                self._write(client, number)

    def _write(self, client: KazooClient, number: int) -> None:
        """A round of concurrent writes; failed ones are ignored."""
        results = []
        for path in self.acknowledged:
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
        until = time.monotonic() + 5
        for result in results:
            with contextlib.suppress(Exception):
                result.get(timeout=max(0.0, until - time.monotonic()))

    def _on_set(self, path: str, number: int, result: Any) -> None:
        if result.successful():
            self.acknowledged[path].append((number, time.monotonic()))

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        assert not self.is_alive()


class Judge(CacheObserver):
    """Compares each successful check of a cache with the writes that were acknowledged before its verified time.

    It does so immediately, on the cache's thread, so that later updates cannot hide missing ones.
    """

    def __init__(self, cache: TreeCache, writer: Writer) -> None:
        self._cache = cache
        self._writer = writer
        self.samples = 0
        self.wrong: list[str] = []
        cache.observe(self)

    def verified(self, *_: object) -> None:
        proven = moment(self._cache)
        self.wrong += [*self._lost_writes(proven), *self._wrong_lives(proven)]
        self.samples += 1

    def _lost_writes(self, proven: float) -> Iterator[str]:
        for path, writes in self._writer.acknowledged.items():
            number, at = max((write for write in list(writes) if write[1] < proven), default=(-1, 0.0))
            held = self._cache.get_data(path)
            if held is None or int(held.data) < number:
                yield f"{path} lacks a write of {proven - at} s before"

    def _wrong_lives(self, proven: float) -> Iterator[str]:
        held_names = self._cache.get_children(ROOT)
        for path, life in list(self._writer.lives.items()):
            is_held = path[len(ROOT) + 1 :] in held_names
            created_at, deleted_at = life.created_at, life.deleted_at
            if deleted_at is not None and deleted_at < proven:
                if is_held:
                    yield f"{path} was deleted {proven - deleted_at} s before"
            elif created_at is not None and created_at < proven and life.ending_at is None and not is_held:
                yield f"{path} was created {proven - created_at} s before"


def moment(cache: TreeCache) -> float:
    """The monotonic time up to which a cache is verified."""
    verified = cache._replica.freshness.verified
    return 0.0 if verified is None else verified.asked_at


@contextlib.contextmanager
def loaded(client: KazooClient, mode: str = "auto", **options: Any) -> Iterator[TreeCache]:
    """A cache with continuous freshness checks, after its first success."""
    options = {"freshness_interval": INTERVAL, "freshness_timeout": TIMEOUT, **options}
    with started(client), TreeCache(client, ROOT, mode=mode, create_root=False, **options) as cache:
        assert cache.verify(60)
        yield cache


def test_no_proof_says_more_than_is_held(ensemble: Ensemble, strategy: str) -> None:
    draw = random.Random(f"freshness {strategy}" + (" at length" if SOAK else ""))
    targets: list[Callable[[], Member]] = [
        lambda: ensemble.leader,
        lambda: ensemble.followers[0],
        lambda: ensemble.followers[-1],
        lambda: ensemble.observer,
    ]
    writer = Writer(",".join(member.client_address for member in ensemble.members[:3]))
    writer.start()
    eventually(lambda: all(writer.acknowledged.values()))
    with Proxy(ensemble.leader.port) as proxy, loaded(quick_client(proxy.hosts, BRIEF_SESSION), strategy) as cache:
        judge = Judge(cache, writer)
        try:
            for number, target in enumerate(targets):
                proxy.target = target().port
                proxy.cut()
                sample(judge, SAMPLES[strategy] // (2 * len(targets)), ensemble, proxy, draw)
                if SOAK or number == 1:
                    ensemble.leader.kill()
                sample(judge, SAMPLES[strategy] // (2 * len(targets)), ensemble, proxy, draw)
        finally:
            writer.stop()
        syncs = cache.stats().syncs
        assert syncs["reconnect"] + syncs["session_lost"] >= len(targets)


def sample(judge: Judge, count: int, ensemble: Ensemble, proxy: Proxy, draw: random.Random) -> None:
    """Causes faults until this many more checks have been judged."""
    wanted = judge.samples + count
    while judge.samples < wanted:
        time.sleep(disturb(ensemble, proxy, draw))
        assert not judge.wrong


def disturb(ensemble: Ensemble, proxy: Proxy, draw: random.Random) -> float:
    """Ends the previous fault, and disturbs the connection or a server for this many seconds."""
    proxy.heal()
    ensemble.heal()
    if SOAK and draw.random() < 0.03:
        member = draw.choice(ensemble.members)
        draw.choice([member.suspend, member.kill])()
        return draw.random()
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


# Checks that must not succeed

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
    with Proxy(server.port) as proxy, loaded(quick_client(proxy.hosts, BRIEF_SESSION)) as cache:
        disturbance(ensemble, proxy, server)
        began = time.monotonic()
        failures = sum(cache.stats().verification_failures.values())
        eventually(lambda: sum(cache.stats().verification_failures.values()) > failures)
        # A suspended process may have sent answers just before.
        assert moment(cache) < began + 0.1
        silence = time.monotonic() - began
        assert time.time() - cache.verified_at >= silence - 0.1
        proxy.heal()
        ensemble.heal()
        ended = time.monotonic()
        eventually(lambda: moment(cache) > ended, timeout=20)


def test_a_proof_stands_still_while_the_engine_does(ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded(quick_client(ensemble.hosts)) as cache:
        go_on, paused, take = threading.Event(), threading.Event(), cache._replica.take

        def wait_and_take(now: float) -> Any:
            paused.set()
            go_on.wait(60)
            return take(now)

        monkeypatch.setattr(cache._replica, "take", wait_and_take)
        assert paused.wait(60)
        began, before = time.monotonic(), cache.verified_at
        eventually(lambda: time.monotonic() > began + 10 * INTERVAL)
        assert cache.verified_at == pytest.approx(before, abs=0.001)
        go_on.set()
        eventually(lambda: moment(cache) > began)


def test_a_blocked_listener_holds_up_no_proof(ensemble: Ensemble) -> None:
    with loaded(quick_client(ensemble.hosts)) as cache, started(quick_client(ensemble.hosts)) as writer:
        go_on = threading.Event()
        cache.listen(lambda event: go_on.wait(60))
        for number in range(3):
            writer.create(f"{ROOT}/{number}")
        eventually(lambda: cache.stats().undelivered_events >= 2)
        began = time.monotonic()
        eventually(lambda: moment(cache) > began)
        assert cache.stats().undelivered_events >= 2
        go_on.set()


def test_a_lost_connection_is_one_failure(ensemble: Ensemble) -> None:
    options: dict[str, Any] = {"freshness_interval": None, "freshness_timeout": 60}
    with Proxy(ensemble.leader.port) as proxy, loaded(quick_client(proxy.hosts, BRIEF_SESSION), **options) as cache:
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
        assert cache.verify(60)
