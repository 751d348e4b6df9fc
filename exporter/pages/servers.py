"""Servers: what the servers of an ensemble say about themselves, as rows of the status page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.pages.cells import Cell, element_id
from exporter.pages.format import brief, counted, human_count, visible
from exporter.servers.readings import state_of, version_of
from exporter.telemetry.sources import ServerStats

#: How many servers of an ensemble are shown.
SERVERS_SHOWN = 50
#: The maximum length of a problem that is shown; it may quote an answer.
_PROBLEM = 300


@dataclass(frozen=True)
class ServerStatus:
    """One server on the page: its role, version and load, and why it or a better source cannot be asked."""

    zk_host: str
    role: Cell
    version: Cell
    latency: Cell
    connections: Cell
    problem: Cell


def servers_of(ensemble: str, servers: Sequence[ServerStats]) -> list[ServerStatus]:
    """The servers of an ensemble, in their order."""
    return [_server(ensemble, server) for server in servers]


def _server(ensemble: str, server: ServerStats) -> ServerStatus:
    row = element_id(ensemble, "server", server.zk_host)
    return ServerStatus(
        zk_host=server.zk_host,
        role=Cell(f"{row}-role", *_role(server)),
        version=Cell(f"{row}-version", brief(version_of(server)[0])),
        latency=Cell(f"{row}-latency", _latency(server)),
        connections=Cell(f"{row}-connections", _connections(server)),
        problem=Cell(f"{row}-problem", visible(server.problem[:_PROBLEM]), "bad" if server.is_up is False else "plain"),
    )


def _role(server: ServerStats) -> tuple[str, str]:
    """The role in words, and its level."""
    if server.is_up is None:
        return "not polled yet" if not server.problem else "unknown", "waiting"
    if not server.is_up:
        return "not serving" if server.reason == "not_serving" else "no answer", "bad"
    return brief(state_of(server)) or "answers", "good"


def _latency(server: ServerStats) -> str:
    average, longest = (server.numbers.get(f"zk_{name}_latency") for name in ("avg", "max"))
    if average is None:
        return ""
    return f"{average:.3g} ms" + ("" if longest is None else f", at most {longest:.6g} ms")


def _connections(server: ServerStats) -> str:
    connections, waiting = (
        server.numbers.get(f"zk_{name}") for name in ("num_alive_connections", "outstanding_requests")
    )
    parts = [human_count(int(connections))] if _is_count(connections) and connections is not None else []
    if _is_count(waiting) and waiting:
        parts.append(f"{counted(int(waiting), 'request')} outstanding")
    return ", ".join(parts)


def _is_count(number: float | None) -> bool:
    """Whether a number can be shown as a count: a server can say that it is not a number, or infinite."""
    return number is not None and 0 <= number < 1e15
