"""Extremes: the largest of many whole numbers that come and go."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import islice

from exporter.treecache.sums import Numbers


class Extremes:
    """The largest of some whole numbers. A change takes logarithmic time; memory is an entry for each distinct one."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        #: The distinct numbers, negated; also some that are gone.
        self._heap: list[int] = []

    def add(self, number: int, times: int = 1) -> None:
        """Adds a number, so many times."""
        counts = self._counts
        held = counts.get(number, 0)
        counts[number] = held + times
        if not held:
            self._push(number)

    def add_all(self, numbers: Numbers) -> None:
        """Adds many numbers, at least one, without a loop in Python."""
        if numbers == numbers[:1] * len(numbers):
            # Siblings often have the same size; arrays are compared and repeated like memory.
            self.add(numbers[0], len(numbers))
            return
        before = len(self._counts)
        self._counts.update(numbers)
        # A dict keeps the order of insertion, so the new ones are the last ones.
        for number in list(islice(reversed(self._counts), len(self._counts) - before)):
            self._push(number)

    def remove(self, number: int) -> None:
        """Removes a number once."""
        left = self._counts[number] - 1
        if left:
            self._counts[number] = left
        else:
            del self._counts[number]

    @property
    def largest(self) -> int:
        """The largest number; 0 if there is none. For the thread that adds and removes."""
        heap = self._heap
        while heap and -heap[0] not in self._counts:
            heapq.heappop(heap)
        return -heap[0] if heap else 0

    def _push(self, number: int) -> None:
        if len(self._heap) > 64 + 2 * len(self._counts):
            self._heap = [-held for held in self._counts]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, -number)
