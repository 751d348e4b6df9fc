"""Awake: keeps processors from halting during a measurement.

A virtual machine's processor that halts takes long to wake up, and one update wakes several. A loop of the scheduler's
idle class on each processor keeps it awake. It gives way to other processes, but a processor that shares its core with
another one slows that one down.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

#: Ends with the process that started it.
_LOOP = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100_000):\n        pass\n"


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """A context in which a loop runs on each processor that this process may use. Linux only."""
    with contextlib.ExitStack() as loops:
        for processor in sorted(os.sched_getaffinity(0)):
            loop = subprocess.Popen([sys.executable, "-c", _LOOP, str(os.getpid())])
            loops.callback(loop.wait)
            loops.callback(loop.kill)
            os.sched_setscheduler(loop.pid, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setaffinity(loop.pid, {processor})
        yield
