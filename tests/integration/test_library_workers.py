"""Library mode with a server that loads the application once and forks its workers, as gunicorn does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kazoo.client import KazooClient
from prometheus_client import REGISTRY

from exporter import TreeCache, instrument
from tests.conftest import ZooKeeper

FOLDER = Path(__file__).parent.parent.parent
WORKERS = 3
PRELOADED = "tests.integration.preloaded"


def test_each_worker_measures_the_client_that_it_makes(zookeeper: ZooKeeper, client: KazooClient) -> None:
    client.create("/app/a", makepath=True)
    command = [sys.executable, "-m", "tests.integration.test_library_workers", zookeeper.hosts]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    printed = [line.split() for line in sorted(done.stdout.splitlines())]
    assert printed == [[str(worker), "up", "1.0", "znodes", "2.0", "gets", f"{worker}.0"] for worker in range(WORKERS)]


def test_workers_of_a_preloaded_application_know_that_what_their_parent_has_is_not_theirs(
    zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.create("/app/a", makepath=True)
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-m", PRELOADED, zookeeper.hosts]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=200)
    printed = sorted(done.stdout.splitlines())
    expected = ["grandchild", "idle", "in place", "multiprocessing", "os.fork", "parent"]
    assert (done.returncode, done.stderr, printed) == (0, "", expected)


def master(hosts: str) -> int:
    """Imports everything, forks the workers and waits for them; returns 0 if all succeeded."""
    workers = []
    for number in range(WORKERS):
        process = os.fork()
        if process == 0:
            work(hosts, number)
            os._exit(0)
        workers.append(process)
    return max(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in workers)


def work(hosts: str, number: int) -> None:
    """One worker: makes as many gets as its number, and prints a line with its registry's counts."""
    client = KazooClient(hosts)
    with instrument(client):
        client.start()
        with TreeCache(client, "/app") as cache:
            assert cache.wait_initialized(20)
            for _ in range(number):
                client.get("/app/a")
            up = metric("zookeeper_client_up")
            znodes = metric("zookeeper_cache_nodes", tree="/app", kind="persistent")
            gets = metric("zookeeper_client_request_duration_seconds_count", operation="getData")
            # In one write: the workers share this stream.
            os.write(sys.stdout.fileno(), f"{number} up {up} znodes {znodes} gets {gets}\n".encode())
        client.stop()
        client.close()
    assert metric("zookeeper_client_up") is None


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"ensemble": "default", **labels})


if __name__ == "__main__":
    sys.exit(master(sys.argv[1]))
