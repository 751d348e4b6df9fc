"""Quotas: reads the quotas of an ensemble, and how much of each is used.

The servers keep them as znodes: below /zookeeper/quota, at the path that a quota is about, `zookeeper_limits` has its
limits and `zookeeper_stats` what is used (ZooKeeper's Administrator's Guide, *Quotas*; `org.apache.zookeeper.Quotas`
and `StatsTrack`). The servers change them without an event, so they have to be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NoNodeError

ROOT = "/zookeeper/quota"
LIMITS, STATS = "zookeeper_limits", "zookeeper_stats"
#: At most so many quotas are read, and so many znodes looked at for them.
MOST_QUOTAS, MOST_ZNODES = 100, 2000
#: Seconds to wait for each answer.
PATIENCE = 5.0

_NUMBER = re.compile(rb"(\w+)=(-?[0-9]+)")


@dataclass(frozen=True)
class Quota:
    """One quota: the znodes and bytes that are used, and their limits by kind, `soft` and `hard`, where there is one.

    The servers log when a soft limit is exceeded, and from 3.7 on refuse what exceeds a hard one.
    """

    nodes: int
    bytes: int
    nodes_limits: Mapping[str, int] = field(default_factory=dict)
    bytes_limits: Mapping[str, int] = field(default_factory=dict)


def read(client: KazooClient) -> Mapping[str, Quota]:
    """The quotas by path, in the order of their paths level by level; none if the client has a chroot.

    Blocks for a round trip for each level, `PATIENCE` at most for each answer. What may not be read is left out.

    Raises:
        NoAuthError: the root of all quotas may not be read.
        KazooException: another read failed, other than for a znode that is gone.
        Exception: an answer did not come in time (the handler's timeout).
    """
    if client.chroot:
        # The client's paths begin inside of the chroot, and the quotas are outside.
        return {}
    quotas: dict[str, Quota] = {}
    if not client.get_children_async(ROOT).get(timeout=PATIENCE):
        return {}
    level, looked_at = [ROOT], 0
    while level and len(quotas) < MOST_QUOTAS and looked_at < MOST_ZNODES:
        level = level[: MOST_ZNODES - looked_at]
        looked_at += len(level)
        children = _answers([client.get_children_async(path) for path in level], [])
        limited = [path for path, names in zip(level, children, strict=True) if LIMITS in names]
        limited = limited[: MOST_QUOTAS - len(quotas)]
        texts = _answers([client.get_async(f"{path}/{name}") for path in limited for name in (LIMITS, STATS)], (b"",))
        for path, limits, stats in zip(limited, texts[::2], texts[1::2], strict=True):
            quotas[path.removeprefix(ROOT) or "/"] = parse(limits[0] or b"", stats[0] or b"")
        level = list(_below(level, children))
    return quotas


def parse(limits: bytes, stats: bytes) -> Quota:
    """A quota from the data of its two znodes; -1 is no limit."""
    limit = {name.decode(): int(number) for name, number in _NUMBER.findall(limits)}
    used = {name.decode(): int(number) for name, number in _NUMBER.findall(stats)}
    return Quota(
        nodes=used.get("count", 0),
        bytes=used.get("bytes", 0),
        nodes_limits=_given(soft=limit.get("count", -1), hard=limit.get("countHardLimit", -1)),
        bytes_limits=_given(soft=limit.get("bytes", -1), hard=limit.get("byteHardLimit", -1)),
    )


def _given(**limits: int) -> Mapping[str, int]:
    return {kind: number for kind, number in limits.items() if number >= 0}


def _below(level: Sequence[str], children: Sequence[Sequence[str]]) -> Iterator[str]:
    for path, names in zip(level, children, strict=True):
        yield from (f"{path}/{name}" for name in sorted(names) if name not in (LIMITS, STATS))


def _answers(asked: Sequence[Any], if_gone: Any) -> list[Any]:
    """The answers in order; `if_gone` for a znode that is gone, or may not be read."""
    found = []
    for answer in asked:
        try:
            found.append(answer.get(timeout=PATIENCE))
        except (NoNodeError, NoAuthError):
            found.append(if_gone)
    return found
