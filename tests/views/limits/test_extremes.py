"""Extremes: the largest of numbers that come and go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.views.limits.extremes import Extremes

NUMBERS = st.integers(0, 6)


@given(
    st.lists(
        st.one_of(st.tuples(st.sampled_from(["add", "remove"]), NUMBERS), st.lists(NUMBERS, min_size=1)), max_size=60
    )
)
def test_the_largest_is_that_of_a_plain_list(steps: list[tuple[str, int] | list[int]]) -> None:
    extremes, held = Extremes(), Counter[int]()
    for step in steps:
        if isinstance(step, list):
            extremes.add_all(step)
            held.update(step)
        elif step[0] == "add":
            extremes.add(step[1])
            held[step[1]] += 1
        elif held[step[1]]:
            extremes.remove(step[1])
            held[step[1]] -= 1
        assert extremes.largest == max(held.elements(), default=0)


def test_a_number_that_comes_and_goes_takes_no_memory() -> None:
    extremes = Extremes()
    for _ in range(10_000):
        extremes.add(7)
        extremes.remove(7)
    assert len(extremes._heap) < 100
