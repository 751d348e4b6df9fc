"""The rows of the page about the servers of an ensemble."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.pages.history import History
from exporter.pages.servers import SERVERS_SHOWN, servers_of
from exporter.pages.standing import Places
from exporter.pages.status import status
from exporter.telemetry.sources import EnsembleSource, ServerStats
from tests.servers import known
from tests.telemetry.known import ensemble


def shown(server: ServerStats) -> tuple[str, ...]:
    (row,) = servers_of("main", [server])
    return (row.role.text, row.role.level, row.version.text, row.latency.text, row.connections.text, row.problem.text)


def test_a_server_has_its_role_version_and_load() -> None:
    leader = known.by_mntr("3.9.5", "leader")
    assert shown(leader) == ("leader", "good", "3.9.5", "4.04 ms, at most 36 ms", "2", "")
    assert shown(known.by_srvr("3.6.3", "follower"))[:3] == ("follower", "good", "3.6.3")
    assert shown(known.by_admin("3.6.3"))[:3] == ("standalone", "good", "3.6.3")
    busy = replace(leader, numbers={**leader.numbers, "zk_outstanding_requests": 1200.0})
    assert shown(busy)[4] == "2, 1\u202f200 requests outstanding"


def test_why_a_server_or_a_better_source_cannot_be_asked() -> None:
    down = ServerStats("zk1:2181", False, problem="mntr: connection refused")
    assert shown(down) == ("no answer", "bad", "", "", "", "mntr: connection refused")
    without_quorum = ServerStats(
        "zk1:2181", False, reason="not_serving", problem="mntr: it says that it is not serving"
    )
    assert shown(without_quorum)[:2] == ("not serving", "bad")
    limited = replace(known.by_srvr("3.9.5", "follower"), problem="mntr: not in the whitelist")
    assert shown(limited)[0::5] == ("follower", "mntr: not in the whitelist")
    assert shown(ServerStats("zk1:2181", True, "ruok"))[:2] == ("answers", "good")
    assert shown(ServerStats("zk1:2181"))[:2] == ("not polled yet", "waiting")
    assert shown(ServerStats("zk1:2181", problem="not polled in time"))[:2] == ("unknown", "waiting")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_absurd_numbers_are_no_counts(number: float) -> None:
    numbers = dict.fromkeys(["zk_num_alive_connections", "zk_outstanding_requests", "zk_avg_latency"], number)
    assert shown(ServerStats("zk1:2181", True, "mntr", numbers))[4] == ""


def test_texts_of_a_server_are_shortened() -> None:
    texts = {"zk_server_state": "x" * 10_000, "zk_version": "y\n" * 10_000}
    row = shown(ServerStats("zk1:2181", True, "mntr", {}, texts, problem="z" * 10_000))
    assert all(len(text) < 500 and "\n" not in text for text in row)


def of(*servers: ServerStats) -> EnsembleSource:
    return replace(ensemble("main"), servers=known.Servers(*servers))


def test_the_page_has_the_servers_of_each_ensemble() -> None:
    history = History([of(known.by_mntr("3.9.5", "leader"), ServerStats("down:2181", False)), ensemble("other")])
    page = status(history, Places(5))
    rows = {one.name: [row.zk_host for row in one.servers] for one in page.ensembles}
    assert rows == {"main": ["leader:2181", "down:2181"], "other": []}
    (main,) = (one for one in page.ensembles if one.name == "main")
    assert main.servers[0].role.id in page.cells()
    # A server that is down is none of the exporter's own troubles.
    assert main.level == next(one.level for one in page.ensembles if one.name == "other")


def test_the_page_is_reloaded_when_there_are_other_servers() -> None:
    one, two = ServerStats("zk1:2181", True), ServerStats("zk2:2181", True)
    outlines = [status(History([of(*servers)]), Places(5)).outline() for servers in ([one], [one, two], [two, one])]
    assert outlines[0] != outlines[1] == outlines[2]


def test_of_many_servers_the_first_are_shown() -> None:
    many = [ServerStats(f"zk{number}:2181") for number in range(SERVERS_SHOWN + 7)]
    (main,) = status(History([of(*many)]), Places(5)).ensembles
    assert (len(main.servers), main.more_servers) == (SERVERS_SHOWN, 7)
