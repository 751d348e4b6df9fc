"""ClassicStrategy: one watch and one request for each read, within its window."""

from __future__ import annotations

import pytest

from exporter.treecache.agenda import Agenda
from exporter.treecache.classic import ClassicStrategy
from exporter.treecache.strategy import Sending, Strategy
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED
from exporter.zookeeper.paths import Siblings
from exporter.zookeeper.wire import Exists, GetChildren, GetData


def requests(
    strategy: ClassicStrategy, agenda: Agenda, in_flight: int = 0, allowance: int | None = None
) -> list[Sending]:
    return list(strategy.requests(agenda, in_flight, allowance, lambda path: 0))


def full_agenda(reads: int = 1_000, lists: int = 1_000) -> Agenda:
    agenda = Agenda()
    agenda.want_reads([f"/{number}" for number in range(reads)], True)
    for number in range(lists):
        agenda.want_list(f"/{number}", False)
    return agenda


def test_nothing_is_armed_before_the_first_read() -> None:
    strategy: Strategy = ClassicStrategy("/app", 1024)
    assert strategy.arm() is None


@pytest.mark.parametrize(
    ("kind", "dirty"),
    [
        (CREATED, (("/a",), ())),
        (DELETED, (("/a",), ())),
        (CHANGED, (("/a",), ())),
        (CHILD, (("/a",), ("/a",))),
    ],
)
def test_what_an_event_calls_for(kind: int, dirty: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    assert ClassicStrategy("/app", 1024).dirty(kind, "/a") == dirty


def test_each_path_is_a_request_that_watches() -> None:
    sent = [sending.request for sending in requests(ClassicStrategy("/app", 1024), full_agenda(1, 1))]
    assert [type(request) for request in sent] == [GetData, GetChildren]
    assert all(request.prefix == "/app" and request.serialize().endswith(b"\1") for request in sent)


@pytest.mark.parametrize(
    ("batch_size", "in_flight", "allowance", "sent"),
    [
        (1024, 0, None, 256),
        (1024, 250, None, 6),
        (1024, 256, None, 0),
        (1024, 300, None, 0),
        (10, 0, None, 10),
        (1024, 0, 7, 7),
        (1024, 254, 7, 2),
        (1024, 0, 0, 0),
    ],
)
def test_no_more_than_the_window_and_the_allowance(
    batch_size: int, in_flight: int, allowance: int | None, sent: int
) -> None:
    agenda = full_agenda()
    assert len(requests(ClassicStrategy("/", batch_size), agenda, in_flight, allowance)) == sent
    assert len(agenda) == 2_000 - sent


def test_reads_come_before_lists_and_lists_before_the_survey() -> None:
    agenda = full_agenda(2, 2)
    agenda.survey(iter([Siblings("/", ["x", "y"])]))
    sent = requests(ClassicStrategy("/app", 1024), agenda)
    kinds = [type(sending.request) for sending in sent]
    assert kinds == [GetData, GetData, GetChildren, GetChildren, GetData, GetData]
    assert all("/0" in sending.loads for sending in sent), "a survey makes a load of all that waits"


def test_a_load_waits_for_its_own_paths_only() -> None:
    sent = requests(ClassicStrategy("/app", 1024), full_agenda(1, 1))
    assert ["/0" in sending.loads for sending in sent] == [True, False]


@pytest.mark.parametrize(("root", "prefix"), [("/app", "/app"), ("/", "")])
def test_a_missing_root_is_watched_for(root: str, prefix: str) -> None:
    request = ClassicStrategy(root, 1024).missing_root()
    assert isinstance(request, Exists)
    assert request.prefix == prefix
