"""What is read from the answers of real servers, and from those that no server should give."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.servers.answers import Answer, check_ruok, parse_mntr, parse_monitor, parse_srvr
from exporter.servers.failures import PollError
from tests.servers import recorded
from tests.servers.recorded import RELEASES

ROLES = ("leader", "follower")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", ROLES)
def test_every_line_of_mntr_is_read(release: str, role: str) -> None:
    said = recorded.text(release, f"mntr.{role}")
    answer = parse_mntr(said)
    assert answer.malformed == 0
    assert len(answer.numbers) + len(answer.texts) == len(said.splitlines())
    assert answer.texts["zk_server_state"] == role
    assert answer.texts["zk_version"].startswith(release)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", ROLES)
def test_srvr_has_some_of_the_numbers_of_mntr_under_their_names(release: str, role: str) -> None:
    mntr, srvr = parse_mntr(recorded.text(release, f"mntr.{role}")), parse_srvr(recorded.text(release, f"srvr.{role}"))
    assert srvr.malformed == 0
    assert srvr.texts.items() <= mntr.texts.items()
    assert srvr.numbers.keys() <= mntr.numbers.keys()
    # They were asked one after the other, on connections that count as packets.
    moved = {"zk_packets_received", "zk_packets_sent"}
    for name in srvr.numbers.keys() - moved:
        assert srvr.numbers[name] == mntr.numbers[name], name
    for name in moved:
        assert 0 <= srvr.numbers[name] - mntr.numbers[name] <= 3
    assert len(srvr.numbers) == (11 if role == "leader" else 8)


@pytest.mark.parametrize("release", ["3.6.3", "3.9.5"])
def test_adminserver_has_the_names_of_mntr(release: str) -> None:
    mntr = parse_mntr(recorded.text(release, "mntr.follower"))
    monitor = parse_monitor(200, recorded.json(release, "admin.monitor"))
    assert monitor.malformed == 0
    assert monitor.texts["zk_version"] == mntr.texts["zk_version"]
    assert monitor.texts["zk_server_state"] == "standalone"
    # What it lacks is about the quorum, and about znodes that only the ensemble has.
    lacking = {name for name in mntr.numbers.keys() - monitor.numbers.keys() if "per_namespace" not in name}
    assert lacking == {"zk_quorum_size", "zk_synced_observers", "zk_observer_master_id"} & mntr.numbers.keys()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("parse", [parse_mntr, parse_srvr])
def test_a_server_without_a_quorum_says_so(release: str, parse: object) -> None:
    assert reason_of(parse, recorded.text(release, "mntr.not_serving")) == "not_serving"
    check_ruok(recorded.text(release, "ruok.not_serving"))


@pytest.mark.parametrize("release", ["3.6.3", "3.9.5"])
def test_a_word_that_is_not_allowed_is_refused(release: str) -> None:
    assert reason_of(parse_mntr, recorded.text(release, "mntr.not_allowed")) == "not_allowed"
    assert reason_of(check_ruok, recorded.text(release, "ruok.not_allowed")) == "not_allowed"


def reason_of(parse: object, *answer: object) -> str:
    assert callable(parse)
    with pytest.raises(PollError) as caught:
        parse(*answer)
    return caught.value.reason


def test_a_malformed_line_costs_that_line() -> None:
    said = "zk_a\t1\nno tab\n\tno name\nzk_\t1\nother\t2\nzk_b\tmany\nzk_c\t\nzk_d\t1_0\nzk_e\t0x1\nzk_f\t-2.5\n"
    assert parse_mntr(said) == Answer({"zk_a": 1.0, "zk_f": -2.5}, malformed=8)
    said = "Mode: follower\nLatency min/avg/max: 0/x/2\nReceived: \nSent: 4\nSomething else\nNode count: 1/2\n"
    expected = Answer(
        {"zk_min_latency": 0, "zk_max_latency": 2, "zk_packets_sent": 4}, {"zk_server_state": "follower"}, 4
    )
    assert parse_srvr(said) == expected


@pytest.mark.parametrize("parse", [parse_mntr, parse_srvr])
def test_an_answer_that_is_cut_short_does_not_count(parse: object) -> None:
    said = recorded.text("3.9.5", "mntr.leader" if parse is parse_mntr else "srvr.leader")
    assert reason_of(parse, said[:-3]) == "not_serving"


def test_numbers_are_those_that_java_writes() -> None:
    written = {"1.0E10": 1e10, "1.5E-7": 1.5e-7, "Infinity": float("inf"), "-Infinity": float("-inf"), "-1": -1}
    assert parse_mntr("".join(f"zk_{i}\t{text}\n" for i, text in enumerate(written))).numbers == {
        f"zk_{i}": value for i, value in enumerate(written.values())
    }
    assert str(parse_mntr("zk_nan\tNaN\n").numbers["zk_nan"]) == "nan"


def test_a_gauge_without_a_value_is_no_mistake() -> None:
    assert parse_mntr("zk_a\tnull\nzk_b\t1\n") == Answer({"zk_b": 1.0})
    assert parse_monitor(200, b'{"a": null, "b": 1, "c": true}') == Answer({"zk_b": 1.0})


def test_a_read_only_server_has_a_line_more() -> None:
    said = "Zookeeper version: READ-ONLY mode; serving only read-only clients\n" + recorded.text(
        "3.9.5", "srvr.standalone"
    )
    assert parse_srvr(said.replace("standalone", "read-only")).texts["zk_server_state"] == "read-only"
    assert parse_srvr(said).malformed == 0


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            200,
            b'{"command": "monitor", "error": "This ZooKeeper instance is not currently serving requests"}',
            "not_serving",
        ),
        (
            503,
            b'{"command": "monitor", "error": "This ZooKeeper instance is not currently serving requests"}',
            "not_serving",
        ),
        (200, b'{"command": "monitor", "error": "Unknown command: monitor"}', "other"),
        (401, b"", "not_allowed"),
        (403, b"<html>", "not_allowed"),
        (404, b"<html>", "other"),
        (200, b"<html>", "other"),
        (200, b"[1]", "other"),
        (200, b"{}", "other"),
        (200, b'{"command": "monitor", "error": null}', "other"),
        (200, b"[" * 100_000, "other"),
        (200, b"\xff", "other"),
        (0, b"", "other"),
    ],
)
def test_an_answer_of_adminserver_without_numbers_is_a_failure(status: int, body: bytes, reason: str) -> None:
    assert reason_of(parse_monitor, status, body) == reason


def test_an_unknown_command_of_a_real_adminserver() -> None:
    assert reason_of(parse_monitor, 200, recorded.json("3.9.5", "admin.nothing")) == "other"


def test_numbers_of_json_may_be_in_quotes_or_absurd() -> None:
    body = {"a": "NaN", "b": "many", "c": [1], "d": {"e": 1}, "f": 10**400, "g": 1e300, "h": 2}
    answer = parse_monitor(200, json.dumps(body).encode())
    assert answer.numbers.keys() == {"zk_a", "zk_g", "zk_h"}
    assert answer.malformed == 3


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    for parse in (parse_mntr, parse_srvr, check_ruok):
        with contextlib.suppress(PollError):
            parse(text)


@given(st.integers(0, 999), st.binary() | st.from_regex(rb'\{("[a-z]": ([0-9.eE+-]+|"[^"\\]*"|null|\[\]),? ?)*\}'))
def test_no_body_is_too_odd(status: int, body: bytes) -> None:
    with contextlib.suppress(PollError):
        parse_monitor(status, body)


def test_halves_of_surrogate_pairs_are_in_no_text() -> None:
    """JSON can escape them, and no encoding of a scrape has them."""
    answer = parse_monitor(200, rb'{"version": "3.9\ud800", "znode\ud800count": 1, "server_state": "leader"}')
    assert answer.texts == {"zk_version": "3.9?", "zk_server_state": "leader"}
    assert answer.numbers == {"zk_znode?count": 1}
