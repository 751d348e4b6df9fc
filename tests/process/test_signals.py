"""Signals end the process immediately, even a container's first one, for which the kernel discards them by default."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from exporter.process.signals import ENDING, ending_at_once
from tests.support import being_read, eventually

ROOT = Path(__file__).parents[2]
SLEEPER = """
import os, time
from exporter.process.signals import ending_at_once
with ending_at_once():
    print(os.getpid(), flush=True)
    time.sleep(60)
"""
#: Makes a command the first process of a new namespace.
FIRST = ["unshare", "--pid", "--fork", "--kill-child"]
#: Without privileges that is not allowed: the tests then cover an ordinary process.
CAN_BE_FIRST = subprocess.run([*FIRST, "true"], stderr=subprocess.DEVNULL).returncode == 0

Start = Callable[[list[str]], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command, as the first process if that is allowed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(command: list[str]) -> subprocess.Popen[str]:
        whole = [*(FIRST if CAN_BE_FIRST else []), *command]
        processes.append(
            subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Sends a signal to the command itself, not to `unshare`."""
    os.kill(pid_of(process), number)


def pid_of(process: subprocess.Popen[str]) -> int:
    """The process id of the command itself, not of `unshare`."""
    if not CAN_BE_FIRST:
        return process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    (child,) = eventually(lambda: children.read_text().split())
    return int(child)


def status_after(number: signal.Signals) -> int:
    return 128 + number if CAN_BE_FIRST else -number


@pytest.mark.starts
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_process(start: Start, number: signal.Signals) -> None:
    process = start([sys.executable, "-c", SLEEPER])
    assert process.stdout is not None
    assert (process.stdout.readline() == "1\n") is CAN_BE_FIRST
    send(process, number)
    assert process.wait(timeout=30) == status_after(number)


@pytest.mark.starts
def test_a_signal_before_the_daemon_listens_to_it_ends_it(start: Start, tmp_path: Path) -> None:
    # Reading a FIFO blocks until something is written.
    os.mkfifo(config := tmp_path / "config.yml")
    process = start([sys.executable, "-m", "exporter", f"--config.file={config}"])
    waits_in = Path(f"/proc/{pid_of(process)}/wchan")
    with being_read(config):
        # A signal that comes just before Python begins to wait is handled only after the wait.
        eventually(lambda: waits_in.read_text().endswith("pipe_read"))
        send(process, signal.SIGTERM)
        assert process.wait(timeout=30) == status_after(signal.SIGTERM)


@pytest.mark.starts
def test_a_second_signal_ends_the_daemon_at_once(start: Start) -> None:
    # A ZooKeeper that accepts connections and never answers: a gentle end would wait for it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        flags = [f"--zookeeper.hosts=127.0.0.1:{silent.getsockname()[1]}", "--treecache.path=/"]
        process = start([sys.executable, "-m", "exporter", *flags, "--web.listen-address=127.0.0.1:0"])
        assert process.stderr is not None
        wait_for_line(process.stderr, "event=serving")
        connection, _ = silent.accept()
        send(process, signal.SIGTERM)
        wait_for_line(process.stderr, "event=stopping")
        send(process, signal.SIGTERM)
        assert process.wait(timeout=30) == status_after(signal.SIGTERM)
        connection.close()


def wait_for_line(log: IO[str], event: str) -> None:
    for line in log:
        if event in line:
            return
    raise AssertionError(f"ended without {event}")


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with ending_at_once():
        assert [signal.getsignal(number) for number in ENDING] != before
    assert [signal.getsignal(number) for number in ENDING] == before


@pytest.mark.starts
@pytest.mark.parametrize("number", ENDING)
def test_the_image_loses_no_signal_that_comes_before_python_has_handlers(start: Start, number: signal.Signals) -> None:
    (entrypoint,) = re.findall("^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    *before, command = json.loads(entrypoint)
    assert command == "treecache-exporter"
    flags = ["--zookeeper.hosts=127.0.0.1:1", "--treecache.path=/", "--web.listen-address=127.0.0.1:0"]
    process = start([*before, str(Path(sys.executable).with_name(command)), *flags])
    eventually(lambda: b"exporter" in command_of(process).split(b"\0")[1])
    # Python has started, but imported nothing yet.
    send(process, number)
    assert process.wait(timeout=60) == status_after(number)


def command_of(process: subprocess.Popen[str]) -> bytes:
    """The present command line of a process that `start` has started."""
    return Path(f"/proc/{pid_of(process)}/cmdline").read_bytes() or b"\0"


@pytest.mark.starts
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5])
def test_a_signal_at_any_moment_of_the_start_ends_it(start: Start, number: signal.Signals, delay: float) -> None:
    # Blocked until the handlers are installed, since the kernel would discard it before.
    blocked = [number, signal.SIGHUP]
    program = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {}); print(flush=True); "
    program = program.format([int(each) for each in blocked]) + "os.execv(sys.executable, [sys.executable, *{}])"
    flags = [
        "-m",
        "exporter",
        "--zookeeper.hosts=127.0.0.1:1",
        "--treecache.path=/",
        "--web.listen-address=127.0.0.1:0",
    ]
    process = start([sys.executable, "-c", program.format(flags)])
    assert process.stdout is not None
    process.stdout.readline()
    send(process, signal.SIGHUP)
    time.sleep(delay)
    send(process, number)
    # 0 if it has started already and takes the signal as a request to stop.
    assert process.wait(timeout=60) in (0, status_after(number))
