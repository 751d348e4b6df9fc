"""Plan: one schedule as data, drawn from a seed: the kind of server and replica, and the steps.

Steps refer to their targets by numbers, modulo the number of targets, so a plan remains valid without some of its
steps, and a failing one can be made small.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from exporter.treecache.shard import Shard

Step = tuple[str, int, int]

#: How often each step is drawn, by kind: changes, messages and time, and faults.
WRITES = {
    "create": 10,
    "create_deep": 3,
    "create_wide": 2,
    "set": 8,
    "delete": 5,
    "delete_all": 2,
    "create_again": 4,
    "delete_root": 1,
    "create_root": 2,
    "create_ephemeral": 2,
    "end_ephemerals": 1,
    "multi": 2,
    "hide": 1,
    "show": 2,
}
COURSE = {
    "deliver": 20,
    "take": 18,
    "execute": 22,
    "turn": 14,
    "hold": 4,
    "release": 5,
    "delay": 3,
    "arrive_late": 3,
    "poll": 1,
    "barrier": 4,
    "verify": 2,
    "tick": 4,
    "catch_up": 6,
    "settle": 1,
    "inform": 3,
    "forget_inquiry": 1,
}
FAULTS = {
    "cut": 4,
    "expire": 1,
    "connect": 4,
    "restore": 1,
    "fail": 2,
    "spoil": 2,
    "stray": 3,
    "lose": 1,
    "mislead": 1,
    "change_server": 1,
    "poison": 3,
    "swap": 1,
    "stumble": 1,
}

#: The number of ways in which a session finds out, or fails to find out, what its server supports.
HESITATIONS = 1 << 15

_LONGEST = 48
_ARGUMENT = 1 << 16


class Options(NamedTuple):
    """The kind of server and replica of a schedule."""

    root: str = "/app"
    mode: str = "recursive"
    batch_size: int = 1024
    window: int = 4
    keep_data: bool = True
    selects: bool = False
    max_depth: int | None = None
    max_nodes_per_second: float | None = None
    freshness_interval: float | None = None
    audit_interval: float | None = None
    audit_sample: int = 0
    knows_recursive: bool = True
    closes_after_refusal: bool = False
    reports_unreadable: bool = False
    one_mode_a_path: bool = False
    hesitation: int = 0
    shard: Shard | None = None
    #: The state before the first step: an "empty" root, a "tree" below it, or that tree "loaded".
    begins: str = "empty"
    #: Whether there are glances between audits; they cover such a small tree completely.
    glances: bool = False
    #: Whether a short turn follows messages before the next step, as on the connection's thread.
    prompt: bool = False
    #: Whether all children of a znode wait as a family, however few they are.
    families: bool = False

    def unusual(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}


class Plan(NamedTuple):
    """The options and steps of one schedule."""

    options: Options
    steps: list[Step]

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.unusual().items())
        steps = "".join(f"        {step!r},\n" for step in self.steps)
        return f"Plan(\n    Options({options}),\n    [\n{steps}    ],\n)"


def draw(seed: int) -> Plan:
    """The plan of a seed.

    Each seed leaves out some kinds of steps and draws others more often, so that plans differ more than by chance.
    """
    random = Random(seed)
    kinds, weights = zip(*_draw_weights(random), strict=True)
    length = random.randint(4, _LONGEST)
    chosen = random.choices(kinds, weights, k=length)
    steps = [(kind, int(random.random() * _ARGUMENT), int(random.random() * _ARGUMENT)) for kind in chosen]
    return Plan(_draw_options(random), steps)


def _draw_weights(random: Random) -> Iterator[tuple[str, float]]:
    quiet = random.random() < 0.15
    for table, kept in ((WRITES, 0.7), (COURSE, 0.85), (FAULTS, 0.0 if quiet else 0.45)):
        for kind, weight in table.items():
            if kind in ("create", "turn") or random.random() < kept:
                yield kind, weight * random.choice((0.5, 1, 2))


def _draw_options(random: Random) -> Options:
    def rarely(probability: float) -> bool:
        return random.random() < probability

    return Options(
        root=random.choice(("/app", "/app", "/app", "/", "/deep/er")),
        mode=random.choice(("recursive", "recursive", "classic", "classic", "auto")),
        batch_size=random.choice((1, 2, 3, 5, 1024)),
        window=random.choice((1, 2, 4)),
        keep_data=not rarely(0.1),
        selects=rarely(0.2),
        max_depth=random.choice((0, 1, 2)) if rarely(0.1) else None,
        max_nodes_per_second=random.choice((3, 20, 100)) if rarely(0.1) else None,
        knows_recursive=not rarely(0.15),
        closes_after_refusal=rarely(0.7),
        reports_unreadable=rarely(0.3),
        one_mode_a_path=rarely(0.5),
        hesitation=random.randrange(1, HESITATIONS) if rarely(0.4) else 0,
        begins=random.choice(("empty", "tree", "loaded", "loaded")),
        freshness_interval=30.0 if rarely(0.7) else None,
        audit_interval=30.0 if rarely(0.5) else None,
        audit_sample=random.choice((0, 0, 2)),
        shard=random.choice((Shard(0, 2), Shard(0, 3), Shard(1, 2))) if rarely(0.25) else None,
        glances=rarely(0.5),
        prompt=rarely(0.5),
        families=rarely(0.5),
    )
