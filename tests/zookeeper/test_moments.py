"""Moments stay constant until something new happens, and never look younger than they are, even if clocks jump."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.client import KazooClient

from exporter import TreeCache
from exporter.zookeeper.moments import Moment, SteadyTime
from exporter.zookeeper.session import Session
from tests.support import eventually

#: Setting the clock back by less than this is not noticed, see `SteadyTime`.
UNNOTICED = 0.001


class Clocks:
    """A machine's clocks; each reading takes some time, and longer if preempted."""

    def __init__(self, delays: Iterator[float]) -> None:
        self.true = 1000.0
        self.asleep = 0.0
        self.set_by = 1.7e9
        self._delays = delays

    def monotonic(self) -> float:
        self.true += next(self._delays)
        return self.true - self.asleep

    def time(self) -> float:
        self.true += next(self._delays)
        return self.unix

    @property
    def unix(self) -> float:
        return self.true + self.set_by


def delays(seed: list[float]) -> Iterator[float]:
    while True:
        yield from seed


happenings = st.tuples(
    st.sampled_from(["pass", "sleep", "step", "happen"]), st.floats(-7200, 7200).filter(lambda s: abs(s) > 0.1)
)


@given(
    st.lists(happenings, max_size=30),
    st.lists(st.sampled_from([1e-7, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 0.003]), min_size=20, max_size=20),
)
def test_any_history_of_the_clocks(history: list[tuple[str, float]], seed: list[float]) -> None:
    clocks = Clocks(delays(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.zookeeper.moments.time", clocks)
        steady, moment, happened_at = SteadyTime(), Moment.now(), clocks.true
        shown = steady.of(moment)
        assert clocks.set_by + 1000 <= shown <= clocks.unix
        slept, set_back = 0.0, False
        for what, seconds in history:
            clocks.true += abs(seconds) if what in ("pass", "sleep") else 0
            clocks.asleep += abs(seconds) if what == "sleep" else 0
            clocks.set_by += seconds if what == "step" else 0
            slept += abs(seconds) if what == "sleep" else 0
            set_back |= what == "step" and seconds < 0
            if what == "happen":
                moment, happened_at, shown = Moment.now(), clocks.true, 0.0
                slept, set_back = 0.0, False
            before, shown = shown, steady.of(moment)
            # The age that the clocks can show: once the wall clock was set back, the time slept is unknown.
            known_age = clocks.true - happened_at - (slept if set_back else 0)
            assert clocks.unix - shown >= known_age - UNNOTICED
            if what != "happen" and not (what == "step" and seconds < 0):
                assert shown == before


def test_a_moment_lies_within_the_call_that_takes_it() -> None:
    for _ in range(1000):
        before = time.monotonic(), time.time()
        moment = Moment.now()
        after = time.monotonic(), time.time()
        assert before[0] <= moment.monotonic <= after[0]
        assert before[1] <= moment.unix <= after[1]


def test_nothing_that_happened_is_zero() -> None:
    assert SteadyTime().of(None) == 0.0


def test_timestamps_of_a_client_and_a_cache_stand_still_between_what_they_tell_of(client: KazooClient) -> None:
    """As `changes()` of Prometheus would count: each timestamp is read twice between two messages of the server."""
    session = Session.attach(client)
    # A session that began under observation: the beginning of an earlier one is unknown.
    client.stop()
    client.start()
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(60)
        assert cache.verify(60)
        busy = threading.Event()
        hog = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(busy.is_set, True)])
        hog.start()
        try:
            scrapes = [(session.stats(), cache.verified_at) for _ in range(300)]
        finally:
            busy.set()
            hog.join()
    started, verified = {client.session_started_at for client, _ in scrapes}, {proven for _, proven in scrapes}
    assert len(started) == len(verified) == 1
    assert min(started | verified) > 0
    # Each message moves last heard, and the deadline with it; the last message may be half counted.
    heard, messages = {client.last_heard_at for client, _ in scrapes}, {client.received_bytes for client, _ in scrapes}
    assert len(heard) <= len(messages) + 1
    timeouts = [client.session_deadline_at - client.last_heard_at for client, _ in scrapes]
    assert timeouts == pytest.approx([client.session_timeout for client, _ in scrapes])


def test_last_heard_moves_with_what_is_heard(client: KazooClient) -> None:
    session = Session.attach(client)
    client.get("/")
    first = session.stats().last_heard_at
    client.get("/")
    eventually(lambda: session.stats().last_heard_at > first)
