"""Writers in processes of their own: `python -m bench.writer burst|steady HOSTS ...`; see `bench.measure`."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from kazoo.client import KazooClient

from bench.trees import Shape, finish

_STEADY_PATH = "/bench/written"
_AT_A_TIME = 32


def burst(client: KazooClient, directories: str, leaves: str, count: str, updates: str, pipeline: str) -> None:
    """Updates the first `count` leaves of a tree `updates` times in all, at full speed."""
    paths = list(islice(Shape(int(directories), int(leaves), 0).leaf_paths(), int(count)))
    under_way: deque[Any] = deque()
    for number in range(int(updates)):
        under_way.append(client.set_async(paths[number * 7919 % len(paths)], b"%d" % number))
        if len(under_way) > int(pipeline):
            finish(under_way.popleft())
    for result in under_way:
        finish(result)
    data = f"last {time.time()}"
    client.set(paths[0], data.encode())
    print(json.dumps({"ended_at": time.time(), "data": data}))


def steady(client: KazooClient) -> None:
    """Writes until SIGTERM, then prints the rate and the 99th percentile of the time of a write."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    client.ensure_path(_STEADY_PATH)
    print("writing", flush=True)
    under_way: deque[tuple[float, Any]] = deque()
    times: list[float] = []
    started = time.perf_counter()
    while not stopped:
        under_way.append((time.perf_counter(), client.set_async(_STEADY_PATH, b"x" * 100)))
        if len(under_way) >= _AT_A_TIME:
            sent, result = under_way.popleft()
            finish(result)
            times.append(time.perf_counter() - sent)
    rate = len(times) / (time.perf_counter() - started)
    times.sort()
    print(json.dumps({"rate": rate, "p99": times[int(len(times) * 0.99)]}))


def main() -> None:
    """Runs one writer."""
    client = KazooClient(sys.argv[2])
    client.start()
    writers: dict[str, Callable[..., None]] = {"burst": burst, "steady": steady}
    writers[sys.argv[1]](client, *sys.argv[3:])
    client.stop()


if __name__ == "__main__":
    main()
