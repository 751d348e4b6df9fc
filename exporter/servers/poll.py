"""Poll: asks one server for its numbers once, at the best source that answers, with one deadline for everything.

The sources, the best first: AdminServer where its address is configured; `mntr`, which says as much; `srvr`, the one
word that ZooKeeper allows by default; `ruok`, for a server that allows nothing else. Whose the server's connections are
is another question, at the same source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.servers.answers import Answer, check_ruok, parse_mntr, parse_monitor, parse_srvr
from exporter.servers.asking import LIMIT_OF_CONNECTIONS, LIMIT_OF_CONS, HttpAnswer, four_letter_word, http_get
from exporter.servers.clients import Clients, parse_connections, parse_cons
from exporter.servers.failures import PollError, failure_of
from exporter.servers.targets import Target, admin_url
from exporter.servers.tls import Context

ADMIN, MNTR, SRVR, RUOK = "admin", "mntr", "srvr", "ruok"
SOURCES = (ADMIN, MNTR, SRVR, RUOK)

_MONITOR, _CONNECTIONS = "/commands/monitor", "/commands/connections"
_CONS = "cons"


@dataclass(frozen=True)
class Options:
    """How to ask servers: the address of AdminServer with `{host}` in it, the deadline in seconds, and TLS."""

    timeout: float
    admin: str | None = None
    uses_tls: bool = False
    context: Context = field(default_factory=lambda: Context(None))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources to try, the best first."""
        return SOURCES if self.admin else SOURCES[1:]


class Problem(NamedTuple):
    """A source that gave nothing: why, as one of the catalogue's `SERVER_FAILURES` and in words.

    `is_ours` if that says nothing about the server.
    """

    source: str
    reason: str
    text: str
    is_ours: bool = False


@dataclass(frozen=True)
class Poll:
    """What one poll of a server brought.

    Attributes:
        source: the source that answered, None if none did.
        answer: what it said; nothing if the source is `ruok`.
        problems: the sources that were tried before it.
    """

    source: str | None
    answer: Answer = field(default_factory=Answer)
    problems: Sequence[Problem] = ()

    @property
    def is_up(self) -> bool | None:
        """Whether the server answered; None if that is not known.

        To forbid every word is an answer too, of a server that may well serve.
        """
        if self.source is not None or not self.problems:
            return self.source is not None
        last = self.problems[-1]
        return None if last.is_ours else last.reason == "not_allowed"


async def poll(target: Target, options: Options, sources: Sequence[str]) -> Poll:
    """Asks a server at one of `sources` after the other until one answers. Never raises but when cancelled."""
    deadline = asyncio.get_running_loop().time() + options.timeout
    problems: list[Problem] = []
    for source in sources:
        try:
            # A port of AdminServer that is silently dropped must not take the time of the others.
            left = deadline - asyncio.get_running_loop().time()
            async with asyncio.timeout(left / 2 if source == ADMIN and len(sources) > 1 else left):
                return Poll(source, await _ask(target, options, source), problems)
        except Exception as error:
            failure = failure_of(error)
            problems.append(Problem(source, failure.reason, failure.text, failure.is_ours))
            if source != ADMIN and not _may_answer_another_word(error, failure):
                break
    return Poll(None, problems=problems)


def _may_answer_another_word(error: Exception, failure: PollError) -> bool:
    """Whether a server that gave nothing for one word may answer another: it did answer this one, and may serve."""
    return isinstance(error, PollError) and failure.reason in ("not_allowed", "other")


async def clients(target: Target, options: Options, source: str, timeout: float) -> Clients | None:
    """How many connections which clients have at a server whose numbers come from `source`.

    None if it does not say so within `timeout` seconds. Never raises but when cancelled.
    """
    try:
        async with asyncio.timeout(timeout):
            if source == ADMIN:
                status, body, _ = await _get(target, options, _CONNECTIONS, LIMIT_OF_CONNECTIONS)
                return parse_connections(status, body)
            return parse_cons(await _word(target, options, _CONS, LIMIT_OF_CONS))
    except Exception:
        return None


async def _ask(target: Target, options: Options, source: str) -> Answer:
    if source == ADMIN:
        return parse_monitor(*await _get(target, options, _MONITOR))
    text = await _word(target, options, source)
    if source == RUOK:
        check_ruok(text)
        return Answer()
    return parse_mntr(text) if source == MNTR else parse_srvr(text)


async def _get(target: Target, options: Options, path: str, limit: int | None = None) -> HttpAnswer:
    assert options.admin is not None
    url = admin_url(options.admin, target).rstrip("/") + path
    return await http_get(target, url, options.context.current() if url.startswith("https:") else None, limit)


async def _word(target: Target, options: Options, word: str, limit: int | None = None) -> str:
    return await four_letter_word(target, word, options.context.current() if options.uses_tls else None, limit)
