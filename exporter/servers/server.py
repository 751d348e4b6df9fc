"""Server: one server between its polls: what the last one brought, what was counted, and where to ask next."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from exporter.servers.clients import Clients
from exporter.servers.poll import RUOK, Options, Poll, Problem, clients, poll
from exporter.servers.targets import Target
from exporter.telemetry.catalogue import SERVER_FAILURES
from exporter.telemetry.sources import ServerStats

#: Seconds until a question that the server did not answer is asked again: at first, since it may only have been slow,
#: then twice as long each time, and at most, since somebody may change the whitelist.
FIRST_RETRY, LAST_RETRY = 10.0, 300.0


class Retry:
    """When to ask again what a server did not answer; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at = clock()
        self._after = FIRST_RETRY

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return self._clock() >= self._at

    def asked(self, *, answered: bool) -> None:
        """Notes that it was asked now."""
        self._at = self._clock() + (0 if answered else self._after)
        self._after = FIRST_RETRY if answered else min(LAST_RETRY, 2 * self._after)


class Server:
    """One server. All methods but `stats` are for one thread; `clock` returns seconds.

    Args:
        lists_clients: whether it is also asked whose its connections are.
    """

    def __init__(
        self,
        target: Target,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
        *,
        lists_clients: bool = False,
    ) -> None:
        #: Its addresses may change, its name does not.
        self.target = target
        self._options = options
        self._clock = clock
        self._failures: Counter[str] = Counter(dict.fromkeys(SERVER_FAILURES, 0))
        self._malformed = 0
        #: The source that answered last, None if none did; when to try better ones.
        self._source: str | None = None
        self._better = Retry(clock)
        #: When to ask for the clients; None for never.
        self._clients = Retry(clock) if lists_clients else None
        #: Why the better sources gave nothing.
        self._passed_over: Sequence[Problem] = ()
        self._latest = ServerStats(target.zk_host), clock()

    async def poll(self) -> None:
        """Polls it once."""
        clock, sources = asyncio.get_running_loop().time, self._sources()
        deadline = clock() + self._options.timeout
        found = await poll(self.target, self._options, sources)
        listed = await self._list_clients(found.source, deadline - clock())
        self._take(found, listed, tried_all=sources == self._options.sources)

    def fail(self, reason: str, text: str) -> None:
        """Notes that it cannot be asked, since its address is unknown."""
        self._take(Poll(None, problems=[Problem("", reason, text)]), None, tried_all=True)

    def stats(self, oldest: float) -> ServerStats:
        """What is known, from any thread. What was found before `oldest`, by the clock, counts no more."""
        stats, at = self._latest
        if at >= oldest:
            return stats
        gone = ServerStats(stats.zk_host, problem="not polled in time")
        return replace(gone, failures=stats.failures, malformed_lines=stats.malformed_lines)

    def _sources(self) -> tuple[str, ...]:
        """One connection a poll is enough while the source that answered last still answers."""
        sources = self._options.sources
        if self._source is None or self._better.is_due:
            return sources
        return sources[sources.index(self._source) :]

    async def _list_clients(self, source: str | None, timeout: float) -> Clients | None:
        if self._clients is None or not self._clients.is_due or source in (None, RUOK):
            return None
        listed = await clients(self.target, self._options, source, timeout)
        self._clients.asked(answered=listed is not None)
        return listed

    def _take(self, found: Poll, listed: Clients | None, tried_all: bool) -> None:
        self._failures.update(problem.reason for problem in found.problems)
        self._malformed += found.answer.malformed
        if tried_all:
            self._passed_over = found.problems
            self._better.asked(answered=found.source == self._options.sources[0])
        self._source = found.source
        problems = found.problems if found.source is None else self._passed_over
        stats = ServerStats(
            self.target.zk_host,
            is_up=found.is_up,
            source=found.source,
            numbers=found.answer.numbers,
            texts=found.answer.texts,
            clock_offset=found.answer.clock_offset,
            clients=listed,
            reason=problems[-1].reason if problems and found.source is None else "",
            problem=_in_words(problems),
            failures=dict(self._failures),
            malformed_lines=self._malformed,
        )
        self._latest = stats, self._clock()


def _in_words(problems: Sequence[Problem]) -> str:
    """What happened at which sources; those where the same happened are named together."""
    sources: dict[str, list[str]] = {}
    for problem in problems:
        sources.setdefault(problem.text, []).append(problem.source)
    return "; ".join(f"{', '.join(of)}: {text}" if any(of) else text for text, of in sources.items())
