"""Continuations: what is called once a result is there runs in the context in which it was asked for, as with asyncio.

kazoo calls it on a thread of its own, which has no context. `ensure_path` and `create(makepath=True)` make all of their
requests but the first one there, and those would be nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from typing import Any


def in_context(result: Any) -> Any:
    """A fresh result of kazoo's, or one like it, whose callbacks run in the contexts that they will be linked in."""
    kind: Any = type(result)
    following = _following(kind)
    try:
        result.__class__ = following
    except TypeError:
        # gevent's are of a type that is written in C.
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
    """A callback in the context of its making; equal to the callback alone, by which kazoo finds it to unlink it."""

    __slots__ = ("_context", "callback")

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback
        self._context = copy_context()

    def __call__(self, result: Any) -> None:
        # kazoo may call it again before it is done, and a context is entered only once at a time.
        self._context.copy().run(self.callback, result)

    def __eq__(self, other: object) -> bool:
        return bool(self.callback == (other.callback if isinstance(other, _Continuation) else other))

    def __hash__(self) -> int:
        return hash(self.callback)
