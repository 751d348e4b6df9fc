"""The executor runs one task after another, and nothing waits for one that hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from exporter.process.executor import ThreadExecutor

HANGING = """
import threading
from exporter.process.executor import ThreadExecutor
begun = threading.Event()
ThreadExecutor("hanging").submit(lambda: begun.set() or threading.Event().wait())
begun.wait()
print("leaving")
"""


def test_results_and_failures_in_the_order_of_their_submission() -> None:
    worker = ThreadExecutor("test")
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return 10 // number

    futures = [worker.submit(work, number) for number in (5, 2, 0, 1)]
    assert [futures[0].result(10), futures[1].result(10), futures[3].result(10)] == [2, 5, 10]
    with pytest.raises(ZeroDivisionError):
        futures[2].result(10)
    assert done == [5, 2, 0, 1]
    worker.shutdown(wait=True)


def test_what_waits_at_the_end_is_not_begun_and_what_runs_is() -> None:
    worker = ThreadExecutor("test")
    begun, finish = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return finish.wait(10)

    running, waiting = worker.submit(work), worker.submit(work)
    assert begun.wait(10)
    worker.shutdown()
    finish.set()
    assert running.result(10)
    with pytest.raises(CancelledError):
        waiting.result(10)
    with pytest.raises(RuntimeError, match="test is shut down"):
        worker.submit(work)


@pytest.mark.starts
def test_the_process_does_not_wait_for_it() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "leaving\n", "")
