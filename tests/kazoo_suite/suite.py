"""Runs kazoo's own tests, and finds the tests that our instrumentation makes fail."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The tests that fail with our instrumentation on every client, and why they must.
KNOWN: Mapping[str, str] = {
    "test_connection.py::TestUnorderedXids::test_xids_mismatch": (
        "a reply with the wrong xid costs the connection, and its callers get ConnectionLoss; kazoo ends the client"
    ),
}

#: How often a test that has failed runs again.
_TIMES = 3
_ROOT = Path(__file__).parents[2]


def run(
    python: str,
    clients: str,
    tests: Sequence[str],
    options: Sequence[str] = (),
    environment: Mapping[str, str] = {},
    within: float | None = None,
) -> dict[str, str]:
    """Runs tests in their own process; returns their outcomes by pytest's names for them.

    Raises:
        RuntimeError: pytest failed, or did not end in time; with its output, and then with what its threads did.

    Args:
        python: the interpreter, which has kazoo, pytest and what the exporter needs.
        clients: one of `tests.kazoo_suite.plugin.CLIENTS`.
        tests: modules by their names, or tests by file and name, as pytest takes them.
        options: what else pytest is given.
        environment: what is added to the environment.
        within: the maximum number of seconds for all tests together; no limit by default.
    """
    with tempfile.TemporaryDirectory(prefix="treecache-kazoo-suite-") as folder:
        outcomes, stacks = Path(folder, "outcomes.json"), Path(folder, "stacks.txt")
        own = {"PYTHONPATH": str(_ROOT), "KAZOO_SUITE_CLIENTS": clients, "KAZOO_SUITE_OUTCOMES": str(outcomes)}
        if within is not None:
            own |= {"KAZOO_SUITE_STACKS": str(stacks), "KAZOO_SUITE_STACKS_AFTER": str(0.9 * within)}
        # By its own path, not by where that leads: a virtual environment's interpreter is a link out of it.
        command = [
            os.path.abspath(python),
            "-m",
            "pytest",
            "-c",
            "/dev/null",
            "--rootdir",
            folder,
            "--verbose",
            "--tb=short",
        ]
        plugins = ["-p", "no:cacheprovider", "-p", "tests.kazoo_suite.plugin", "--timeout=90", "--pyargs"]
        # Not in this folder, whose conftest kazoo's tests must not use.
        printed = Path(folder, "printed.txt")
        with printed.open("w") as output:
            try:
                ended = subprocess.run(
                    [*command, *plugins, *options, *tests],
                    cwd=folder,
                    env={**os.environ, **environment, **own},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=within,
                )
            except subprocess.TimeoutExpired:
                told = printed.read_text()[-5000:] + stacks.read_text()[-20_000:]
                raise RuntimeError(f"pytest did not end within {within:g} s:\n{told}") from None
        if not outcomes.exists() or ended.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with status {ended.returncode}:\n{printed.read_text()[-5000:]}")
        found: dict[str, str] = json.loads(outcomes.read_text())
        if failed(found):
            print(printed.read_text()[-20_000:])
        return found


def failed(outcomes: Mapping[str, str]) -> list[str]:
    """The tests that failed."""
    return sorted(test for test, outcome in outcomes.items() if outcome == "failed")


def harmed(
    python: str, folder: Path, suspects: Sequence[str], environment: Mapping[str, str] = {}
) -> dict[str, Mapping[str, str]]:
    """The suspects that fail each time they run again with our instrumentation on every client, and pass without it.

    Some of kazoo's tests are a race, such as that of a large write against the end of its connection.

    Args:
        python, environment: as for `run`.
        folder: where kazoo's tests are.
        suspects: tests by the names that outcomes have.
    """
    if not suspects:
        return {}

    def outcomes_of(tests: Sequence[str], clients: str) -> dict[str, str]:
        return run(python, clients, [str(folder / test) for test in tests], environment=environment)

    plain, failing = outcomes_of(suspects, "plain"), list(suspects)
    for _ in range(_TIMES):
        failing = failed(outcomes_of(failing, "instrumented")) if failing else []
    return {test: {"plain": plain[test], "instrumented": "failed"} for test in failing if plain.get(test) == "passed"}
