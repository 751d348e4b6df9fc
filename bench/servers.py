"""Servers with a tree to measure, and clients that write meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kazoo.client import KazooClient

from bench.trees import Shape
from exporter.demo.server import ZooKeeperServer


@contextmanager
def seeded(shape: Shape, heap: str = "3g") -> Iterator[ZooKeeperServer]:
    """A server with a tree; `heap` is java's -Xmx."""
    with ZooKeeperServer(heap=heap, tick_time=4000, jvm_options=()) as server:
        # Java answers nobody while it collects garbage in a large heap.
        with started(server.hosts, timeout=40) as client:
            shape.seed(client)
        yield server


@contextmanager
def started(hosts: str, **options: Any) -> Iterator[KazooClient]:
    """A started client with kazoo's options, stopped and closed afterwards."""
    client = KazooClient(hosts, **options)
    client.start()
    try:
        yield client
    finally:
        client.stop()
        client.close()
