"""ClassArchive: ZooKeeper's classes as java maps them into memory, so that the tests' servers start in half the time.

Java calls it class data sharing: https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from kazoo.client import KazooClient

from exporter.demo.server import NETTY, QUICK_START, ZooKeeperServer
from tests.support import alive, eventually

#: What java's launcher puts before its arguments.
OPTIONS = "JDK_JAVA_OPTIONS"


def write(path: Path) -> None:
    """Writes the classes that a server has loaded by its end. A java before version 13 cannot, and writes nothing."""
    options = (*QUICK_START, "-XX:+IgnoreUnrecognizedVMOptions", f"-XX:ArchiveClassesAtExit={path}")
    with ZooKeeperServer(system_properties=NETTY, jvm_options=options) as server:
        client = KazooClient(server.hosts)
        client.start()
        client.create("/znode")
        client.stop()
        client.close()
        os.kill(server.pid, signal.SIGTERM)
        eventually(lambda: not alive(server.pid), timeout=60)


def use(path: Path) -> None:
    """Makes every java that this process and its children start map the archive, if there is one."""
    if path.exists():
        archive = f"-XX:SharedArchiveFile={path} -Xlog:cds=off -Xlog:cds+dynamic=off"
        os.environ[OPTIONS] = f"{os.environ.get(OPTIONS, '')} {archive}"
