"""The pack for Patroni with Patroni: failovers to the other member, to none, and back."""

from __future__ import annotations

import contextlib
from pathlib import Path

from exporter.demo.server import ZooKeeperServer
from tests.support import eventually
from tests.systems.patroni import SCOPE, member
from tests.systems.program import LIMIT
from tests.systems.watching import Watch, watching


def leads(watch: Watch, name: str, changes: int) -> None:
    """Waits until a member is the leader, after so many changes."""
    watch.says("leader_info", {(SCOPE, name): 1}, "scope", "owner")
    watch.says("leader_owner_changes_total", {(SCOPE,): changes}, "scope")


def runs(watch: Watch, **roles: str) -> None:
    """Waits until these are the members, with these roles."""
    members: dict[tuple[str, ...], float] = {(SCOPE, name, role, "running"): 1 for name, role in roles.items()}
    watch.says("member_info", members, "scope", "member", "role", "state")
    watch.says("members", {(SCOPE,): len(roles)}, "scope")


def test_failovers(tmp_path: Path, server: ZooKeeperServer) -> None:
    with contextlib.ExitStack() as world:
        first, second = (world.enter_context(member(name, server.hosts)) for name in ("one", "two"))
        watch = world.enter_context(watching(tmp_path, server.hosts, "patroni"))
        first.start()
        leads(watch, "one", 0)
        watch.says("initialized", {(SCOPE,): 1}, "scope")
        second.start()
        runs(watch, one="primary", two="replica")
        # Nothing is written now.
        eventually(lambda: watch.series("wal_position_bytes") == {(): first.asked()["xlog"]["location"]}, LIMIT)
        watch.alerts()
        first.kill()
        leads(watch, "two", 1)
        runs(watch, two="primary")
        watch.alerts("PatroniMembersMissing")
        second.kill()
        watch.says("leader_info", {}, "scope", "owner")
        watch.says("members", {}, "scope")
        watch.says("initialized", {(SCOPE,): 1}, "scope")
        watch.alerts("PatroniLeaderMissing")
        # Whoever led last comes back as the leader, the other one as its replica.
        second.start()
        leads(watch, "two", 2)
        first.start()
        runs(watch, one="replica", two="primary")
        watch.alerts()
        first.stop()
        second.stop()
        watch.says("leader_info", {}, "scope", "owner")
