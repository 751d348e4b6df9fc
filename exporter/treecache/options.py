"""CacheOptions: all options of one tree cache, checked once, in one object that every part reads.

A new option is a field here and a key of `CacheKeywords`, a line in `TreeCache`'s docstring, and the code that uses
it; CONTRIBUTING says what a key of the configuration file needs in addition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import Parameter
from typing import Annotated, Any, TypedDict, cast, get_type_hints

from exporter.treecache.scope import Selector
from exporter.treecache.shard import Shard
from exporter.zookeeper.frames import LEAST_MAX_FRAME, MOST_MAX_FRAME
from exporter.zookeeper.messages import BARRIERS

MODES = ("auto", "recursive", "classic")

#: The minimum staleness in seconds that makes a tree stale, however short its freshness interval.
NEVER_STALE_BEFORE = 10.0


class CacheKeywords(TypedDict, total=False):
    """The options as keyword arguments; `TreeCache` describes each."""

    create_root: bool
    keep_data: bool
    mode: str
    batch_size: int
    window: int
    selector: Selector | None
    max_depth: int | None
    max_nodes_per_second: float | None
    shard: Shard | None
    old_data: bool
    freshness_interval: float | None
    freshness_timeout: float
    freshness_barrier: str
    audit_interval: float | None
    audit_sample: int
    max_reply_bytes: int | None
    name: str | None


class _Accepted:
    """The values that a field accepts: in words, and as a check."""

    def __init__(self, words: str, takes: Callable[[Any], bool], *, or_none: bool = False) -> None:
        self.words = words
        self._takes = takes
        self._or_none = or_none

    def __call__(self, value: object) -> bool:
        return (self._or_none and value is None) or self._takes(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _at_least(least: int, *, or_none: bool = False) -> _Accepted:
    return _Accepted(f"at least {least}", lambda value: _is_whole(value) and value >= least, or_none=or_none)


def _above_0(*, or_none: bool = False) -> _Accepted:
    # NaN is not above 0 either.
    return _Accepted("above 0", lambda value: isinstance(value, int | float) and value > 0, or_none=or_none)


def _one_of(choices: tuple[str, ...]) -> _Accepted:
    return _Accepted(f"one of {', '.join(choices)}", lambda value: value in choices)


def _is_selector(value: object) -> bool:
    return all(callable(getattr(value, method, None)) for method in ("keep", "descend"))


_REPLY_BYTES = _Accepted(
    f"from {LEAST_MAX_FRAME} to {MOST_MAX_FRAME}",
    lambda value: _is_whole(value) and LEAST_MAX_FRAME <= value <= MOST_MAX_FRAME,
    or_none=True,
)
_SWITCH = _Accepted("True or False", lambda value: isinstance(value, bool))
_SELECTOR = _Accepted("an object with the methods keep and descend", _is_selector, or_none=True)
_SHARD = _Accepted("a Shard", lambda value: isinstance(value, Shard), or_none=True)
_NAME = _Accepted("a text", lambda value: isinstance(value, str), or_none=True)


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """The options of a cache; `TreeCache` describes each. Times are seconds.

    Raises:
        ValueError: an option does not accept its value; the message names both.
    """

    create_root: Annotated[bool, _SWITCH] = True
    keep_data: Annotated[bool, _SWITCH] = True
    mode: Annotated[str, _one_of(MODES)] = "auto"
    batch_size: Annotated[int, _at_least(1)] = 1024
    window: Annotated[int, _at_least(1)] = 4
    selector: Annotated[Selector | None, _SELECTOR] = None
    max_depth: Annotated[int | None, _at_least(0, or_none=True)] = None
    max_nodes_per_second: Annotated[float | None, _above_0(or_none=True)] = None
    shard: Annotated[Shard | None, _SHARD] = None
    old_data: Annotated[bool, _SWITCH] = False
    freshness_interval: Annotated[float | None, _above_0(or_none=True)] = None
    freshness_timeout: Annotated[float, _above_0()] = 10.0
    freshness_barrier: Annotated[str, _one_of(BARRIERS)] = "quorum"
    audit_interval: Annotated[float | None, _above_0(or_none=True)] = None
    audit_sample: Annotated[int, _at_least(0)] = 0
    max_reply_bytes: Annotated[int | None, _REPLY_BYTES] = None
    name: Annotated[str | None, _NAME] = None

    def __post_init__(self) -> None:
        for name, accepted in _ACCEPTED.items():
            value = getattr(self, name)
            if not accepted(value):
                raise ValueError(f"{name} must be {accepted.words}, not {value!r}")

    @property
    def stale_after(self) -> float:
        """The staleness in seconds above which the tree is stale; 0.0 if freshness is checked on demand only.

        By then two checks in a row were due, and each had its full timeout. The pages, the rules and the dashboards
        read it as `zookeeper_cache_stale_after_seconds`.
        """
        if self.freshness_interval is None:
            return 0.0
        return max(NEVER_STALE_BEFORE, 2 * (self.freshness_interval + self.freshness_timeout))

    def keywords(self) -> CacheKeywords:
        """All options as keyword arguments."""
        return cast(CacheKeywords, {option.name: getattr(self, option.name) for option in fields(self)})


_ACCEPTED: dict[str, _Accepted] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(CacheOptions, include_extras=True).items()
}


def parameters() -> list[Parameter]:
    """All options as parameters of a signature."""
    hints = get_type_hints(CacheOptions)
    return [
        Parameter(option.name, Parameter.KEYWORD_ONLY, default=option.default, annotation=hints[option.name])
        for option in fields(CacheOptions)
    ]
