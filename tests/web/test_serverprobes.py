"""`/probe`: one server's numbers at the moment of the request, in time, and of no server but those that are polled."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import httpx
import pytest
from starlette.requests import Request

from exporter.config.settings import Servers
from exporter.servers.polling import Polling
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource, ServerStats
from exporter.web.app import create_app
from exporter.web.serverprobes import _seconds
from tests import plainhttp
from tests.servers import known, recorded
from tests.servers.fakes import Fake, faking, hang_up, silence, words
from tests.servers.known import Servers as FixedServers

T = TypeVar("T")
ANSWERS = words({"mntr": recorded.text("3.9.5", "mntr.leader")})


async def get(path: str, *ensembles: EnsembleSource, any_target: bool = False, **headers: str) -> httpx.Response:
    app = create_app(
        build_registry([], "1"), ensembles, telemetry_path="/metrics", version="1", probe_any_target=any_target
    )
    transport = httpx.ASGITransport(app)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client:
        return await client.get(path, headers=named)


@contextlib.asynccontextmanager
async def polled(hosts: str) -> AsyncIterator[EnsembleSource]:
    """An ensemble whose servers are polled, once they are known."""
    polling = Polling("main", hosts, Servers())
    polling.start()
    try:
        while not polling.stats():
            await asyncio.sleep(0.01)
        yield EnsembleSource("main", known.ensemble("main").client, {}, servers=polling)
    finally:
        polling.stop()


def with_fake(behave: Callable[..., Awaitable[None]], ask: Callable[[Fake], Awaitable[T]]) -> T:
    async def talk() -> T:
        async with faking(behave) as fake:
            return await ask(fake)

    return asyncio.run(talk())


def samples(response: httpx.Response) -> list[str]:
    return [line for line in response.text.splitlines() if not line.startswith("#")]


def test_a_server_of_the_configuration_is_asked_by_its_zk_host() -> None:
    ensembles = [
        known.ensemble("other", known.by_mntr("3.4.14", "leader")),
        known.ensemble("main", known.by_mntr("3.9.5", "follower")),
    ]
    response = asyncio.run(get("/probe?target=follower:2181", *ensembles))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'zk_server_leader{ensemble="main"} 0.0' in samples(response)
    assert "# TYPE zk_packets_received counter" in response.text
    assert "zk_host" not in response.text


def test_some_numbers_can_be_asked_for_by_name() -> None:
    ensemble = known.ensemble("main", known.by_mntr("3.9.5", "leader"))
    response = asyncio.run(get("/probe?target=leader&name[]=zk_up&name[]=zk_znode_count", ensemble))
    assert samples(response) == ['zk_up{ensemble="main"} 1.0', 'zk_znode_count{ensemble="main"} 11.0']


def test_the_answer_is_of_this_moment() -> None:
    async def ask(fake: Fake) -> None:
        async with polled(f"127.0.0.1:{fake.port}") as ensemble:
            while not fake.asked:
                await asyncio.sleep(0.01)
            response = await get(f"/probe?target=127.0.0.1:{fake.port}", ensemble)
            assert 'zk_up{ensemble="main"} 1.0' in samples(response)
            # By the poll and by the probe; only the poll asks for the clients too.
            assert fake.asked.count(b"mntr") == 2
            fake.behave = hang_up
            response = await get(f"/probe?target=127.0.0.1:{fake.port}", ensemble)
            assert samples(response) == ['zk_up{ensemble="main"} 0.0']

    with_fake(ANSWERS, ask)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("", "target: required once; accepted: /probe?target=HOST:PORT"),
        ("target=a&target=b", "target: required once; accepted: /probe?target=HOST:PORT"),
        ("target=", "target=: a host is empty; accepted: HOST[:PORT]"),
        ("target=a:x", "target=a:x: 'x' is not a port between 1 and 65535; accepted: HOST[:PORT]"),
        ("target=a,b", "target=a,b: not one server; accepted: HOST[:PORT], an IPv6 address in brackets"),
        ("target=a/b", "target=a/b: not one server; accepted: HOST[:PORT], an IPv6 address in brackets"),
        ("target=zk9", "target=zk9:2181: not a server that is polled; accepted: leader:2181, down:2181"),
        ("target=zk%0A9", "target=zk\\n9: 'zk\\n9' is not a host name; accepted: HOST"),
    ],
)
def test_what_is_refused(query: str, complaint: str) -> None:
    ensemble = known.ensemble("main", known.by_mntr("3.9.5", "leader"), ServerStats("down:2181", False))
    response = asyncio.run(get(f"/probe?{query}", ensemble))
    assert response.status_code == 400
    assert response.text.startswith(complaint)
    assert response.text.count("\n") == 1


def test_what_is_refused_without_servers() -> None:
    response = asyncio.run(get("/probe?target=a", EnsembleSource("main", known.ensemble("main").client, {})))
    assert response.text == "target=a:2181: not a server that is polled; accepted: none, since no server is polled\n"


def test_a_refusal_names_a_few_servers() -> None:
    many = FixedServers(*(ServerStats(f"zk{number}:2181") for number in range(30)))
    ensemble = EnsembleSource("main", known.ensemble("main").client, {}, servers=many)
    response = asyncio.run(get("/probe?target=a", ensemble))
    assert response.text.endswith("zk8:2181, zk9:2181, and 20 more\n")


def test_any_server_if_that_is_allowed() -> None:
    async def ask(fake: Fake) -> None:
        path = f"/probe?target=localhost:{fake.port}"
        assert (await get(path)).status_code == 400
        response = await get(path, any_target=True)
        assert "zk_up 1.0" in samples(response)
        assert "zk_znode_count 11.0" in samples(response)
        fake.behave = hang_up
        assert samples(await get(path, any_target=True)) == ["zk_up 0.0"]

    with_fake(ANSWERS, ask)


def test_any_server_whose_name_does_not_resolve() -> None:
    response = asyncio.run(get("/probe?target=a..b", any_target=True))
    assert response.status_code == 400
    response = asyncio.run(get(f"/probe?target={'a' * 63}.invalid", any_target=True))
    assert samples(response) == ["zk_up 0.0"]


@pytest.mark.parametrize("any_target", [False, True])
def test_a_probe_ends_before_prometheus_gives_up(any_target: bool) -> None:
    async def ask(fake: Fake) -> httpx.Response:
        target, deadline = f"/probe?target=127.0.0.1:{fake.port}", {"X_Prometheus_Scrape_Timeout_Seconds": "0.8"}
        async with polled("127.0.0.1:1" if any_target else f"127.0.0.1:{fake.port}") as ensemble:
            began = time.monotonic()
            response = await get(target, ensemble, any_target=any_target, **deadline)
            assert 0.3 <= time.monotonic() - began < 2.9
            return response

    assert re.fullmatch(r"zk_up(\{.*\})? 0.0", samples(with_fake(silence, ask))[0])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("10", 9.5), ("0.55", 0.1), ("0.1", 0.1), ("-1", 0.1), ("1e9", 60), ("", 3), ("x", 3), ("nan", 3), ("inf", 3)],
)
def test_deadlines(header: str, seconds: float) -> None:
    headers = [(b"x-prometheus-scrape-timeout-seconds", header.encode())]
    assert _seconds(Request({"type": "http", "headers": headers})) == pytest.approx(seconds)
