"""Shard: which first-level children of a root one process holds, when several processes share a tree."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True)
class Shard:
    """One of `total` shards, counted from 0.

    Rendezvous hashing (Thaler and Ravishankar, 1998): each shard draws a number for a path, and the highest number
    gets the path. So a path moves only when its shard is removed, or when a new shard draws a higher number. The
    numbers depend on the path and the ordinal alone: they are the same in every process and every release.

    Raises:
        ValueError: the ordinal is below 0, or not below the total.
    """

    ordinal: int = 0
    total: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.ordinal < self.total:
            raise ValueError(f"ordinal {self.ordinal} of {self.total} shards: must be at least 0 and below the total")

    def owns(self, path: str) -> bool:
        """Whether the first-level child at this absolute path, with all below it, belongs to this shard."""
        return self.total == 1 or self.ordinal == max(range(self.total), key=lambda ordinal: _draw(path, ordinal))


def _draw(path: str, ordinal: int) -> bytes:
    return blake2b(f"{ordinal} {path}".encode(), digest_size=8).digest()
