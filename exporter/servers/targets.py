"""Targets: the servers behind the names of a connection string, and AdminServer's address at each."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from exporter.config.settings import in_brackets

#: Stands for the server in the address of AdminServer.
HOST = "{host}"


class Named(NamedTuple):
    """One `HOST:PORT` of a connection string; an IPv6 address is without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{in_brackets(self.host)}:{self.port}"


class Target(NamedTuple):
    """One server.

    `zk_host` is its value of that label. Its certificate is for `host`; `addresses` are tried one after the other.
    """

    zk_host: str
    host: str
    port: int
    addresses: tuple[str, ...]


def named(hosts: str) -> tuple[Named, ...]:
    """The names of a connection string that `exporter.config.settings.parse_hosts` has checked, each once."""
    servers = hosts.partition("/")[0].split(",")
    return tuple(dict.fromkeys(_named(server) for server in servers))


def _named(server: str) -> Named:
    host, _, port = server.rpartition(":")
    return Named(host.strip("[]"), int(port))


async def addresses_of(name: Named, resolver: Executor) -> tuple[str, ...]:
    """All addresses of a name, those that the system prefers first.

    `resolver` runs the look-up, which cannot be interrupted. Raises socket.gaierror, or another OSError.
    """
    with contextlib.suppress(ValueError):
        return (str(ipaddress.ip_address(name.host)),)
    found = await asyncio.get_running_loop().run_in_executor(resolver, _look_up, name)
    return tuple(dict.fromkeys(found))


def _look_up(name: Named) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # A label of the name is too long for DNS.
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    return [str(address[4][0]) for address in found]


def targets_of(name: Named, addresses: Sequence[str]) -> tuple[Target, ...]:
    """The servers behind a name.

    Several addresses of one kind, IPv4 or IPv6, are several servers, each with its address as `zk_host`. One address of
    each kind is one server, which is asked at the other address if it does not answer at the first.
    """
    kinds = [":" in address for address in addresses]
    alike = [address for address, kind in zip(addresses, kinds, strict=True) if kind == kinds[0]]
    if len(alike) <= 1 and kinds.count(True) <= 1 and kinds.count(False) <= 1:
        return (Target(str(name), name.host, name.port, tuple(addresses)),)
    if len(alike) == 1:
        alike = [address for address, kind in zip(addresses, kinds, strict=True) if kind != kinds[0]]
    return tuple(Target(str(Named(address, name.port)), name.host, name.port, (address,)) for address in alike)


def admin_url(template: str, target: Target) -> str:
    """The address of AdminServer at a server, by its name, or by its address if the name stands for several."""
    is_one_of_several = target.zk_host != str(Named(target.host, target.port))
    return template.replace(HOST, in_brackets(target.addresses[0] if is_one_of_several else target.host))
