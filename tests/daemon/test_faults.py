"""The log and the memory of a tree's faults: few entries, with repetitions in one."""

from __future__ import annotations

import time

import pytest
import structlog
from kazoo.exceptions import NoAuthError, OperationTimeoutError

from exporter.daemon.faults import REMEMBERED, TEXT_LIMIT, TOGETHER, FaultLog, FaultMemory
from exporter.process.repetitions import FAULT_INTERVAL


class Past:
    """A memory of faults whose clock the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.memory = FaultMemory(lambda: self.now)

    def remembered(self) -> list[tuple[str, int]]:
        return [(fault.text, fault.count) for fault in self.memory.recent()]


def test_a_flood_of_one_kind_is_one_fault() -> None:
    past = Past()
    for number in range(1000):
        past.memory(NoAuthError(f"/{number} may not be read"))
    past.memory(ValueError("another"))
    assert past.remembered() == [("NoAuthError: /0 may not be read", 1000), ("ValueError: another", 1)]
    past.now = TOGETHER
    past.memory(NoAuthError("/a may not be read"))
    assert past.remembered()[2] == ("NoAuthError: /a may not be read", 1)


def test_the_latest_ones_are_remembered() -> None:
    past = Past()
    for number in range(2 * REMEMBERED):
        past.now = number * TOGETHER
        past.memory(ValueError(str(number)))
    assert past.remembered() == [(f"ValueError: {number}", 1) for number in range(REMEMBERED, 2 * REMEMBERED)]


def test_the_time_is_that_of_the_last() -> None:
    past = Past()
    past.memory(ValueError("first"))
    between = time.time()
    past.memory(ValueError("second"))
    (fault,) = past.memory.recent()
    assert between <= fault.last_at <= time.time()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (ValueError(), "ValueError"),
        (NoAuthError("/" + "x" * 1_000_000), f"NoAuthError: /{'x' * (TEXT_LIMIT - 15)}…"),
    ],
)
def test_texts_are_of_bounded_length(fault: Exception, text: str) -> None:
    past = Past()
    past.memory(fault)
    assert past.remembered() == [(text[:TEXT_LIMIT], 1)]
    assert len(text) <= TEXT_LIMIT


def test_one_fault_of_each_kind_in_a_minute_is_a_warning_and_the_others_are_counted() -> None:
    now = [0.0]
    with structlog.testing.capture_logs() as logged:
        fault_log = FaultLog(structlog.stdlib.get_logger("exporter"), clock=lambda: now[0])
        for fault in (NoAuthError("/a"), NoAuthError("/b"), OperationTimeoutError(), NoAuthError("/c")):
            fault_log(fault)
        now[0] = FAULT_INTERVAL
        fault_log(NoAuthError("/d"))
        fault_log(NoAuthError("/e"))
    levels = [(entry["log_level"], entry["fault"], entry["reason"], entry.get("held_back")) for entry in logged]
    assert levels == [
        ("warning", "NoAuthError", "/a", None),
        ("debug", "NoAuthError", "/b", None),
        ("warning", "OperationTimeoutError", "", None),
        ("debug", "NoAuthError", "/c", None),
        ("warning", "NoAuthError", "/d", 2),
        ("debug", "NoAuthError", "/e", None),
    ]
