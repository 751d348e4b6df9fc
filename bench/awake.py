"""Awake: keeps processors from halting during a measurement.

A virtual machine's processor that halts takes about a tenth of a millisecond to wake up, several times for one update.
Loops of the scheduler's idle class keep it awake, and give way to anything else.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_LOOP = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True:\n    pass\n"


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """A context in which each processor runs such a loop."""
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
