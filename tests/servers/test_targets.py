"""Which servers a connection string stands for, and where each has its AdminServer."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Executor

import pytest

from exporter.config.settings import parse_hosts
from exporter.process.executor import ThreadExecutor
from exporter.servers.targets import Named, Target, addresses_of, admin_url, named, targets_of

ZK1 = Named("zk1", 2181)


def test_names_of_a_connection_string() -> None:
    hosts = parse_hosts("zk1,zk2:2182,[::1]:2183,10.0.0.1,zk1:2181/chroot/a")
    assert named(hosts) == (ZK1, Named("zk2", 2182), Named("::1", 2183), Named("10.0.0.1", 2181))
    assert [str(name) for name in named(hosts)] == ["zk1:2181", "zk2:2182", "[::1]:2183", "10.0.0.1:2181"]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["10.0.0.1"], {"zk1:2181": ("10.0.0.1",)}),
        (["::1", "127.0.0.1"], {"zk1:2181": ("::1", "127.0.0.1")}),
        (["10.0.0.1", "10.0.0.2"], {"10.0.0.1:2181": ("10.0.0.1",), "10.0.0.2:2181": ("10.0.0.2",)}),
        (["fd00::1", "fd00::2"], {"[fd00::1]:2181": ("fd00::1",), "[fd00::2]:2181": ("fd00::2",)}),
        # A dual-stack name of two servers: each would otherwise be there twice, and two would lead.
        (
            ["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"],
            {"10.0.0.1:2181": ("10.0.0.1",), "10.0.0.2:2181": ("10.0.0.2",)},
        ),
        (["fd00::1", "10.0.0.1", "10.0.0.2"], {"10.0.0.1:2181": ("10.0.0.1",), "10.0.0.2:2181": ("10.0.0.2",)}),
    ],
)
def test_every_address_of_a_name_is_a_server(addresses: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    targets = targets_of(ZK1, addresses)
    assert {target.zk_host: target.addresses for target in targets} == expected
    assert {(target.host, target.port) for target in targets} == {ZK1}


def test_admin_url() -> None:
    assert admin_url("http://{host}:8080", Target("zk1:2181", "zk1", 2181, ("10.0.0.1",))) == "http://zk1:8080"
    of_several = Target("10.0.0.1:2181", "zk1", 2181, ("10.0.0.1",))
    assert admin_url("https://{host}:8443/zk", of_several) == "https://10.0.0.1:8443/zk"
    assert admin_url("http://{host}:8080", Target("[::1]:2181", "::1", 2181, ("::1",))) == "http://[::1]:8080"


class Nobody(Executor):
    """Runs nothing."""


def resolved(host: str, resolver: Executor) -> tuple[str, ...]:
    return asyncio.run(addresses_of(Named(host, 2181), resolver))


def test_an_address_needs_no_resolver() -> None:
    assert resolved("127.0.0.1", Nobody()) == ("127.0.0.1",)
    assert resolved("::1", Nobody()) == ("::1",)


def test_a_name_is_resolved_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 2181)) for address in ("10.0.0.2", "10.0.0.1", "10.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    resolver = ThreadExecutor("names")
    try:
        assert resolved("zk.example", resolver) == ("10.0.0.2", "10.0.0.1")
    finally:
        resolver.shutdown(wait=True)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "no such host"])
def test_a_name_that_does_not_resolve(host: str) -> None:
    resolver = ThreadExecutor("names")
    try:
        with pytest.raises(socket.gaierror):
            resolved(host, resolver)
    finally:
        resolver.shutdown(wait=True)
