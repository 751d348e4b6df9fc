"""Calls are made in order, on another thread, and none is lost at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.treecache.delivery import Delivery
from tests.support import eventually


@pytest.fixture
def delivery() -> Delivery:
    delivery = Delivery(SequentialThreadingHandler())
    delivery.start()
    return delivery


def test_in_order_on_one_other_thread(delivery: Delivery) -> None:
    made: list[tuple[int, int]] = []

    def call(number: int) -> Callable[[], None]:
        return lambda: made.append((number, threading.get_ident()))

    for number in range(1000):
        delivery.put([call(number)])
    delivery.close(10)
    assert [number for number, _ in made] == list(range(1000))
    assert len({thread for _, thread in made}) == 1
    assert made[0][1] != threading.get_ident()


def test_length_counts_what_waits_and_what_is_at_work(delivery: Delivery) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def block() -> None:
        at_work.set()
        go_on.wait(10)

    delivery.put([block, lambda: None])
    assert at_work.wait(10)
    assert len(delivery) == 2
    go_on.set()
    delivery.close(10)
    assert len(delivery) == 0


def test_knows_for_how_long_it_has_stood_still(delivery: Delivery) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def block() -> None:
        at_work.set()
        go_on.wait(20)

    assert delivery.stands_for == 0
    delivery.put([block])
    assert at_work.wait(10)
    begun = delivery.stands_for
    eventually(lambda: delivery.stands_for > begun + 0.05)
    # A new call in the queue is no progress.
    delivery.put([lambda: None])
    assert delivery.stands_for > 0.05
    go_on.set()
    eventually(lambda: delivery.stands_for == 0)
    delivery.close(10)


def test_knows_its_own_thread(delivery: Delivery) -> None:
    answers: list[bool] = []
    delivery.put([lambda: answers.append(delivery.is_current())])
    delivery.close(10)
    assert answers == [True]
    assert not delivery.is_current()
