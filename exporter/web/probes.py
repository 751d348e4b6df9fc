"""Probes: `/-/healthy` and `/-/ready`, with the result in the first line, then a line for each tree.

A process is healthy if a restart would not help it. It is ready if all trees were complete once and none has failed. It
stays ready while ZooKeeper is away, since that is when its metrics matter. See docs/installation.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.pages.conditions import LEVELS
from exporter.pages.format import counted, visible
from exporter.pages.history import History, Look
from exporter.pages.standing import Standing

HEALTHY_PATH, READY_PATH = "/-/healthy", "/-/ready"
#: Seconds that a cache must have been failed before a restart of the process is due.
LASTING = 300.0
#: The maximum number of trees that the first line names, and the maximum number of lines after it.
_NAMED, _LINES = 5, 100

#: A tree with its ensemble's name.
_Tree = tuple[str, Standing]


class Probes:
    """Answers both probes, from the same looks as the pages; `clock` returns Unix time in seconds."""

    def __init__(self, history: History, clock: Callable[[], float] = time.time) -> None:
        self._history = history
        self._clock = clock
        # Never cleared: a tree that a reload adds while its ensemble is down must not make the others unready.
        self._was_ready = threading.Event()

    @property
    def routes(self) -> list[Route]:
        """The routes."""
        return [Route(HEALTHY_PATH, self._healthy), Route(READY_PATH, self._ready)]

    # A coroutine needs no worker thread, and the latest look needs no lock, so nothing can delay this probe.
    async def _healthy(self, _request: Request) -> Response:
        return _answer("Healthy", _trees(self._history.latest()), self._needs_restart)

    # A plain function, which Starlette runs on a worker thread: asking a cache for stats must not block the event loop.
    def _ready(self, _request: Request) -> Response:
        trees = _trees(self._history.look())
        if all(tree.was_complete for _, tree in trees):
            self._was_ready.set()
        return _answer("Ready", trees, self._is_unusable)

    def _is_unusable(self, tree: Standing) -> bool:
        is_loading = not self._was_ready.is_set() and not tree.was_complete
        return is_loading or tree.state in ("failed", "closed")

    def _needs_restart(self, tree: Standing) -> bool:
        return tree.state == "failed" and 0 < tree.failed_at <= self._clock() - LASTING


def _trees(looks: Sequence[Look]) -> list[_Tree]:
    """All trees, the worst first."""
    trees = [(look.name, tree) for look in looks for tree in look.standings]
    return sorted(trees, key=lambda one: -LEVELS.index(one[1].level))


def _answer(claim: str, trees: Sequence[_Tree], is_against: Callable[[Standing], bool]) -> Response:
    """Status 200, or 503 if `is_against` holds for any tree."""
    against = [one for one in trees if is_against(one[1])]
    rest = [one for one in trees if not is_against(one[1])]
    first = f"{claim}." if not against else f"Not {claim.lower()}: {_in_short(against)}."
    lines = [first, *_lines([*against, *rest])]
    return PlainTextResponse("\n".join(lines) + "\n", status_code=503 if against else 200)


def _in_short(trees: Sequence[_Tree]) -> str:
    named = [f"{_name(one)} {one[1].state}" for one in trees[:_NAMED]]
    more = [f"{counted(len(trees) - _NAMED, 'more tree')}"] if len(trees) > _NAMED else []
    return ", ".join([*named, *more])


def _lines(trees: Sequence[_Tree]) -> Iterator[str]:
    """A line for each tree: the cache's state and its other conditions. No numbers, since anyone may read this."""
    for one in trees[:_LINES]:
        state = one[1].state
        others = [each.name for each in one[1].conditions if each.name.replace(" ", "_") != state]
        yield f"{_name(one)}: {', '.join([state, *others])}"
    if len(trees) > _LINES:
        yield f"and {counted(len(trees) - _LINES, 'more tree')}"


def _name(tree: _Tree) -> str:
    return f"{visible(tree[0])} {visible(tree[1].name)}"
