"""Answers: what a server says to `mntr`, to `srvr` and at AdminServer's `/commands/monitor`, as numbers and texts.

All three give the same numbers, of which `srvr` has only a few. Here each has the name that `mntr` gives it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.servers.failures import CUT_SHORT, HUNG_UP, PollError

#: What is not a number in ZooKeeper's answers.
VERSION, STATE, PEER_STATE = "zk_version", "zk_server_state", "zk_peer_state"
_TEXTS = (VERSION, STATE, PEER_STATE)
#: The maximum number of characters of a text that is kept.
_LONGEST_TEXT = 200
#: What a server answers to a word that its `4lw.commands.whitelist` does not have (``NopCommand``).
_NOT_ALLOWED = "is not executed because it is not in the whitelist."
#: What it answers without a quorum (``AbstractFourLetterCommand.ZK_NOT_SERVING``).
_NOT_SERVING = "This ZooKeeper instance is not currently serving requests"
#: The maximum number of characters before either.
_SENTENCE = 100
#: A number as Java writes it.
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:E-?[0-9]+)?|Infinity)|NaN")
#: The names of the numbers in a line of `srvr`, by what is before its colon (``StatCommand``).
_SRVR: Mapping[str, tuple[str, ...]] = {
    "Latency min/avg/max": ("zk_min_latency", "zk_avg_latency", "zk_max_latency"),
    "Received": ("zk_packets_received",),
    "Sent": ("zk_packets_sent",),
    "Connections": ("zk_num_alive_connections",),
    "Outstanding": ("zk_outstanding_requests",),
    "Node count": ("zk_znode_count",),
    "Proposal sizes last/min/max": ("zk_last_proposal_size", "zk_min_proposal_size", "zk_max_proposal_size"),
}
_SRVR_TEXTS = {"Zookeeper version": VERSION, "Mode": STATE}
#: Lines of `srvr` without a number that `mntr` has.
_SRVR_OTHERS = ("Zxid: ", "READ-ONLY mode")
#: What AdminServer adds to each answer.
_OF_ADMIN_SERVER = ("command", "error")


@dataclass
class Answer:
    """The numbers and texts of one answer, by the names that `mntr` gives them; how many of its lines are malformed.

    `clock_offset` is the server's clock minus the exporter's in seconds, None if it is not known.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    malformed: int = 0
    clock_offset: float | None = None

    def take(self, name: str, value: str) -> None:
        """Takes what one line says. A gauge without a value, which is null in Java, says nothing."""
        if name in _TEXTS:
            self.texts[name] = value[:_LONGEST_TEXT]
        elif _NUMBER.fullmatch(value):
            self.numbers[name] = float(value)
        elif value != "null":
            self.malformed += 1

    def take_json(self, name: str, value: object) -> None:
        """Takes what one key of a JSON object says; its numbers are JSON's, except those that JSON does not have."""
        name = _encodable(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            # A whole number may be too large for a float.
            with contextlib.suppress(OverflowError):
                self.numbers[name] = float(value)
        elif value is not None and not isinstance(value, bool):
            self.take(name, _encodable(value) if isinstance(value, str) else "")


def parse_mntr(text: str) -> Answer:
    """The answer to `mntr`: a line for each number, with a tab between name and value.

    Raises PollError if the answer is a refusal, or has no number.
    """
    check_refusal(text)
    answer = Answer()
    for line in lines_of(text):
        name, tab, value = line.partition("\t")
        if tab and name.startswith("zk_") and name != "zk_":
            answer.take(name, value)
        else:
            answer.malformed += 1
    _check_end(text, answer)
    return answer


def parse_srvr(text: str) -> Answer:
    """The answer to `srvr`, lines of words for people.

    Raises PollError if the answer is a refusal, or has no number.
    """
    check_refusal(text)
    answer = Answer()
    for line in lines_of(text):
        label, colon, said = line.partition(": ")
        names, values = _SRVR.get(label, ()), said.split("/")
        if label in _SRVR_TEXTS and colon:
            answer.take(_SRVR_TEXTS[label], said)
        elif names and len(names) == len(values):
            for name, value in zip(names, values, strict=True):
                answer.take(name, value)
        elif not line.startswith(_SRVR_OTHERS):
            answer.malformed += 1
    _check_end(text, answer)
    return answer


def check_ruok(text: str) -> None:
    """Raises PollError unless the answer to `ruok` is `imok`."""
    check_refusal(text)
    if text != "imok":
        raise PollError("other", f"answered {_quoted(text)} to ruok")


def parse_monitor(status: int, body: bytes, clock_offset: float | None = None) -> Answer:
    """The answer of AdminServer: an object that has the names of `mntr` without `zk_`.

    Raises PollError if the answer is a refusal, or has no number.
    """
    answer = Answer(clock_offset=clock_offset)
    for key, value in object_of(status, body).items():
        if key not in _OF_ADMIN_SERVER:
            answer.take_json(f"zk_{key}", value)
    _check_numbers(answer)
    return answer


def object_of(status: int, body: bytes) -> dict[str, Any]:
    """The JSON object that AdminServer answers with. Raises PollError if the answer is a refusal, or is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and said.get("error"):
        error = str(said["error"])
        raise PollError("not_serving" if _NOT_SERVING in error else "other", f"answered {_quoted(error)}")
    if status != 200:
        raise PollError("not_allowed" if status in (401, 403) else "other", f"answered with HTTP status {status}")
    if not isinstance(said, dict):
        raise PollError("other", f"answered {_quoted(body[:_SENTENCE].decode(errors='replace'))}")
    return said


def lines_of(text: str) -> list[str]:
    """The lines of an answer. Names may have characters that end a line for Python's `splitlines`."""
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def check_refusal(text: str) -> None:
    """Raises PollError for an answer that is a refusal."""
    sentence = text[:_SENTENCE]
    if _NOT_ALLOWED in sentence:
        raise PollError("not_allowed", "the server's 4lw.commands.whitelist does not have the word")
    if _NOT_SERVING in sentence:
        said = "the server says that it is not serving"
        raise PollError("not_serving", f"{said}; it has no quorum, is starting, or leads with leaderServes=no")
    if not text:
        raise PollError("not_serving", HUNG_UP)


def _check_numbers(answer: Answer) -> None:
    if not answer.numbers:
        raise PollError("other", f"the answer has no number in {answer.malformed} lines; is it ZooKeeper?")


def _check_end(text: str, answer: Answer) -> None:
    """Raises PollError for an answer that is none, or is cut short: a server that is killed may have sent a part."""
    _check_numbers(answer)
    if not text.endswith("\n"):
        raise PollError("not_serving", CUT_SHORT)


def _encodable(text: str) -> str:
    """A text without what JSON can escape but no encoding has: halves of surrogate pairs."""
    return text.encode(errors="replace").decode()


def _quoted(text: str) -> str:
    return ascii(text[:_SENTENCE])
