"""`python -m tests.kazoo_suite PYTHON` runs all of kazoo's tests on three servers, with and without instrumentation.

PYTHON is an interpreter with the packages that kazoo's tests need (`make soak` makes one). The exit status is 1 if a
test fails only with instrumentation and is not in `KNOWN`, or if a test in `KNOWN` passes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from exporter.demo.java import find_jars
from tests.kazoo_suite.suite import KNOWN, failed, harmed, run

#: Below the ports that the system hands out, and above the ports that the project's own servers take.
_FIRST_PORT = 30100


def main(python: str) -> int:
    """Prints what differs; returns the exit status."""
    here = {
        "ZOOKEEPER_CLASSPATH": os.pathsep.join(map(str, find_jars())),
        "ZOOKEEPER_VERSION": "3.8.0",
        "ZOOKEEPER_PORT_OFFSET": str(_FIRST_PORT),
    }
    find = "import kazoo.tests, os; print(os.path.dirname(kazoo.tests.__file__))"
    folder = Path(subprocess.run([python, "-c", find], text=True, capture_output=True, check=True).stdout.strip())
    outcomes = run(python, "instrumented", ["kazoo.tests"], environment=here)
    found = harmed(python, folder, failed(outcomes), here)
    passed, skipped = (sum(outcome == ending for outcome in outcomes.values()) for ending in ("passed", "skipped"))
    print(f"instrumented, {passed} of kazoo's tests passed, {len(failed(outcomes))} failed, {skipped} were skipped")
    for test in failed(outcomes):
        print(f"{test} {'fails only instrumented' if test in found else 'also fails without, or not every time'}")
    for test in sorted(found.keys() - KNOWN.keys()):
        print(f"fails only with instrumentation: {test}")
    for test in sorted(KNOWN.keys() - found.keys()):
        print(f"known to fail with instrumentation, but passes: {test}")
    return int(found.keys() != KNOWN.keys())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
