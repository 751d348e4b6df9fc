"""Agenda: the paths that wait to be read, and when a load is complete."""

from __future__ import annotations

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda, Loads
from exporter.zookeeper.paths import Siblings
from exporter.zookeeper.wire import MultiRead


def take(agenda: Agenda) -> MultiRead:
    """A request for everything that waits, in the order of the recursive strategy."""
    reads = list(agenda.take_reads(100, 10_000).paths)
    lists = []
    while agenda.first_list() is not None:
        lists.append(agenda.take_list()[0])
    return MultiRead("", reads, lists)


def test_a_new_agenda_is_empty_and_loaded() -> None:
    agenda = Agenda()
    assert len(agenda) == 0
    assert agenda.loaded


def test_a_refresh_is_no_part_of_a_load() -> None:
    agenda = Agenda()
    agenda.want_reads(["/a"], False)
    agenda.want_list("/a", False)
    assert len(agenda) == 2
    assert agenda.loaded


def test_a_load_is_complete_when_all_of_it_was_answered() -> None:
    agenda = Agenda()
    agenda.want_reads(["/a", "/b"], True)
    agenda.want_list("/a", True)
    request = take(agenda)
    assert len(agenda) == 0
    assert not agenda.loaded
    agenda.want_list("/b", True)
    agenda.done(request, ALL_LOADS)
    assert not agenda.loaded
    agenda.done(take(agenda), ALL_LOADS)
    assert agenda.loaded


def test_a_path_that_is_wanted_twice_waits_once() -> None:
    agenda = Agenda()
    agenda.want_reads(["/a"], True)
    agenda.want_reads(["/a"], True)
    assert len(agenda) == 1
    agenda.done(take(agenda), ALL_LOADS)
    assert agenda.loaded


def test_what_was_put_back_waits_as_it_did() -> None:
    agenda = Agenda()
    agenda.want_reads(["/load"], True)
    agenda.want_reads(["/refresh"], False)
    agenda.want_list("/list", True)
    request = take(agenda)
    loads = Loads(frozenset({"/load", "/list"}), False, 2)
    agenda.put_back(request, loads)
    assert len(agenda) == 3
    assert not agenda.loaded
    agenda.done(take(agenda), loads)
    assert agenda.loaded


def test_a_survey_is_taken_up_bit_by_bit() -> None:
    agenda = Agenda()
    agenda.want_reads(["/waiting"], False)
    agenda.survey(iter([Siblings("", [""]), Siblings("/", ["b", "c"])]))
    assert len(agenda) == 1
    assert list(agenda.take_surveyed(0, 1000)) == []
    assert list(agenda.take_surveyed(2, 1000)) == ["", "/b"]
    agenda.done(MultiRead("", ["", "/b"], []), ALL_LOADS)
    assert list(agenda.take_surveyed(2, 1000)) == ["/c"]
    assert list(agenda.take_surveyed(2, 1000)) == []
    agenda.done(MultiRead("", ["/c"], []), ALL_LOADS)
    assert not agenda.loaded, "paths that waited when the survey began belong to the load"
    agenda.done(take(agenda), ALL_LOADS)
    assert agenda.loaded


def test_paths_of_a_survey_that_are_too_long_to_go_together_wait() -> None:
    agenda = Agenda()
    agenda.survey(iter([Siblings("/", ["long", "longer", "longest"])]))
    assert list(agenda.take_surveyed(3, 20, overhead=4)) == ["/long", "/longer"]
    agenda.done(MultiRead("", ["/long", "/longer"], []), ALL_LOADS)
    assert not agenda.loaded
    assert list(agenda.take_surveyed(3, 6, alone=False)) == []
    assert list(agenda.take_surveyed(3, 6)) == ["/longest"], "one path may always be read alone"
    agenda.done(MultiRead("", ["/longest"], []), ALL_LOADS)
    assert list(agenda.take_surveyed(3, 6)) == []
    assert agenda.loaded


def test_a_load_that_was_broken_off_is_begun_anew_with_what_waits() -> None:
    agenda = Agenda()
    agenda.survey(iter([Siblings("/", ["a", "b"])]))
    request = MultiRead("", agenda.take_surveyed(1, 1000), [])
    agenda.put_back(request, ALL_LOADS)
    agenda.break_off()
    assert not agenda.take_surveyed(1, 1000)
    agenda.survey(iter([]))
    assert not agenda.take_surveyed(1, 1000)
    assert not agenda.loaded
    agenda.done(take(agenda), ALL_LOADS)
    assert agenda.loaded


def test_loads_of_a_request() -> None:
    assert "/a" in ALL_LOADS
    assert "/a" not in NO_LOADS
    some = Loads(frozenset({"/a"}), False, 1)
    assert "/a" in some
    assert "/b" not in some
