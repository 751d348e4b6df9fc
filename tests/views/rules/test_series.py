"""Series: the oldest are shown, whatever the order in which they come, change and go."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.views.rules.series import PAST, Bounded, Least

KEYS = st.sampled_from([(letter,) for letter in "abcdefgh"])
AGES = st.integers(1, 5)


@given(st.integers(1, 4), st.lists(st.tuples(KEYS, st.none() | AGES, st.integers()), max_size=60))
def test_the_oldest_are_shown(most: int, steps: list[tuple[tuple[str], int | None, int]]) -> None:
    series: Bounded[int] = Bounded(most)
    there: dict[tuple[str], tuple[int, int]] = {}
    for key, age, value in steps:
        if age is None:
            series.remove(key)
            there.pop(key, None)
        else:
            series.put(key, age, value)
            there[key] = (age, value)
        oldest = sorted(there, key=lambda key: (there[key][0], key))[:most]
        assert series.values == {key: there[key][1] for key in oldest}
        assert series.dropped == len(there) - len(oldest)
        assert all(series.get(key) == value for key, (_, value) in there.items())


def test_the_past_makes_room_and_is_forgotten() -> None:
    series: Bounded[int] = Bounded(2)
    series.put(("past",), PAST, 7)
    series.put(("a",), 5, 1)
    assert series.values == {("past",): 7, ("a",): 1}
    series.put(("b",), 6, 2)
    assert (series.values, series.dropped) == ({("a",): 1, ("b",): 2}, 0)
    series.put(("c",), 7, 3)
    series.put(("c",), PAST, 3)
    assert (series.dropped, series.get(("c",))) == (0, None)
    series.clear()
    assert (series.values, series.dropped) == ({}, 0)


def test_many_that_come_and_go_leave_nothing() -> None:
    series: Bounded[int] = Bounded(3)
    for number in range(2000):
        series.put((str(number),), 2000 - number, number)
        if number >= 10:
            series.remove((str(number - 10),))
    assert set(series.values) == {("1999",), ("1998",), ("1997",)}
    assert series.dropped == 7
    assert len(series._oldest) <= 2 * 7 + 64
    assert series._youngest is None or len(series._youngest) <= 2 * 3 + 64


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 5))
        | st.tuples(st.just("extend"), st.lists(st.integers(0, 5), max_size=50)),
        max_size=300,
    )
)
def test_the_least_of_a_multiset(steps: list[tuple[str, Any]]) -> None:
    least, numbers = Least(), Counter[int]()
    for step, number in steps:
        if step == "add":
            least.add(number)
            numbers[number] += 1
        elif step == "extend":
            least.extend(array("q", number))
            numbers.update(number)
        elif numbers[number]:
            least.remove(number)
            numbers[number] -= 1
        assert len(least) == numbers.total()
        if numbers.total():
            assert least.least == min(numbers.elements())
        assert len(least._heap) <= 2 * len(least) + 64 + 1
