"""Alerts about servers: what docs/alerting.md says that they need is what real servers of each release say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dashboards.prometheus.document import PATH
from exporter.servers.readings import readings
from exporter.telemetry.sources import ServerStats
from tests.rules.cases import Rule, groups, names
from tests.servers import known

RULES = [rule for group in groups() for rule in group["rules"]]
TEXT = PATH.read_text("utf-8")
#: Absent where nobody says it: then the servers that are polled count.
OPTIONAL = {"zk_quorum_size"}


def rows(begin: str) -> Iterator[list[str]]:
    """The cells of the table that begins with this row, without its head."""
    table = TEXT[TEXT.index(begin) :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def alerts(cell: str) -> list[str]:
    """The alerts that a cell names, in words that begin with their subject."""
    return [f"TreeCache{name}" for name in re.findall(r"\b(?:Ensemble|Server)[A-Z]\w+", cell)]


NEEDS = {row[0]: alerts(row[1]) for row in rows("| needs | alerts |")}


def numbers(name: str) -> set[str]:
    """The servers' numbers that an alert's rules use, directly or as recorded series."""
    wanted: list[Rule] = [rule for rule in RULES if rule.get("alert") == name]
    assert wanted, name
    for rule in wanted:
        wanted += [other for other in RULES if "record" in other and other not in wanted and names(rule["expr"], other)]
    return set(re.findall(r"(?<![\w:])zk_(?!host\b)\w+", " ".join(rule["expr"] for rule in wanted)))


def said(*servers: ServerStats) -> set[str]:
    """The names that servers give by default."""
    return {reading.name for server in servers for reading in readings(server, wants_all=False)}


OF_SRVR = said(*(known.by_srvr(release, "leader") for release in ("3.4.14", "3.9.5")))
OF_MNTR = {
    release: said(*(known.by_mntr(release, role) for role in ("leader", "follower")))
    for release in ("3.4.14", "3.6.3", "3.9.5")
}
GIVEN = {
    "any answer": {"zk_up", "zk_server_leader", "zk_server_state"},
    # Its clock is not a number of the answer, nor is whose connections there are.
    "AdminServer": set(),
    "AdminServer, or `cons` beside `mntr` or `srvr`": set(),
    "`srvr`, which each server allows": OF_SRVR,
    "`mntr` or AdminServer": OF_MNTR["3.4.14"],
    "one of them, from ZooKeeper 3.6 on": OF_MNTR["3.6.3"] & OF_MNTR["3.9.5"],
}


def test_each_alert_about_servers_says_what_it_needs() -> None:
    assert NEEDS.keys() == GIVEN.keys()
    about_servers = {
        rule["alert"] for rule in RULES if re.match("TreeCache(Server|Ensemble)[A-Z]", rule.get("alert", ""))
    }
    assert {name for names_ in NEEDS.values() for name in names_} == about_servers


@pytest.mark.parametrize("needs", GIVEN)
def test_what_an_alert_needs_is_enough(needs: str) -> None:
    for name in NEEDS[needs]:
        # The same alert about another size has its own row.
        missing = numbers(name) - GIVEN[needs] - OPTIONAL
        assert missing <= ({"zk_approximate_data_size"} if "SizeAhead" in name else set()), name


def test_what_needs_a_newer_release_says_so() -> None:
    for name in NEEDS["one of them, from ZooKeeper 3.6 on"]:
        assert numbers(name) - OF_MNTR["3.4.14"]


@pytest.mark.parametrize(
    "begin", ["| alert | limit | why this limit |\n|---|---|---|\n| EnsembleNoLeader", "| rule | of | here"]
)
def test_tables_name_alerts_that_exist(begin: str) -> None:
    exist = {rule["alert"] for rule in RULES if "alert" in rule}
    column = 2 if begin.startswith("| rule") else 0
    named = {
        f"TreeCache{name}" for row in rows(begin) for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+", row[column])
    }
    assert named
    assert named <= exist
