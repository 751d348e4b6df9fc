"""Polling in the background: each server by itself, through changes of DNS, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from exporter.config.settings import Servers
from exporter.servers import polling as polling_module
from exporter.servers import targets
from exporter.servers.polling import Polling
from exporter.telemetry.sources import ServerStats
from tests.servers import recorded
from tests.servers.fakes import Behaviour, Fake, faking, hang_up, silence, words
from tests.support import eventually

OFTEN = Servers(interval=0.05, timeout=20.0)
ANSWERS = words({"mntr": recorded.text("3.9.5", "mntr.leader")})


@contextlib.contextmanager
def fakes(*behaviours: Behaviour) -> Iterator[list[Fake]]:
    """Servers in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = contextlib.AsyncExitStack()

    async def start() -> list[Fake]:
        return [await stack.enter_async_context(faking(behave)) for behave in behaviours]

    async def stop() -> None:
        await stack.aclose()
        # A connection that is just accepted begins to be served when the others have ended.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            # So that each has begun; one that is cancelled before leaves its connection open.
            await asyncio.sleep(0)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def polling(hosts: str, settings: Servers = OFTEN) -> Iterator[Polling]:
    running = Polling("main", hosts, settings)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def by_host(running: Polling) -> Mapping[str, ServerStats]:
    return {server.zk_host: server for server in running.stats()}


def until(running: Polling, condition: Callable[[Mapping[str, ServerStats]], bool]) -> Mapping[str, ServerStats]:
    return eventually(lambda: servers if (servers := by_host(running)) and condition(servers) else {})


def test_each_server_is_polled_at_an_interval_whatever_others_do() -> None:
    with fakes(ANSWERS, silence, hang_up) as (good, silent, bad):
        hosts = ",".join(server.target.zk_host for server in (good, silent, bad))
        with polling(hosts) as running:
            eventually(lambda: len(good.asked) >= 5 and len(bad.asked) >= 5)
            servers = by_host(running)
            assert servers[good.target.zk_host].is_up
            assert servers[good.target.zk_host].numbers["zk_znode_count"] == 11
            assert servers[bad.target.zk_host].is_up is False
            assert (servers[bad.target.zk_host].reason, servers[good.target.zk_host].reason) == ("not_serving", "")
            assert servers[silent.target.zk_host].is_up is None
            assert len(silent.asked) == 1
        # Even the connection to the silent server is closed.
        eventually(lambda: not good.open and not bad.open)


def test_a_server_that_is_silent_is_down_after_the_timeout() -> None:
    with fakes(silence) as (silent,), polling(silent.target.zk_host, Servers(0.05, 0.2)) as running:
        zk_host = silent.target.zk_host
        until(running, lambda servers: servers[zk_host].failures.get("timeout", 0) >= 2)
        # Not what a busy machine polls too late: nobody knows whether that is up.
        servers = until(running, lambda servers: servers[zk_host].is_up is not None)
        assert servers[zk_host].is_up is False
        assert servers[zk_host].problem == "mntr: no answer in time"


def test_after_the_end_nobody_is_asked() -> None:
    with fakes(ANSWERS) as (server,):
        with polling(server.target.zk_host) as running:
            eventually(lambda: len(server.asked) >= 2)
        asked = len(server.asked)
        running.stop()
        assert not [thread for thread in threading.enumerate() if thread.name == "servers of main"]
        assert len(server.asked) == asked


def test_to_stop_what_never_started_does_nothing() -> None:
    Polling("main", "127.0.0.1:1", OFTEN).stop()


def test_without_a_thread_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    running = Polling("main", "127.0.0.1:1", OFTEN)
    with pytest.raises(RuntimeError):
        running.start()
    running.stop()


class Dns:
    """Answers look-ups of names by a table, which may change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, Sequence[str] | threading.Event] = {}
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        found = self.names.get(host, ())
        if isinstance(found, threading.Event):
            found.wait(30)
            found = ()
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def test_servers_follow_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = Dns(monkeypatch)
    with fakes(ANSWERS) as (server,):
        port = server.port
        with polling(f"zk.example:{port}") as running:
            unknown = f"zk.example:{port}"
            servers = until(running, lambda servers: unknown in servers and servers[unknown].failures["dns"] >= 2)
            assert servers[unknown].is_up is False
            assert servers[unknown].problem == "the name cannot be resolved: Name or service not known"
            # One address: the server has the name.
            dns.names["zk.example"] = ["127.0.0.1"]
            servers = until(running, lambda servers: bool(servers[unknown].is_up))
            assert servers[unknown].failures["dns"] >= 2
            # Several addresses: each is a server.
            dns.names["zk.example"] = ["127.0.0.1", "127.0.0.3"]
            both = {f"127.0.0.1:{port}", f"127.0.0.3:{port}"}
            until(running, lambda servers: servers.keys() == both and bool(servers[f"127.0.0.1:{port}"].is_up))
            # Without DNS they are asked where they were.
            del dns.names["zk.example"]
            asked = len(server.asked)
            eventually(lambda: len(server.asked) > asked + 2)
            assert by_host(running).keys() == both


def test_servers_follow_the_dynamic_configuration() -> None:
    with fakes(ANSWERS, ANSWERS) as (one, two):
        configs: list[bytes | Exception | None] = [None]

        async def read_config() -> bytes | None:
            config = configs[-1]
            if isinstance(config, Exception):
                raise config
            return config

        line = "server.{0.port}=127.0.0.1:1:2;{0.port}\n"
        running = Polling("main", one.target.zk_host, OFTEN, read_config=read_config)
        running.start()
        try:
            until(running, lambda servers: servers.keys() == {one.target.zk_host})
            configs.append((line.format(one) + line.format(two)).encode())
            both = until(running, lambda servers: len(servers) == 2 and all(one.is_up for one in servers.values()))
            assert both.keys() == {one.target.zk_host, two.target.zk_host}
            configs.append(line.format(two).encode())
            until(running, lambda servers: servers.keys() == {two.target.zk_host})
            eventually(lambda: not one.open)
            asked = []
            for nothing in (None, b"", b"version=1", OSError("odd")):
                configs.append(nothing)
                two.asked.clear()
                eventually(lambda: len(two.asked) >= 3)
                assert by_host(running).keys() == {two.target.zk_host}
                # The first time, a question that was under way may still arrive.
                asked.append(len(one.asked))
            assert len(set(asked)) == 1
        finally:
            running.stop()


def test_a_look_up_that_hangs_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    dns, hung = Dns(monkeypatch), threading.Event()
    dns.names["hung.example"] = hung
    try:
        with fakes(ANSWERS) as (server,):
            settings = Servers(interval=0.05, timeout=0.3)
            with polling(f"hung.example:{server.port},{server.target.zk_host}", settings) as running:
                eventually(lambda: len(server.asked) >= 5)
                name = f"hung.example:{server.port}"
                until(running, lambda servers: name in servers and servers[name].failures.get("dns", 0) >= 2)
                servers = until(running, lambda servers: servers[name].is_up is not None)
                assert servers[name].problem == "the name cannot be resolved in time"
    finally:
        hung.set()


def test_all_goes_on_after_an_error_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([ValueError("odd")] * 3)

    def targets_of(*arguments: Any) -> Any:
        for error in errors:
            raise error
        return targets.targets_of(*arguments)

    monkeypatch.setattr(polling_module, "targets_of", targets_of)
    with fakes(ANSWERS) as (server,), polling(server.target.zk_host) as running:
        until(running, lambda servers: bool(servers) and bool(servers[server.target.zk_host].is_up))
