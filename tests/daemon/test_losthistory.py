"""Lost history: asked rarely, in a thread, and proven only by a transaction that the ensemble commits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kazoo.exceptions import ConnectionClosedError

from exporter.config.settings import Ensemble
from exporter.daemon.ensemble import client_options
from exporter.daemon.losthistory import LostHistory, newest_zxid
from tests.support import eventually

SEEN = 0x5_0000_0007


@contextmanager
def asking(newest: Callable[[threading.Event], int], patience: float = 0.01) -> Iterator[LostHistory]:
    policy = LostHistory(newest, patience)
    try:
        yield policy
    finally:
        policy.close()


def test_a_transaction_older_than_what_was_seen_is_evidence() -> None:
    with asking(lambda _: SEEN - 1) as policy:
        eventually(lambda: policy(SEEN, 10.0))
        # Only once: then the client has another session.
        assert not policy(SEEN, 10.0)


@pytest.mark.parametrize("newest", [SEEN, SEEN + 1], ids=["the same", "newer"])
def test_an_ensemble_that_has_what_was_seen_has_lost_nothing(newest: int) -> None:
    answered = threading.Semaphore(0)

    def ask(_: threading.Event) -> int:
        answered.release()
        return newest

    with asking(ask) as policy:
        for _ in range(3):
            assert not policy(SEEN, 10.0)
            eventually(lambda: not policy(SEEN, 10.0) and answered.acquire(blocking=False))


def test_no_answer_is_no_evidence() -> None:
    asked = threading.Semaphore(0)

    def ask(_: threading.Event) -> int:
        asked.release()
        raise ConnectionClosedError

    with asking(ask) as policy:
        for _ in range(3):
            eventually(lambda: not policy(SEEN, 10.0) and asked.acquire(blocking=False))
        assert not policy(SEEN, 1e9)


def test_nothing_is_asked_before_the_patience_is_over_and_then_by_one_thread() -> None:
    asked: list[threading.Event] = []

    def ask(closing: threading.Event) -> int:
        asked.append(closing)
        closing.wait(20)
        return 0

    with asking(ask, patience=5.0) as policy:
        assert not policy(SEEN, 4.9)
        assert not asked
        assert not any(policy(SEEN, 5.1) for _ in range(100))
        eventually(lambda: len(asked) == 1)
    assert asked[0].is_set()


def test_what_was_committed_before_the_client_heard_again_is_void() -> None:
    answered = threading.Event()

    def ask(_: threading.Event) -> int:
        answered.set()
        return SEEN - 1

    with asking(ask, patience=1.0) as policy:
        assert not policy(SEEN, 2.0)
        assert answered.wait(10)
        assert not policy(SEEN, 0.5)
        assert not policy(SEEN, 2.0)


def test_asking_ends_when_it_is_closed() -> None:
    closing = threading.Event()
    closing.set()
    with pytest.raises(TimeoutError):
        newest_zxid(client_options(Ensemble("main", "127.0.0.1:1", ())), closing)
