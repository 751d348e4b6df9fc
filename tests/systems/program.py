"""Program: one of a system's programs, in a folder of its own by which all processes that it starts are found."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exporter.demo.java import GuardedProcess
from tests import plainhttp
from tests.support import eventually

#: Seconds within which a program must do what a test waits for: a failover takes a session's timeout, and more.
LIMIT = 180.0
#: The file with what it prints, and how much of that a failure shows.
LOG, SHOWN = "log", 20_000
#: Replaces itself by a program of another user, who may read what is in root's home: Python or the repository may be.
BECOMES = ("setpriv", "--init-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


class Program:
    """A program that can be killed and started again in the same folder.

    Attributes:
        folder: where it and what it starts work, and nothing else does.
        command: its words.
        url: where it says itself how it is, in JSON.
    """

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.command: Sequence[str] = ()
        self.url = ""
        self._launcher = [] if user is None else [*BECOMES, f"--reuid={user}", f"--regid={user}"]
        self._process: GuardedProcess | None = None

    def asked(self) -> dict[str, Any]:
        """What it says itself."""
        said: dict[str, Any] = plainhttp.get(self.url, timeout=30).raise_for_status().json()
        return said

    def start(self) -> None:
        command = [*self._launcher, *self.command]
        self._process = GuardedProcess(command, folder=self.folder, log=self.folder / LOG)

    def kill(self) -> None:
        """Kills it with all that it started (kill -9)."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        eventually(self._has_killed_all)

    def stop(self) -> None:
        """Asks it to end (SIGTERM), and waits until it has. Fails if something that it started remains."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not process.running, timeout=LIMIT)
        # Only its guard is left.
        process.kill()
        self._process = None
        eventually(lambda: not pids_in(self.folder))

    def _has_killed_all(self) -> bool:
        pids = pids_in(self.folder)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids


def pids_in(folder: Path) -> list[int]:
    """The processes that work in a folder or below it."""
    pids = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        # It has ended, or is another user's.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if link.readlink().is_relative_to(folder):
                pids.append(int(link.parent.name))
    return pids


@contextlib.contextmanager
def program(user: str | None = None) -> Iterator[Program]:
    """A program that is not yet started, in a folder that belongs to this user, or to the one who runs the tests.

    Afterwards nothing works in the folder, and it is gone. (pytest's folders are for the one who runs the tests alone.)
    """
    folder = Path(tempfile.mkdtemp(prefix="treecache-system-")).resolve()
    made = Program(folder, user)
    try:
        if user is not None:
            shutil.chown(folder, user, user)
        yield made
    except BaseException:
        # pytest shows it with the failure.
        for log in folder.glob(LOG):
            print(f"{made.command}:\n{log.read_text(errors='replace')[-SHOWN:]}")
        raise
    finally:
        made.kill()
        shutil.rmtree(folder)
