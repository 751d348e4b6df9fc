"""The cache under each of kazoo's handlers, in its own process: what one patches must not reach the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ZooKeeper

FOLDER = Path(__file__).parent.parent.parent
HANDLERS = ["threading", "gevent", "gevent-patched", "eventlet", "eventlet-patched"]


@pytest.mark.parametrize("mode", ["recursive", "classic"])
@pytest.mark.parametrize("handler", HANDLERS)
def test_cache_works_under(handler: str, mode: str, zookeeper: ZooKeeper) -> None:
    command = [sys.executable, "-m", "tests.handlers.scenario", handler, zookeeper.hosts, mode]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=100)
    steps = ["start", "load", "hear", "reconnect", "listen_badly", "close"]
    assert (done.stdout.split(), done.returncode) == (steps, 0), done.stderr


@pytest.mark.parametrize("handler", HANDLERS)
def test_nothing_ends_a_cache_unseen_under(handler: str, zookeeper: ZooKeeper) -> None:
    command = [sys.executable, "-m", "tests.handlers.endings", handler, zookeeper.hosts]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=200)
    steps = ["listeners", "listener_killed", "engine", "engine_killed", "all_killed"]
    assert (done.stdout.split(), done.returncode) == (steps, 0), done.stderr
