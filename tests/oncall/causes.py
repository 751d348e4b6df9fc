"""Causes: incidents, how to cause them, and how many notifications each may send. Both forms run this one table."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kazoo.client import KazooClient
from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from tests.oncall import ordinary
from tests.oncall.links import LateEnsemble
from tests.oncall.stage import TREES, Place
from tests.support import eventually

#: The operation of a freshness check, and the error of an overloaded server.
MULTI, THROTTLED = 14, -127
MINUTE = 60.0

Deed = Callable[[Place], None]


def nothing(place: Place) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class Cause:
    """A cause and its budget.

    `critical` and `in_all` are the maximum numbers of firing notifications, `within` the seconds after which the first
    expected one must arrive. `alerts` are the names of the allowed alerts: with `words`, which must be in its summary,
    the first is the expected one, otherwise any of them. A cause without `alerts` may send any, or none.
    """

    name: str
    #: What happens, for the table.
    says: str
    harm: Deed
    heal: Deed
    #: Seconds until it is healed, in the real and in the short form; None if that would take too long.
    lasts: float
    short: float | None
    critical: int
    in_all: int
    alerts: tuple[str, ...] = ()
    within: float | None = None
    #: What the summary of the first expected notification contains.
    words: str = ""
    severity: str | None = None
    #: Alerts that may fire only once it is healed.
    afterwards: tuple[str, ...] = ()
    #: For how long, in minutes of the rules, no critical notification may come.
    no_page_for: float = 0
    #: Minutes of the rules for which the trees must have existed before.
    history: float = 0
    #: Whether its alerts resolve soon after it is healed.
    resolves: bool = True
    own_ensemble: bool = False
    own_job: bool = False
    proxied: bool = False
    late: bool = False
    #: Whether it needs its own stage, with its own Prometheus.
    own_stage: bool = False
    tree: dict[str, Any] = field(default_factory=dict)
    #: How many znodes each tree has at the start.
    znodes: int = 40
    prepare: Deed = nothing


# Actions


def fill(place: Place, znodes: int) -> None:
    """Creates its two trees, with this number of persistent znodes each."""
    with place.client() as client:
        for tree in TREES:
            client.ensure_path(place.path(tree))
            create(client, [place.path(tree, f"znode-{number}") for number in range(znodes)])


def create(client: KazooClient, paths: list[str]) -> None:
    """Creates znodes, a few hundred at a time."""
    for start in range(0, len(paths), 250):
        transaction = client.transaction()
        for path in paths[start : start + 250]:
            transaction.create(path, b"0")
        for result in transaction.commit():
            if isinstance(result, Exception):
                raise result


def lose_quorum(place: Place) -> None:
    place.ensemble.lose_quorum()


def kill_follower(place: Place) -> None:
    ordinary.leader_last(place.ensemble)[0].kill()


def heal_ensemble(place: Place) -> None:
    ordinary.heal(place.ensemble)


def stall_leader(place: Place) -> None:
    leader = place.ensemble.leader
    place.stack.callback(leader.resume)
    leader.suspend()


def resume_leader(place: Place) -> None:
    place.stack.close()
    ordinary.heal(place.ensemble)


def pause_one(place: Place) -> None:
    place.replicas[0].process.send_signal(signal.SIGSTOP)


def resume_one(place: Place) -> None:
    place.replicas[0].process.send_signal(signal.SIGCONT)


def kill_one(place: Place) -> None:
    place.replicas[0].kill()


def kill_both(place: Place) -> None:
    for replica in place.replicas:
        replica.kill()


def start_one(place: Place) -> None:
    place.replicas[0].start()


def start_both(place: Place) -> None:
    for replica in place.replicas:
        replica.start()


def expire_one(place: Place) -> None:
    place.proxies[0].expire()


def expire_both_for_good(place: Place) -> None:
    for proxy in place.proxies:
        proxy.expire(and_refuse=True)


def cut_one_off(place: Place) -> None:
    place.proxies[0].refuse()
    place.proxies[0].cut()


def heal_proxies(place: Place) -> None:
    for proxy in place.proxies:
        proxy.refuse_requests(set(), 0, close=False)
        proxy.heal()


def refuse_checks(place: Place) -> None:
    for proxy in place.proxies:
        proxy.keeps_sessions = True
        proxy.refuse_requests({MULTI}, THROTTLED, close=False)


#: Bytes of a znode that fills memory: large, so that their number does not trigger the alert on growing trees.
_LARGE = 100_000
READER = ("reader", "right")
_OTHERS = [make_digest_acl("somebody", "else", all=True), make_acl("world", "anyone", write=True, admin=True)]


def set_acl(place: Place, paths: Iterable[str], acl: list[ACL]) -> None:
    """Changes the ACL of znodes, then their data. A session that may not read them gets no event for either."""
    with place.client() as client:
        # All at once: a reader would not learn of the rest before it looks again.
        changes = [(client.set_acls_async(path, acl), client.set_async(path, b"1")) for path in paths]
        for change in changes:
            for result in change:
                result.get(timeout=60)


def a_third(place: Place) -> list[str]:
    return [place.path("config", f"znode-{number}") for number in range(14)]


def lock_root(place: Place) -> None:
    set_acl(place, [place.path("config")], _OTHERS)


def unlock_root(place: Place) -> None:
    set_acl(place, [place.path("config")], OPEN_ACL_UNSAFE)


def lock_a_third(place: Place) -> None:
    set_acl(place, a_third(place), _OTHERS)


def unlock_a_third(place: Place) -> None:
    set_acl(place, a_third(place), OPEN_ACL_UNSAFE)


def lock_for_reader(place: Place) -> None:
    """Lets only one user read the trees, whose credentials the exporters have."""
    place.options = {"digest": [{"username": READER[0], "password": READER[1]}]}
    acl = [make_digest_acl(*READER, all=True), make_acl("world", "anyone", write=True, admin=True)]
    with place.client() as client:
        client.add_auth("digest", ":".join(READER))
        for tree in TREES:
            for name in client.get_children(place.path(tree)):
                client.set_acls(place.path(tree, name), acl)
            client.set_acls(place.path(tree), acl)


def load_wrong_password(place: Place) -> None:
    place.reload(digest=[{"username": READER[0], "password": "wrong"}])


def load_right_password(place: Place) -> None:
    place.reload(digest=[{"username": READER[0], "password": READER[1]}])


def delete_half(place: Place) -> None:
    with place.client() as client:
        names = sorted(client.get_children(place.path("config")))
        for name in names[: len(names) // 2]:
            client.delete(place.path("config", name))


def growing(place: Place, tree: str, in_an_hour: float) -> contextlib.AbstractContextManager[None]:
    """Creates znodes at a steady rate, given per hour of the rules."""
    pace = in_an_hour / place.form.seconds("1h")
    begun, made = time.monotonic(), 0

    def create_more(client: KazooClient) -> None:
        nonlocal made
        due = int((time.monotonic() - begun) * pace)
        create(client, [place.path(tree, f"more-{number}") for number in range(made, due)])
        made = due

    return place.repeating(0.2, create_more)


def grow(place: Place) -> None:
    """Makes the tree grow tenfold within an hour of the rules, until it is healed."""
    place.stack.enter_context(growing(place, tree="config", in_an_hour=9.5 * CAUSES["grown"].znodes))


def stop_growing(place: Place) -> None:
    place.stack.close()


def fill_memory(place: Place) -> None:
    """Limits an exporter to 1.5 times its memory, and fills that within ten minutes of the rules."""
    replica = place.replicas[0]
    used = replica.process.metric("process_resident_memory_bytes")
    replica.limit_memory(int(1.5 * used))
    pace = 0.5 * used / place.form.seconds("10m")
    begun, made = time.monotonic(), 0

    def create_more(client: KazooClient) -> None:
        nonlocal made
        due = int((time.monotonic() - begun) * pace / _LARGE)
        for number in range(made, due):
            client.create(place.path("config", f"large-{number}"), bytes(_LARGE))
        made = due

    place.stack.enter_context(place.repeating(0.2, create_more))


def unlimit_memory(place: Place) -> None:
    place.stack.close()
    place.replicas[0].limit_memory(None)


def connect_slowly(place: Place) -> None:
    """Delays each connection by more than a second, and cuts it as often as possible without flapping.

    Each window of ten minutes has at least two cuts of each of the two clients, also with a pause between the scrapes.
    """
    for proxy in place.proxies:
        proxy.answers_after = 1.5

    def cut(_: KazooClient) -> None:
        for proxy in place.proxies:
            proxy.cut()

    place.stack.enter_context(place.repeating(place.form.seconds("270s"), cut))


def connect_quickly(place: Place) -> None:
    place.stack.close()
    for proxy in place.proxies:
        proxy.answers_after = 0


def delay_links(place: Place) -> None:
    assert isinstance(place.ensemble, LateEnsemble)
    place.ensemble.delay(0.7)


def delay_links_a_little(place: Place) -> None:
    assert isinstance(place.ensemble, LateEnsemble)
    place.ensemble.delay(0.15)


def restore_links(place: Place) -> None:
    assert isinstance(place.ensemble, LateEnsemble)
    place.ensemble.delay(0)


def fail_engine(place: Place) -> None:
    place.replicas[0].process.send_signal(signal.SIGUSR2)


def make_wrong(place: Place) -> None:
    """Removes a znode from a cache until an audit finds that it is missing."""

    def found() -> bool:
        place.replicas[0].process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        metric = place.replicas[0].process.metric
        return metric("zookeeper_cache_audit_mismatches_total", ensemble=place.name) > 0

    eventually(found)


# The table

_TABLE = (
    Cause(
        "quorum_lost",
        "quorum lost for 6 min",
        lose_quorum,
        heal_ensemble,
        lasts=6 * MINUTE,
        short=40,
        critical=1,
        in_all=3,
        alerts=("TreeCacheQuorumLost",),
        severity="critical",
        within=90,
        words="ZooKeeper quorum_lost has no quorum: its servers close the connections",
        own_ensemble=True,
    ),
    Cause(
        "server_down",
        "one of three servers down for 9 min",
        kill_follower,
        heal_ensemble,
        lasts=9 * MINUTE,
        short=None,
        critical=1,
        in_all=1,
        alerts=("TreeCacheEnsembleQuorumAtRisk",),
        severity="critical",
        within=7.5 * MINUTE,
        words="ZooKeeper server_down loses its quorum with the next server: 1 of 3 with a vote",
        own_ensemble=True,
    ),
    Cause(
        "leader_stalls",
        "leader stalls for 20 s and heals",
        stall_leader,
        resume_leader,
        lasts=20,
        short=None,
        critical=0,
        in_all=1,
        own_ensemble=True,
    ),
    Cause(
        "replica_paused",
        "one replica paused for 7 min, the other fresh",
        pause_one,
        resume_one,
        lasts=7 * MINUTE,
        short=None,
        critical=1,
        in_all=1,
        alerts=("TreeCacheExporterAbsent",),
        severity="warning",
        within=120,
        words="another exporter holds the same trees",
        no_page_for=5,
        own_job=True,
    ),
    Cause(
        "replica_killed",
        "one replica killed, the other fresh",
        kill_one,
        start_one,
        lasts=7 * MINUTE,
        short=30,
        critical=1,
        in_all=1,
        alerts=("TreeCacheExporterAbsent",),
        severity="warning",
        within=120,
        words="another exporter holds the same trees",
        no_page_for=5,
        own_job=True,
    ),
    Cause(
        "replicas_gone",
        "the last replica gone",
        kill_both,
        start_both,
        lasts=5 * MINUTE,
        short=30,
        critical=1,
        in_all=2,
        alerts=("TreeCacheExporterAbsent",),
        severity="critical",
        within=120,
        words="no other exporter holds its trees",
        own_job=True,
    ),
    Cause(
        "expired_and_back",
        "a session expires, and is back in sync in 1 s",
        expire_one,
        nothing,
        lasts=2 * MINUTE,
        short=5,
        critical=0,
        in_all=1,
        alerts=("TreeCacheSessionLost",),
        severity="warning",
        within=60,
        words="the ensemble expired it",
        proxied=True,
    ),
    Cause(
        "expired_for_good",
        "the sessions of both replicas expire, and no server is reached for 5 min",
        expire_both_for_good,
        heal_proxies,
        lasts=5 * MINUTE,
        short=50,
        critical=1,
        in_all=2,
        alerts=("TreeCacheSessionLost", "TreeCacheClientDown"),
        within=60,
        words="the ensemble expired it",
        proxied=True,
    ),
    Cause(
        "cut_off",
        "one replica cut off for 5 min, the other fresh",
        cut_one_off,
        heal_proxies,
        lasts=5 * MINUTE,
        short=None,
        critical=0,
        in_all=3,
        alerts=("TreeCacheClientDown", "TreeCacheSessionMaybeExpired", "TreeCacheSessionLost"),
        afterwards=("TreeCacheSessionLost",),
        severity="warning",
        within=90,
        proxied=True,
    ),
    Cause(
        "wrong_password",
        "a wrong password is deployed",
        load_wrong_password,
        load_right_password,
        lasts=4 * MINUTE,
        short=20,
        critical=1,
        in_all=2,
        alerts=("TreeCacheUnreadableNodes",),
        severity="critical",
        within=60,
        words="the root among them",
        prepare=lock_for_reader,
    ),
    Cause(
        "root_locked",
        "the root becomes unreadable",
        lock_root,
        unlock_root,
        lasts=4 * MINUTE,
        short=None,
        critical=1,
        in_all=2,
        alerts=("TreeCacheUnreadableNodes",),
        severity="critical",
        within=60,
        words="the root among them",
    ),
    Cause(
        "third_locked",
        "a third of a tree becomes unreadable",
        lock_a_third,
        unlock_a_third,
        lasts=4 * MINUTE,
        short=30,
        critical=1,
        in_all=2,
        alerts=("TreeCacheUnreadableNodes",),
        severity="critical",
        within=60,
        words="14 of 41 znodes of third_locked /third_locked/config are unreadable",
    ),
    Cause(
        "halved",
        "half of a tree's persistent znodes deleted",
        delete_half,
        nothing,
        lasts=3 * MINUTE,
        short=None,
        critical=0,
        in_all=1,
        alerts=("TreeCacheNodesDropped",),
        severity="warning",
        within=3 * MINUTE,
        words="/halved/config lost",
        history=11,
    ),
    Cause(
        "grown",
        "a tree grows tenfold within the hour",
        grow,
        stop_growing,
        lasts=6 * MINUTE,
        short=None,
        critical=0,
        in_all=1,
        alerts=("TreeCacheNodesGrown",),
        severity="warning",
        within=5 * MINUTE,
        words="/grown/config grows fast",
        znodes=1000,
        history=7,
    ),
    Cause(
        "commits_slow",
        "commits take more than a second",
        delay_links,
        restore_links,
        lasts=6 * MINUTE,
        short=40,
        critical=0,
        in_all=1,
        alerts=("TreeCacheCommitsSlow",),
        severity="warning",
        within=3 * MINUTE,
        words="Commits in ZooKeeper commits_slow take",
        own_ensemble=True,
        late=True,
    ),
    Cause(
        "commits_slower",
        "commits take 50 times as long as in the hour before",
        delay_links_a_little,
        restore_links,
        lasts=15 * MINUTE,
        short=None,
        critical=0,
        in_all=1,
        alerts=("TreeCacheSlowerThanUsual",),
        severity="warning",
        within=13 * MINUTE,
        words="Commits in ZooKeeper commits_slower take",
        history=75,
        own_ensemble=True,
        late=True,
    ),
    Cause(
        "connects_slow",
        "every connection takes 1.5 s to be made",
        connect_slowly,
        connect_quickly,
        lasts=27 * MINUTE,
        short=None,
        critical=0,
        in_all=1,
        alerts=("TreeCacheConnectsSlow",),
        severity="warning",
        within=26 * MINUTE,
        words="Connecting to ZooKeeper connects_slow takes",
        proxied=True,
    ),
    Cause(
        "memory_full",
        "an exporter's memory grows towards its limit, and would reach it in ten minutes",
        fill_memory,
        unlimit_memory,
        lasts=8 * MINUTE,
        short=None,
        critical=0,
        in_all=1,
        alerts=("TreeCacheMemoryNearLimit",),
        severity="warning",
        within=5 * MINUTE,
        words="and will reach it within 1h",
        history=11,
        own_job=True,
        tree={"keep_data": True},
    ),
    Cause(
        "engine_failed",
        "the engine of one cache fails again and again",
        fail_engine,
        fail_engine,
        lasts=5 * MINUTE,
        short=25,
        critical=1,
        in_all=1,
        alerts=("TreeCacheFailed",),
        severity="critical",
        within=60,
        words="has failed and is not kept up to date",
    ),
    Cause(
        "copy_wrong",
        "a cache is wrong, and an audit finds it",
        make_wrong,
        nothing,
        lasts=MINUTE,
        short=5,
        critical=1,
        in_all=1,
        alerts=("TreeCacheAuditMismatch",),
        severity="critical",
        within=60,
        words="audits in the last 1h found",
        resolves=False,
        tree={"audit": {"interval": "2s", "sample": 0}},
    ),
    Cause(
        "checks_refused",
        "freshness checks fail in both replicas",
        refuse_checks,
        heal_proxies,
        lasts=5 * MINUTE,
        short=None,
        critical=1,
        in_all=3,
        alerts=("TreeCacheLag", "TreeCacheRequestErrors"),
        within=150,
        words="may be",
        proxied=True,
    ),
    Cause(
        "ordinary",
        "an ordinary hour",
        ordinary.live,
        nothing,
        lasts=0,
        short=0,
        critical=0,
        in_all=0,
        own_ensemble=True,
        own_job=True,
        own_stage=True,
        prepare=ordinary.prepare,
    ),
)

CAUSES = {cause.name: cause for cause in _TABLE}
