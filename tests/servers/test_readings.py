"""The names, labels and types of the servers' numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from exporter.servers.names import LISTED
from exporter.servers.readings import Reading, readings, version_of
from exporter.telemetry.sources import ServerStats
from tests.servers import known, recorded
from tests.servers.recorded import RELEASES

Series = tuple[str, tuple[tuple[str, str], ...]]


def series(server: ServerStats, wants_all: bool = False) -> dict[Series, float]:
    """The value of each sample of a server."""
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in readings(server, wants_all)}


def plain(server: ServerStats, wants_all: bool = False) -> dict[str, float]:
    """The value of each sample without labels."""
    return {name: value for (name, labels), value in series(server, wants_all).items() if not labels}


def of_numbers(numbers: Mapping[str, float], wants_all: bool = True) -> list[Reading]:
    """The samples of a server that says these numbers, without those that each server has."""
    server = ServerStats("zk:2181", True, "mntr", numbers)
    return [reading for reading in readings(server, wants_all) if reading.name not in ("zk_up", "zk_ruok")]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_number_keeps_the_name_that_mntr_gives_it(release: str, role: str) -> None:
    server = known.by_mntr(release, role)
    given = {
        name: value for name, value in server.numbers.items() if not re.search("_[0-9]_learner|per_namespace", name)
    }
    assert given.items() <= plain(server, wants_all=True).items()
    listed = {f"zk_{number.name}" for number in LISTED}
    assert {name: value for name, value in given.items() if name in listed}.items() <= plain(server).items()


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_releases_and_sources_give_the_same_names_where_they_have_the_number(role: str) -> None:
    oldest = plain(known.by_mntr("3.4.14", role)).keys()
    assert oldest - {"zk_fsync_threshold_exceed_count"} <= plain(known.by_mntr("3.6.3", role)).keys()
    assert plain(known.by_mntr("3.6.3", role)).keys() <= plain(known.by_mntr("3.9.5", role)).keys()
    for release in RELEASES:
        assert plain(known.by_srvr(release, role)).keys() <= plain(known.by_mntr(release, role)).keys()


@pytest.mark.parametrize("release", ["3.6.3", "3.9.5"])
def test_adminserver_gives_the_names_of_mntr(release: str) -> None:
    of_quorum = {"zk_quorum_size", "zk_synced_observers"}
    assert (
        plain(known.by_mntr(release, "follower")).keys() - of_quorum
        == plain(known.by_admin(release)).keys() - of_quorum
    )


def test_the_list_has_about_sixty_names() -> None:
    names = [number.name for number in LISTED]
    assert len(set(names)) == len(names)
    assert 55 <= len(names) <= 65
    assert 60 < len(series(known.by_mntr("3.9.5", "leader"))) < 220
    said = {name.removeprefix("zk_") for release in RELEASES for name in plain(known.by_mntr(release, "leader"), True)}
    made = {base for name in said if (base := name.removeprefix("cnt_")) != name}
    # Each is a number of a real server, and none is a mistake in writing.
    assert set(names) <= said | made


def test_every_help_text_names_the_unit_and_the_source() -> None:
    for number in LISTED:
        assert re.fullmatch(rf"[A-Z].*; ZooKeeper's {number.name}\.", number.help)
        assert (f", in {number.unit};" in number.help) == bool(number.unit)
    for reading in readings(known.by_mntr("3.9.5", "leader"), wants_all=True):
        assert re.fullmatch(r"[A-Z0-9][^\n]+\.", reading.family.help), reading.family.name


def test_what_is_no_number_of_mntr() -> None:
    leader, follower = (series(known.by_mntr("3.9.5", role)) for role in ("leader", "follower"))
    assert leader["zk_up", ()] == leader["zk_ruok", ()] == leader["zk_server_leader", ()] == 1
    assert leader["zk_server_state", (("state", "leader"),)] == 1
    assert follower["zk_server_leader", ()] == 0
    assert follower["zk_server_state", (("state", "follower"),)] == 1
    revision = ("revision", "293c895a8d966a3ecb92872be4a1daf87d725da2")
    assert follower["zk_version", (revision, ("version", "3.9.5"))] == 1
    assert plain(known.by_admin("3.9.5"))["zk_server_leader"] == 1
    peer = ("zk_peer_state", (("state", "leading - broadcast"),))
    assert peer not in leader
    assert series(known.by_mntr("3.9.5", "leader"), wants_all=True)[peer] == 1


#: The metrics that the panels and variables of Grafana's dashboard 11442 ask for.
DASHBOARD_11442 = """
    approximate_data_size avg_latency ephemerals_count max_file_descriptor_count max_latency min_latency
    num_alive_connections open_file_descriptor_count outstanding_requests packets_received packets_sent server_leader up
    version watch_count znode_count
"""
#: Those that awesome-prometheus-alerts' rules for ZooKeeper ask for.
PUBLIC_RULES = "ruok server_leader up"


@pytest.mark.parametrize("release", RELEASES)
def test_dashboards_and_rules_for_mntr_find_their_metrics(release: str) -> None:
    for role in ("leader", "follower"):
        found = {name for name, _ in series(known.by_mntr(release, role))}
        assert {f"zk_{name}" for name in f"{DASHBOARD_11442} {PUBLIC_RULES}".split()} <= found


@pytest.mark.parametrize(
    ("text", "version", "revision"),
    [
        ("3.6.3--6401e4ad2087061bc6b9f80dec2d69f2e3c8660a, built on 04/08/2021 16:35 GMT", "3.6.3", "6401e4ad2087"),
        ("3.4.6-78--1, built on 12/06/2015", "3.4.6", "78--1"),
        ("3.8.0", "3.8.0", ""),
        ("", "", ""),
    ],
)
def test_versions(text: str, version: str, revision: str) -> None:
    found = version_of(ServerStats("zk:2181", True, texts={"zk_version": text}))
    assert (found[0], found[1][:12]) == (version, revision)


def test_a_server_that_does_not_answer_is_down_and_nothing_else() -> None:
    assert series(ServerStats("zk:2181", False)) == {("zk_up", ()): 0}
    assert series(ServerStats("zk:2181")) == {}


def test_a_server_that_allows_ruok_alone_or_nothing_is_up() -> None:
    assert (
        plain(ServerStats("zk:2181", True, "ruok")) == plain(ServerStats("zk:2181", True)) == {"zk_up": 1, "zk_ruok": 1}
    )


def test_summaries_have_the_names_of_zookeepers_endpoint_too() -> None:
    server = known.by_mntr("3.9.5", "leader")
    found = series(server)
    for statistic, quantile in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"), ("p999", "0.999")):
        value = server.numbers[f"zk_{statistic}_updatelatency"]
        assert (
            found["zk_updatelatency", (("quantile", quantile),)] == found[f"zk_{statistic}_updatelatency", ()] == value
        )
    assert found["zk_updatelatency_count", ()] == found["zk_cnt_updatelatency", ()] > 0
    assert found["zk_updatelatency_sum", ()] == found["zk_sum_updatelatency", ()] > 0
    assert found["zk_avg_updatelatency", ()] == server.numbers["zk_avg_updatelatency"]
    # One without quantiles.
    assert found["zk_election_time_count", ()] == server.numbers["zk_cnt_election_time"] > 0
    # What looks like a statistic and is none.
    assert ("zk_avg_latency", ()) in found
    assert ("zk_latency", ()) not in found


def test_a_leaders_learners_have_both_names() -> None:
    for release in RELEASES:
        leader = plain(known.by_mntr(release, "leader"))
        assert leader["zk_followers"] == leader["zk_learners"] == 1
        assert not {"zk_followers", "zk_learners"} & plain(known.by_mntr(release, "follower")).keys()


def test_no_znode_and_no_servers_number_is_in_a_name() -> None:
    leader = known.by_mntr("3.9.5", "leader")
    assert any("services" in name for name in leader.numbers)
    found = series(leader, wants_all=True)
    assert not [name for name, _ in found if "services" in name or re.search("_[0-9]+_", name)]
    services = (("key", "services"),)
    assert found["zk_quota_count_limit_per_namespace", services] == 1000
    assert (
        found["zk_quota_bytes_usage_per_namespace", services]
        == leader.numbers["zk_services_quota_bytes_usage_per_namespace"]
    )
    assert found["zk_cnt_write_per_namespace", services] == found["zk_write_per_namespace_count", services] > 0
    assert found["zk_read_per_namespace_sum", (("key", "zookeeper"),)] >= 0
    assert found["zk_learner_handler_qp_time_ms", (("key", "1"), ("quantile", "0.99"))] >= 0
    assert not [name for name, _ in series(leader) if "namespace" in name or "learner_handler" in name]


@given(st.text(min_size=1).filter(lambda name: "\t" not in name and "\n" not in name))
def test_whatever_a_znode_is_called_its_name_is_a_label(znode: str) -> None:
    numbers = {
        f"zk_{znode}_quota_count_limit_per_namespace": 1.0,
        f"zk_{znode}_quota_exceeded_error_per_namespace": 2.0,
        f"zk_avg_{znode}_read_per_namespace": 3.0,
        f"zk_cnt_{znode}_write_per_namespace": 4.0,
    }
    found = {(one.name, one.value, one.labels["key"]) for one in of_numbers(numbers) if "quantile" not in one.labels}
    assert found == {
        ("zk_quota_count_limit_per_namespace", 1, znode),
        ("zk_quota_exceeded_error_per_namespace", 2, znode),
        ("zk_avg_read_per_namespace", 3, znode),
        ("zk_cnt_write_per_namespace", 4, znode),
        ("zk_write_per_namespace_count", 4, znode),
    }


def test_a_number_of_a_znode_that_is_not_known_is_left_out() -> None:
    assert of_numbers({"zk_services_news_per_namespace": 1, "zk_p50_services_news_per_namespace": 1}) == []


def test_a_quorums_latency_is_not_that_of_a_server() -> None:
    assert {one.name for one in of_numbers({"zk_avg_quorum_ack_latency": 1, "zk_cnt_quorum_ack_latency": 2})} == {
        "zk_avg_quorum_ack_latency",
        "zk_cnt_quorum_ack_latency",
        "zk_quorum_ack_latency_count",
    }
    (reading,) = of_numbers({"zk_avg_3_ack_latency": 1})
    assert (reading.name, reading.labels) == ("zk_avg_ack_latency", {"key": "3"})


#: What `mntr` says when ZooKeeper's own Prometheus endpoint is on (``PrometheusMetricsProvider.dump``).
OF_ENDPOINT = {
    "zk_znode_count": 5,
    'zk_readlatency{quantile="0.5"}': 1,
    'zk_readlatency{quantile="0.9"}': 2,
    'zk_readlatency{quantile="0.99"}': 3,
    "zk_readlatency_count": 7,
    "zk_readlatency_sum": 9,
    'zk_fsynctime{quantile="0.5"}': float("nan"),
    "zk_fsynctime_count": 0,
    "zk_fsynctime_sum": 0,
    'zk_write_per_namespace{key="services",quantile="0.5"}': 4,
    'zk_write_per_namespace_count{key="services"}': 5,
    'zk_write_per_namespace_sum{key="services"}': 6,
    'zk_jvm_memory_bytes_used{area="heap"}': 8,
    'zk_quota_count_limit_per_namespace{key="services"}': 10,
    'zk_odd{zk_host="other:1",ensemble="other"}': 11,
    'zk_odd{__name__="up"}': 12,
    'zk_odd{key="a"b"}': 13,
}


def test_a_server_with_its_own_endpoint_has_the_names_of_mntr_too() -> None:
    found = series(ServerStats("zk:2181", True, "mntr", OF_ENDPOINT))
    assert found["zk_cnt_readlatency", ()] == found["zk_readlatency_count", ()] == 7
    assert found["zk_sum_readlatency", ()] == found["zk_readlatency_sum", ()] == 9
    assert found["zk_p50_readlatency", ()] == found["zk_readlatency", (("quantile", "0.5"),)] == 1
    assert found["zk_p99_readlatency", ()] == 3
    assert found["zk_readlatency", (("quantile", "0.9"),)] == 2
    assert found["zk_cnt_fsynctime", ()] == 0
    everything = series(ServerStats("zk:2181", True, "mntr", OF_ENDPOINT), wants_all=True)
    assert everything["zk_cnt_write_per_namespace", (("key", "services"),)] == 5
    assert everything["zk_write_per_namespace_sum", (("key", "services"),)] == 6
    assert everything["zk_jvm_memory_bytes_used", (("area", "heap"),)] == 8
    assert everything["zk_quota_count_limit_per_namespace", (("key", "services"),)] == 10
    assert not [labels for name, labels in everything if name == "zk_odd" and dict(labels).keys() & {"__name__", "key"}]


def scrape(*servers: ServerStats, wants_all: bool = False) -> str:
    return known.plain(known.registry_of_servers(known.ensemble("main", *servers, wants_all=wants_all)))


def test_no_server_can_claim_to_be_another() -> None:
    text = scrape(ServerStats("zk:2181", True, "mntr", OF_ENDPOINT), wants_all=True)
    assert 'zk_odd{ensemble="main",zk_host="zk:2181"} 11.0' in text


@pytest.mark.parametrize("wants_all", [False, True])
def test_each_sample_comes_once_whatever_a_server_says(wants_all: bool) -> None:
    numbers = dict.fromkeys(
        ["zk_up", "zk_ruok", "zk_cnt_a", "zk_sum_a", "zk_a_count", "zk_a", "zk_p50_a", "zk_zk_a", "zk_server_leader"],
        5.0,
    )
    text = scrape(ServerStats("zk:2181", True, "mntr", {**OF_ENDPOINT, **numbers}), wants_all=wants_all)
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))
    assert "zk_up 5" not in text
    list(parse_plain(text))


def test_counters_keep_their_names() -> None:
    registry = known.registry()
    text = known.plain(registry)
    assert "# TYPE zk_packets_received counter\n" in text
    assert "# TYPE zk_cnt_fsynctime counter\n" in text
    assert "# TYPE zk_avg_latency gauge\n" in text
    assert "# TYPE zk_fsynctime summary\n" in text
    assert not re.search(r"untyped|zk_\w+_total", text)
    # OpenMetrics has no counter without that suffix.
    assert "# TYPE zk_packets_received unknown\n" in known.openmetrics(registry)


def test_some_can_be_asked_for_by_name() -> None:
    text = known.plain(known.registry(), "zk_packets_received", "zk_fsynctime_count")
    assert re.findall("# TYPE (.*)", text) == ["zk_packets_received counter", "zk_fsynctime summary"]
    names = {line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert names == {"zk_packets_received", "zk_fsynctime_count"}


@pytest.mark.parametrize("release", RELEASES)
def test_a_scrape_of_everything_can_be_parsed(release: str) -> None:
    registry = known.registry_of_servers(known.ensemble("main", known.by_mntr(release, "leader"), wants_all=True))
    families = {family.name: family for family in parse_openmetrics(known.openmetrics(registry))}  # type: ignore[no-untyped-call]
    assert families["zk_znode_count"].type == "gauge"
    list(parse_plain(known.plain(registry)))


def test_recorded_answers_are_of_these_releases() -> None:
    assert {path.name for path in recorded.ANSWERS.iterdir()} == set(RELEASES)
