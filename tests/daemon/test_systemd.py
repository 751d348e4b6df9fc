"""Notifications to systemd, and the sockets that it passes, with real sockets and a real process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.daemon import systemd

#: Acts as systemd: puts sockets at descriptors from 3 on, sets the environment, and becomes the program.
ACTIVATE = """\
import os, socket, sys, tempfile
def unix(kind):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(tempfile.mkdtemp() + "/s")
    made.listen()
    return made
sockets = {
    "listening": lambda: socket.create_server(("127.0.0.1", 0)),
    "six": lambda: socket.create_server(("::1", 0), family=socket.AF_INET6),
    "path": lambda: unix(socket.SOCK_STREAM),
    "packets": lambda: unix(socket.SOCK_SEQPACKET),
    "unbound": lambda: socket.socket(),
    "unix": lambda: socket.socket(socket.AF_UNIX),
}
made = [sockets[kind]() for kind in sys.argv[1].split()]
# Moves the descriptors first, so that they do not overwrite each other.
high = [os.dup2(one.fileno(), 100 + index) for index, one in enumerate(made)]
for index, descriptor in enumerate(high):
    os.dup2(descriptor, 3 + index)
    os.set_inheritable(3 + index, True)
os.environ.update(LISTEN_FDS=str(len(made) or 1), LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

TELL = """\
from exporter.daemon import systemd
with systemd.passed_sockets() as passed:
    print(*(one.family.name for one in passed))
"""


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


def activated(kinds: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ACTIVATE, kinds, "-c", TELL]
    return subprocess.run(command, capture_output=True, text=True, close_fds=True)


@pytest.mark.starts
@pytest.mark.parametrize(
    ("kinds", "families"), [("listening", "AF_INET"), ("six path listening", "AF_INET6 AF_UNIX AF_INET")]
)
def test_passed_sockets_are_used(kinds: str, families: str) -> None:
    assert activated(kinds).stdout == f"{families}\n"


@pytest.mark.starts
@pytest.mark.parametrize("kinds", ["unbound", "unix", "packets", "listening unbound", ""])
def test_other_things_passed_are_refused(kinds: str) -> None:
    refused = activated(kinds)
    assert "SettingsError: --web.systemd-socket: systemd passed " in refused.stderr
    assert "accepted: with a socket unit whose ListenStream= are" in refused.stderr


@pytest.mark.parametrize(("process", "count"), [("1", "1"), ("", "0"), ("", "-1"), ("", "many")])
def test_sockets_for_another_process_are_not_ours(monkeypatch: pytest.MonkeyPatch, process: str, count: str) -> None:
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", process or str(os.getpid()))
    with pytest.raises(ValueError, match="systemd passed no sockets"), systemd.passed_sockets():
        pass
