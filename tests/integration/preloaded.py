"""An application that starts everything before it forks its workers, with README's lines at module level.

`python -m tests.integration.preloaded HOSTS`, for `test_library_workers`. Each process prints a line once all its
assertions have held.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from exporter import KazooInstrumentor, TreeCache, instrument
from exporter.telemetry import instrumentation
from exporter.telemetry.tracing import instrumentor
from exporter.zookeeper import session
from exporter.zookeeper.session import ForkedClientError, Session
from tests.support import eventually

HOSTS = sys.argv[1] if __name__ == "__main__" else ""
PATIENCE = 60

exported = InMemorySpanExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(exported))


def main() -> None:
    """The parent: everything keeps running in it before, during and after the forks."""
    KazooInstrumentor().instrument(tracer_provider=provider)
    idle = KazooClient(HOSTS)
    idle_handle = instrument(idle, ensemble="idle")
    client = KazooClient(HOSTS)
    handle = instrument(client)
    client.start()
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(PATIENCE)
        before = metric("zookeeper_client_session_start_timestamp_seconds")
        with all_locks_held(client):
            children = [
                forked(lambda: child("os.fork", client, handle)),
                forked(lambda: parent_again(client, handle)),
                forked(lambda: of_idle_client(idle)),
                forked(lambda: in_place_of_idle_client(idle_handle)),
            ]
        process = multiprocessing.get_context("fork").Process(
            target=child, args=("multiprocessing", client, handle), daemon=False
        )
        process.start()
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * len(children)
        process.join()
        assert process.exitcode == 0
        client.create("/app/after")
        eventually(lambda: metric("zookeeper_cache_nodes", tree="/app", kind="persistent") == 3)
        assert metric("zookeeper_client_up") == 1
        assert metric("zookeeper_client_session_start_timestamp_seconds") == before
    say("parent")
    handle.uninstrument()
    client.stop()
    client.close()


def child(name: str, inherited: KazooClient, handle: instrumentation.Instrumentation) -> None:
    """The child: has none of the parent's metrics, cannot use its clients, and makes its own with the same names."""
    signal.alarm(PATIENCE)
    assert series("default") == set()
    assert Session.existing(inherited).stats().state == "lost"  # type: ignore[union-attr]
    with pytest.raises(ForkedClientError):
        instrument(inherited, ensemble="other")
    with pytest.raises(ForkedClientError):
        TreeCache(inherited, "/app").start()
    own(name, handle)


def parent_again(inherited: KazooClient, handle: instrumentation.Instrumentation) -> None:
    """A child that forks: the clients and caches of both ancestors are unusable in the grandchild too."""
    signal.alarm(PATIENCE)
    client = KazooClient(HOSTS)
    with instrument(client), started(client):
        assert metric("zookeeper_client_up") == 1
        grandchild = forked(lambda: child("grandchild", client, handle))
        assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
        assert metric("zookeeper_client_up") == 1
    assert series("default") == set()


def of_idle_client(idle: KazooClient) -> None:
    """A client that the parent has made and instrumented but not started belongs to the child that starts it."""
    signal.alarm(PATIENCE)
    with started(idle), TreeCache(idle, "/app") as cache:
        assert cache.wait_initialized(PATIENCE)
        assert metric("zookeeper_client_up", ensemble="idle") == 1
        assert metric("zookeeper_cache_nodes", ensemble="idle", tree="/app", kind="persistent") == 2
        with pytest.raises(ValueError, match="has a client of ensemble 'idle' already"):
            instrument(KazooClient(HOSTS), ensemble="idle")
    say("idle")


def in_place_of_idle_client(idle_handle: instrumentation.Instrumentation) -> None:
    """If the child makes its own client instead, that one has the name."""
    signal.alarm(PATIENCE)
    client = KazooClient(HOSTS)
    with instrument(client, ensemble="idle"), started(client):
        idle_handle.uninstrument()
        assert metric("zookeeper_client_up", ensemble="idle") == 1
    assert series("idle") == set()
    say("in place")


def own(name: str, handle: instrumentation.Instrumentation) -> None:
    client = KazooClient(HOSTS)
    exported.clear()
    with instrument(client), started(client), TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(PATIENCE)
        # Undoing the parent's instrumentation is harmless here.
        handle.uninstrument()
        client.get("/app/a")
        assert metric("zookeeper_client_up") == 1
        assert metric("zookeeper_cache_nodes", tree="/app", kind="persistent") == 2
        assert metric("zookeeper_client_request_duration_seconds_count", operation="getData") == 1
        assert [span.name for span in exported.get_finished_spans()].count("getData") == 1
    assert series("default") == set()
    KazooInstrumentor().uninstrument()
    say(name)


@contextlib.contextmanager
def all_locks_held(client: KazooClient) -> Iterator[None]:
    """Holds the locks during a fork, in a thread that the child does not have."""
    attached = Session.attach(client)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        locks = (
            instrumentation._changing,
            instrumentor._changing,
            session._attaching,
            REGISTRY._lock,
            attached._stream.lock,
            attached._watches.changing,
            attached._sending._calling,
            attached.observers._lock,
        )
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def forked(act: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    return pid


@contextlib.contextmanager
def started(client: KazooClient) -> Iterator[None]:
    client.start()
    try:
        yield
    finally:
        client.stop()
        client.close()


def series(ensemble: str) -> set[str]:
    """The names of all samples of an ensemble."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    return {sample.name for sample in samples if sample.labels.get("ensemble") == ensemble}


def metric(name: str, ensemble: str = "default", **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"ensemble": ensemble, **labels})


def say(line: str) -> None:
    # In one write: the processes share this stream.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    main()
