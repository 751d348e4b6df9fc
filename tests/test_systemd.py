"""What systemd is told, and the socket that it passes, with real sockets and a real process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import systemd

#: Does what systemd does: puts a socket at descriptor 3, says so in the environment, and becomes the program.
ACTIVATE = """\
import os, socket, sys
kind = sys.argv[1]
sockets = {
    "listening": lambda: socket.create_server(("127.0.0.1", 0)),
    "unbound": lambda: socket.socket(),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "none": lambda: None,
}
made = sockets[kind]()
if made is not None:
    os.dup2(made.fileno(), 3)
    os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

TELL = "from exporter import systemd; print(systemd.passed_socket().getsockname()[0])"


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_is_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"\0treecache-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        systemd.notify(systemd.READY)
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:2:1234", "/nowhere/notify"])
def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify(systemd.STOPPING)


def activated(kind: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ACTIVATE, kind, "-c", TELL]
    return subprocess.run(command, capture_output=True, text=True, close_fds=True)


def test_a_passed_socket_is_used() -> None:
    assert activated("listening").stdout == "127.0.0.1\n"


@pytest.mark.parametrize("kind", ["unbound", "unix", "none"])
def test_other_things_passed_are_refused(kind: str) -> None:
    refused = activated(kind)
    assert "SettingsError: --web.systemd-socket: systemd passed " in refused.stderr
    assert "accepted: with one ListenStream=" in refused.stderr


def test_sockets_for_another_process_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    with pytest.raises(ValueError, match="systemd passed 0 sockets"):
        systemd.passed_socket()
