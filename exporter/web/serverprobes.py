"""Server probes: `/probe?target=HOST:PORT` polls one ZooKeeper server now, as Prometheus' blackbox exporter probes.

The server's numbers have no label `zk_host`: Prometheus' configuration sets `instance` to the target.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.config.settings import one_line
from exporter.pages.turns import TooManyError, Turns, too_many
from exporter.process.executor import ThreadExecutor
from exporter.servers.collector import families
from exporter.servers.probe import parse_target, probe_any
from exporter.servers.targets import Named
from exporter.telemetry.sources import EnsembleSource, ServerStats
from exporter.web.exposition import exposition, wanted_by

PROBE_PATH = "/probe"
#: The header in which Prometheus says when it gives up, and the seconds before that in which an answer gets there: both
#: as of the blackbox exporter.
_DEADLINE, _OFFSET = "X-Prometheus-Scrape-Timeout-Seconds", 0.5
#: The seconds that a probe may take: without that header, at least and at most.
_DEFAULT, _LEAST, _MOST = 3.0, 0.1, 60.0
#: Concurrent probes, and how many more may wait. Those of a large ensemble come at once.
_TURNS = (16, 64)
#: How many servers a refusal names.
_NAMED = 10

#: What a probe brought, the labels of its samples, and whether every number is wanted.
_Probed = tuple[ServerStats, Mapping[str, str], bool]


class ServerProbes:
    """Answers probes of the servers of `ensembles`, or with `any_target` of any server."""

    def __init__(self, ensembles: Sequence[EnsembleSource], any_target: bool) -> None:
        self._ensembles = ensembles
        self._any_target = any_target
        self._turns = Turns(*_TURNS)

    @property
    def route(self) -> Route:
        """The route."""
        return Route(PROBE_PATH, self._answer)

    async def _answer(self, request: Request) -> Response:
        targets = request.query_params.getlist("target")
        if len(targets) != 1:
            return _refused("target: required once; accepted: /probe?target=HOST:PORT")
        try:
            name = parse_target(targets[0])
        except ValueError as error:
            return _refused(f"target={targets[0]}: {error}")
        try:
            async with self._turns.turn():
                found = await self._probed(name, _seconds(request))
        except TooManyError:
            return too_many()
        if found is None:
            return _refused(f"target={name}: not a server that is polled; accepted: {self._accepted()}")
        wanted = wanted_by(request)
        return Response(exposition(cast(CollectorRegistry, _Probe(found)), wanted), headers=wanted.headers)

    async def _probed(self, name: Named, seconds: float) -> _Probed | None:
        """What a probe of the server brings; None if it must not be asked."""
        for ensemble in self._ensembles:
            if ensemble.servers is not None:
                stats = await ensemble.servers.probe(str(name), seconds)
                if stats is not None:
                    return stats, {"ensemble": ensemble.name}, ensemble.servers.wants_all
        if not self._any_target:
            return None
        resolver = ThreadExecutor("address of a probe's target")
        try:
            async with asyncio.timeout(seconds):
                return await probe_any(name, seconds, resolver), {}, False
        except TimeoutError:
            return ServerStats(str(name), is_up=False), {}, False
        finally:
            resolver.shutdown()

    def _accepted(self) -> str:
        polled = (ensemble.servers.stats() for ensemble in self._ensembles if ensemble.servers is not None)
        names = [server.zk_host for servers in polled for server in servers]
        more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ", ".join(names[:_NAMED]) + more if names else "none, since no server is polled"


class _Probe:
    """One server's numbers, as a registry."""

    def __init__(self, found: _Probed) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return families([self._found])


def _seconds(request: Request) -> float:
    """The time that a probe may take."""
    try:
        given = float(request.headers.get(_DEADLINE, ""))
    except ValueError:
        return _DEFAULT
    return max(_LEAST, min(given - _OFFSET, _MOST)) if math.isfinite(given) else _DEFAULT


def _refused(problem: str) -> Response:
    return PlainTextResponse(f"{one_line(problem)[:1000]}\n", status_code=400)
