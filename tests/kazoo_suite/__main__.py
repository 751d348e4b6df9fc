"""`python -m tests.kazoo_suite PYTHON` runs all of kazoo's tests, three servers under them, with ours and without.

PYTHON is an interpreter that has what kazoo's tests need (`make soak` makes one). It ends with status 1 if a test fails
with ours alone, or if one that is known to does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from exporter.demo.java import find_jars
from tests.kazoo_suite.suite import KNOWN, failed, harmed, run

#: Below the ports that the system hands out, and above those that the project's own servers take.
_FIRST_PORT = 30100


def main(python: str) -> int:
    """Prints what differs; gives the exit status."""
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
    print(f"with ours {passed} of kazoo's tests passed, {len(failed(outcomes))} failed, {skipped} were skipped")
    for test in failed(outcomes):
        print(f"{test} {'failed with ours alone' if test in found else 'fails without ours too, or not every time'}")
    for test in sorted(found.keys() - KNOWN.keys()):
        print(f"fails with ours alone: {test}")
    for test in sorted(KNOWN.keys() - found.keys()):
        print(f"known to fail with ours, and does not: {test}")
    return int(found.keys() != KNOWN.keys())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
