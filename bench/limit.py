"""The raw limit: the time to receive a tree's records, without decoding them.

`python -m bench.limit HOSTS DIRECTORIES LEAVES` requests every znode with the same bulk reads as the cache, four at a
time, and reads the answers into a buffer.
"""

from __future__ import annotations

import json
import sys
import time

from bench.raw import Reader
from bench.trees import Shape


def main() -> None:
    """Reads the tree once and prints the seconds as JSON."""
    with Reader(sys.argv[1], Shape(int(sys.argv[2]), int(sys.argv[3]), 0)) as reader:
        started = time.perf_counter()
        for _ in reader.replies():
            pass
        print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
