"""Continuations: runs the callbacks of results in the context in which they were registered, as asyncio does.

kazoo runs them on its own thread, which has no context. `ensure_path` and `create(makepath=True)` make all of
their requests but the first there, and those would have no parent span.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from typing import Any


def in_context(result: Any) -> Any:
    """A new result like kazoo's `result`, whose callbacks run in the contexts that they are registered in."""
    kind: Any = type(result)
    following = _following(kind)
    try:
        result.__class__ = following
    except TypeError:
        # gevent's results are of a type that is written in C.
        with suppress(TypeError):
            return following()
    return result


@cache
def _following(kind: Any) -> Any:
    class Following(kind):  # type: ignore[misc]
        def rawlink(self, callback: Callable[[Any], None]) -> None:
            super().rawlink(_Continuation(callback))

    return Following


class _Continuation:
    """A callback with the context of its registration; equal to the plain callback, by which kazoo unlinks it."""

    __slots__ = ("_context", "callback")

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback
        self._context = copy_context()

    def __call__(self, result: Any) -> None:
        # kazoo may call it again before it is done, but a context can be entered only once at a time.
        self._context.copy().run(self.callback, result)

    def __eq__(self, other: object) -> bool:
        return bool(self.callback == (other.callback if isinstance(other, _Continuation) else other))

    def __hash__(self) -> int:
        return hash(self.callback)
