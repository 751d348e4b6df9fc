"""Probe: polls one server now, with a deadline of its own."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

from exporter.config.settings import parse_hosts
from exporter.servers.failures import failure_of
from exporter.servers.poll import Options
from exporter.servers.server import Server
from exporter.servers.targets import Named, Target, addresses_of, named
from exporter.telemetry.sources import ServerStats

TARGET_ACCEPTED = "accepted: HOST[:PORT], an IPv6 address in brackets"


def parse_target(text: str) -> Named:
    """The server that a probe names. Raises ValueError, saying what is wrong and what is accepted."""
    if "/" in text or "," in text:
        raise ValueError(f"not one server; {TARGET_ACCEPTED}")
    (name,) = named(parse_hosts(text))
    return name


async def probe(target: Target, options: Options, timeout: float) -> ServerStats:
    """What a server says, within `timeout` seconds. A target without an address has a name that does not resolve."""
    server = Server(target, replace(options, timeout=timeout))
    if target.addresses:
        await server.poll()
    else:
        server.fail("dns", "the name cannot be resolved")
    return server.stats(0.0)


async def probe_any(name: Named, timeout: float, resolver: Executor) -> ServerStats:
    """What any server says to four-letter words over TCP, within `timeout` seconds and those of DNS."""
    try:
        addresses = await addresses_of(name, resolver)
    except OSError as error:
        server = Server(Target(str(name), name.host, name.port, ()), Options(timeout))
        failure = failure_of(error)
        server.fail(failure.reason, failure.text)
        return server.stats(0.0)
    return await probe(Target(str(name), name.host, name.port, addresses), Options(timeout), timeout)
