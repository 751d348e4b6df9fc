"""Conditions: everything that can be wrong with a tree or with an ensemble's connection, the worst first, in words.

The page, its headline, the probes and the log take their words from these tables alone, so that they agree. A tree in
none of the conditions is complete: every znode of the tree is in the cache and readable, and changes arrive.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.pages.format import brief, counted, human_bytes, human_count, human_duration, roughly
from exporter.treecache.stats import CacheStats
from exporter.views.limits.view import Weighed
from exporter.zookeeper.stats import ClientStats

#: From the best to the worst.
LEVELS = ("good", "waiting", "bad")
#: Seconds that a read may wait for its reply before the page reports it; the same for an event and its listeners.
STUCK_AFTER = 5.0
UNDELIVERED_AFTER = 10.0
#: Share of a tree's znodes that may be unreadable before the tree counts as bad; the paging alert has the same limit.
UNREADABLE_SHARE = 0.2
#: How many znodes near the size limit are named, and how many at most are logged.
NAMED, LOGGED = 3, 20
#: Without a quorum, servers close each new connection. A server that stops does that once or twice.
TURNED_AWAY = 3

_HOLDING = ("in_sync", "catching_up")


class Seen(NamedTuple):
    """A tree at one moment: the stats of its client and cache, the seconds since it was last verified, its sizes."""

    client: ClientStats
    tree: CacheStats
    unverified_for: float
    weighed: Weighed | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the staleness is above the limit; False if the tree has no limit."""
        return 0 < self.tree.stale_after < self.unverified_for

    @property
    def near_limit(self) -> Sequence[str]:
        """The absolute paths of some znodes whose data or list of children is near the limit, the largest first."""
        return () if self.weighed is None else largest(self.weighed.near, self.tree.path)

    @property
    def znodes(self) -> int:
        """The number of known znodes, unreadable ones included."""
        return sum(self.tree.nodes.values()) + self.tree.unreadable_nodes

    @property
    def unreadable_share(self) -> float:
        """The share of the znodes that are unreadable."""
        return self.tree.unreadable_nodes / (self.znodes or 1)

    @property
    def lacks_many(self) -> bool:
        """Whether the root is readable and too many other znodes are not."""
        return self.tree.root != "unreadable" and self.unreadable_share > UNREADABLE_SHARE


@dataclass(frozen=True)
class Condition:
    """Something that can be wrong with a tree.

    Attributes:
        name: what probes and the log call it.
        level: one of `LEVELS`.
        holds: whether a tree is in this condition.
        many: the headline's words for several such trees; they begin with a verb in the plural.
        detail: the words on the tree's own line, by default the name.
        alone: the headline's words for a single such tree, by default those of its line. Screen readers read the
            headline aloud at each change, so it must not change each second.
        runbook: the alert whose runbook says what to do; "" if there is none.
        is_of_connection: whether every outage of the connection causes it, which is reported for the ensemble already.
    """

    name: str
    level: str
    holds: Callable[[Seen], bool]
    many: str
    detail: Callable[[Seen], str] | None = None
    alone: Callable[[Seen], str] | None = None
    runbook: str = ""
    is_of_connection: bool = False

    def in_words(self, seen: Seen) -> str:
        """The words on the line of a tree in this condition."""
        return self.name if self.detail is None else self.detail(seen)

    def in_headline(self, seen: Seen) -> str:
        """The headline's words if this is the only tree in this condition."""
        return self.in_words(seen) if self.alone is None else self.alone(seen)


def _is_in(state: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.tree.state == state


def _failed(seen: Seen) -> str:
    since = f" {roughly(time.time() - seen.tree.failed_at)} ago" if seen.tree.failed_at else ""
    return f"engine failed{since}, restarting"


def _unreadable(seen: Seen) -> str:
    return f"{human_count(seen.tree.unreadable_nodes)} of {counted(seen.znodes, 'znode')} unreadable"


def _stale(seen: Seen) -> str:
    ago = f"last verified {roughly(seen.unverified_for)} ago" if seen.tree.verified_at else "never verified"
    return f"stale, {ago}"


def _near_limit(seen: Seen) -> str:
    assert seen.weighed is not None
    number, named = len(seen.weighed.near), ", ".join(brief(path) for path in seen.near_limit[:NAMED])
    more = f" and {human_count(number - NAMED)} more" if number > NAMED else ""
    return f"{counted(number, 'znode')} near the size limit of {human_bytes(seen.weighed.limit)}: {named}{more}"


def largest(sizes: Mapping[str, int], root: str) -> Sequence[str]:
    """The absolute paths of the largest of these, at most `LOGGED`; the given ones are below the root of the tree."""
    below = heapq.nlargest(LOGGED, sizes, key=sizes.__getitem__)
    return [f"{root.rstrip('/')}{path}" or "/" for path in below]


#: The conditions of a tree, the worst first.
CONDITIONS: Sequence[Condition] = (
    Condition(
        "failed",
        "bad",
        _is_in("failed"),
        "have failed and are being restarted",
        detail=_failed,
        runbook="TreeCacheFailed",
    ),
    Condition("closed", "bad", _is_in("closed"), "are closed", runbook="TreeCacheFailed"),
    Condition(
        "without a quorum",
        "bad",
        lambda seen: seen.tree.state == "disconnected" and situation_of(seen.client) == "turned_away",
        "are disconnected, as without a quorum",
        detail=lambda _: "disconnected, as without a quorum",
        runbook="TreeCacheQuorumLost",
        is_of_connection=True,
    ),
    Condition(
        "disconnected",
        "bad",
        lambda seen: (
            seen.tree.state == "disconnected" and situation_of(seen.client) not in ("connecting", "turned_away")
        ),
        "are disconnected",
        runbook="TreeCacheClientDown",
        is_of_connection=True,
    ),
    Condition(
        "root unreadable",
        "bad",
        lambda seen: seen.tree.root == "unreadable",
        "have an unreadable root",
        alone=lambda _: "root is unreadable",
        runbook="TreeCacheUnreadableNodes",
    ),
    Condition(
        "many znodes unreadable",
        "bad",
        lambda seen: seen.lacks_many,
        "are incomplete, {unreadable} of {znodes} unreadable",
        detail=_unreadable,
        runbook="TreeCacheUnreadableNodes",
    ),
    Condition(
        "waiting for a connection",
        "waiting",
        lambda seen: seen.tree.state == "disconnected" and situation_of(seen.client) == "connecting",
        "wait for a connection",
        runbook="TreeCacheClientDown",
        is_of_connection=True,
    ),
    Condition(
        "never complete",
        "waiting",
        lambda seen: (
            seen.tree.state in ("disconnected", "failed")
            and not seen.tree.was_complete
            and seen.client.state != "connecting"
        ),
        "were never complete",
        alone=lambda _: "was never complete",
        is_of_connection=True,
    ),
    Condition("loading", "waiting", _is_in("loading"), "are loading", runbook="TreeCacheNotInitialized"),
    Condition(
        "root missing",
        "waiting",
        lambda seen: seen.tree.root == "missing",
        "have no root in ZooKeeper",
        alone=lambda _: "root is missing",
    ),
    Condition(
        "znodes unreadable",
        "waiting",
        lambda seen: seen.tree.unreadable_nodes > (seen.tree.root == "unreadable") and not seen.lacks_many,
        "are incomplete, {unreadable} of {znodes} unreadable",
        detail=_unreadable,
        runbook="TreeCacheUnreadableNodes",
    ),
    Condition(
        "catching up",
        "waiting",
        _is_in("catching_up"),
        "are catching up",
        is_of_connection=True,
    ),
    Condition(
        "stale",
        "waiting",
        lambda seen: seen.tree.state in _HOLDING and seen.is_stale,
        "are stale, not verified recently",
        alone=_stale,
        runbook="TreeCacheLag",
    ),
    Condition(
        "read unanswered",
        "waiting",
        lambda seen: seen.tree.state in _HOLDING and seen.tree.oldest_operation_age > STUCK_AFTER,
        "wait for ZooKeeper to answer a read",
        detail=lambda seen: f"read unanswered for {human_duration(seen.tree.oldest_operation_age)}",
        alone=lambda seen: f"read unanswered for {roughly(seen.tree.oldest_operation_age)}",
        runbook="TreeCacheStuck",
    ),
    Condition(
        "events undelivered",
        "waiting",
        lambda seen: seen.tree.undelivered_for > UNDELIVERED_AFTER,
        "have listeners that do not take their events",
        detail=lambda seen: (
            f"{counted(seen.tree.undelivered_events, 'event')} undelivered for "
            f"{human_duration(seen.tree.undelivered_for)}"
        ),
        alone=lambda seen: f"listeners have taken no event for {roughly(seen.tree.undelivered_for)}",
        runbook="TreeCacheListenerSlow",
    ),
    Condition(
        "near the size limit",
        "waiting",
        lambda seen: bool(seen.near_limit),
        "have znodes near the size limit",
        detail=_near_limit,
        runbook="TreeCacheNearSizeLimit",
    ),
)


class Connection(NamedTuple):
    """The connection of an ensemble's client, in words.

    Attributes:
        level: one of `LEVELS`.
        words: on the ensemble's own line.
        one, many: the headline's words for one and for several such ensembles; "" if nothing is wrong.
        runbook: the alert whose runbook says what to do; "" if there is none.
    """

    level: str
    words: str
    one: str = ""
    many: str = ""
    runbook: str = ""


#: By what `situation_of` says.
CONNECTIONS = {
    "connecting": Connection("waiting", "connecting", "is connecting", "are connecting", "TreeCacheClientDown"),
    "connected": Connection("good", "connected"),
    "connected_ro": Connection(
        "waiting",
        "connected, read-only",
        "is connected to a read-only server, which may lack changes",
        "are connected to read-only servers, which may lack changes",
    ),
    "suspended": Connection(
        "bad", "connection suspended", "is disconnected", "are disconnected", "TreeCacheClientDown"
    ),
    "lost": Connection("bad", "session lost", "is disconnected", "are disconnected", "TreeCacheClientDown"),
    "turned_away": Connection(
        "bad",
        "disconnected: servers close each new connection, as without a quorum",
        "is disconnected: its servers close each new connection, as without a quorum",
        "are disconnected: their servers close each new connection, as without a quorum",
        "TreeCacheQuorumLost",
    ),
}


#: Why attempts to connect failed, by `FAILURE_REASONS`.
_FAILED_ATTEMPTS = {
    "dns": "name not resolved",
    "refused": "refused",
    "timeout": "timed out",
    "tls": "TLS failed",
    "auth": "authentication failed",
    "hung_up": "closed by the server, as without a quorum",
    "other": "failed",
}


def situation_of(client: ClientStats) -> str:
    """The client's state; `turned_away` while it has no connection because servers close each new one."""
    is_turned_away = client.server is None and client.failed_attempts.get("hung_up", 0) >= TURNED_AWAY
    return "turned_away" if is_turned_away else client.state


def attempts_in_words(failed: Mapping[str, int]) -> str:
    """How often and why attempts to connect failed; `failed` counts them by `FAILURE_REASONS`."""
    return ", ".join(f"{_FAILED_ATTEMPTS[reason]} ({human_count(number)})" for reason, number in failed.items())


def found_in(seen: Seen) -> list[Condition]:
    """The conditions of a tree, the worst first; none for a complete tree."""
    return [condition for condition in CONDITIONS if condition.holds(seen)]


def level_of(conditions: Sequence[Condition]) -> str:
    """The level of a tree in these conditions."""
    return max((condition.level for condition in conditions), key=LEVELS.index, default="good")
