"""Shard: which first-level children of a root are one process's share, when several share the work."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True)
class Shard:
    """One of `total` shares, counted from 0.

    Rendezvous hashing (Thaler and Ravishankar, 1998): each share draws a number for a path, and the highest has it. So
    a path goes to another share only when its own is gone, or when a new one draws higher. The numbers depend on
    nothing but the path and the ordinal: they are the same in every process and every release.

    Raises:
        ValueError: there is no such share.
    """

    ordinal: int = 0
    total: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.ordinal < self.total:
            raise ValueError(f"of {self.total} shards none has the ordinal {self.ordinal}")

    def owns(self, path: str) -> bool:
        """Whether the first-level child at this absolute path, and with it all below it, belongs to this share."""
        return self.total == 1 or self.ordinal == max(range(self.total), key=lambda ordinal: _draw(path, ordinal))


def _draw(path: str, ordinal: int) -> bytes:
    return blake2b(f"{ordinal} {path}".encode(), digest_size=8).digest()
