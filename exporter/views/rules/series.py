"""Series: which of a rule's series are shown, so that there are never too many: those of the oldest znodes."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from typing import Generic, TypeVar

#: The values of a series' labels.
Key = tuple[str, ...]
Value = TypeVar("Value")
Item = TypeVar("Item")

#: The age of a series that no znode has any more. It makes room for any other, and is forgotten then.
PAST = 1 << 63
#: Entries of a heap that may be out of date before it is built anew, besides as many as there are valid ones.
_LEFT_OVER = 64
#: A heap that grows by less than this fraction takes numbers one by one: to build it anew costs more.
_FEW = 16


def take_one(counter: Counter[Item], item: Item) -> None:
    """Counts one less of an item that is counted, and forgets it at 0."""
    counter[item] -= 1
    if not counter[item]:
        del counter[item]


class Least:
    """A multiset of numbers that knows its least one: a heap, from which numbers are taken when they come up.

    Whole numbers that come together are in the heap only once one is removed: until then, eight bytes are enough for
    each, and nearly no time.
    """

    __slots__ = ("_gone", "_heap", "_least_unsorted", "_size", "_unsorted")

    def __init__(self) -> None:
        self._heap: list[float] = []
        #: Those that are not in the heap yet, and the least of them.
        self._unsorted = array("q")
        self._least_unsorted: float = math.inf
        #: Those that are in the heap, but were removed.
        self._gone: Counter[float] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, number: float) -> None:
        """Adds a number."""
        self._size += 1
        if self._gone[number]:
            take_one(self._gone, number)
        else:
            heapq.heappush(self._heap, number)

    def extend(self, numbers: array[int]) -> None:
        """Adds several numbers."""
        self._size += len(numbers)
        self._unsorted += numbers
        self._least_unsorted = min(self._least_unsorted, min(numbers, default=math.inf))

    def remove(self, number: float) -> None:
        """Removes a number that is in it."""
        if self._unsorted:
            self._sort_in()
        self._size -= 1
        self._gone[number] += 1
        if len(self._heap) > 2 * self._size + _LEFT_OVER:
            self._heap = sorted((Counter(self._heap) - self._gone).elements())
            self._gone.clear()

    @property
    def least(self) -> float:
        """The least number. There must be one."""
        while self._gone and self._gone[self._heap[0]]:
            take_one(self._gone, heapq.heappop(self._heap))
        return min(self._heap[0], self._least_unsorted) if self._heap else self._least_unsorted

    def _sort_in(self) -> None:
        if len(self._unsorted) < len(self._heap) // _FEW:
            for number in self._unsorted:
                heapq.heappush(self._heap, number)
        else:
            self._heap += self._unsorted
            heapq.heapify(self._heap)
        self._unsorted, self._least_unsorted = array("q"), math.inf


class _Youngest:
    """A series in a heap whose first one is the youngest."""

    __slots__ = ("age", "key")

    def __init__(self, age: int, key: Key) -> None:
        self.age = age
        self.key = key

    def __lt__(self, other: _Youngest) -> bool:
        return (self.age, self.key) > (other.age, other.key)


class Bounded(Generic[Value]):
    """The series of a rule, at most so many of them shown.

    The age of a series is the zxid that created its oldest znode: a smaller one is older. If some wait, a change costs
    the logarithm of their number; if none does, next to nothing.

    Args:
        most: the most series to show.
    """

    def __init__(self, most: int) -> None:
        #: Those that are shown. Other threads copy it, which is one operation.
        self.values: dict[Key, Value] = {}
        self._most = most
        self._waiting: dict[Key, Value] = {}
        self._ages: dict[Key, int] = {}
        self._oldest: list[tuple[int, Key]] = []
        #: Only while some wait.
        self._youngest: list[_Youngest] | None = None

    @property
    def dropped(self) -> int:
        """How many are not shown."""
        return len(self._waiting)

    def get(self, key: Key) -> Value | None:
        """The value of a series, shown or not."""
        return self.values[key] if key in self.values else self._waiting.get(key)

    def put(self, key: Key, age: int, value: Value) -> None:
        """Adds a series, or changes its value and age."""
        if key in self.values:
            self.values[key] = value
            if self._ages[key] == age:
                return
            self._ages[key] = age
            if self._youngest is not None:
                heapq.heappush(self._youngest, _Youngest(age, key))
        elif not self._waiting and len(self.values) < self._most:
            self._ages[key] = age
            self.values[key] = value
            return
        else:
            if self._ages.get(key) != age:
                heapq.heappush(self._oldest, (age, key))
            self._ages[key] = age
            self._waiting[key] = value
        self._balance()

    def remove(self, key: Key) -> None:
        """Removes a series, if there is one."""
        if self._ages.pop(key, None) is not None:
            self.values.pop(key, None)
            self._waiting.pop(key, None)
            self._balance()

    def clear(self) -> None:
        """Removes all."""
        self.values, self._waiting, self._ages = {}, {}, {}
        self._oldest, self._youngest = [], None

    def _balance(self) -> None:
        """Shows the oldest."""
        while self._waiting:
            age, key = self._first_waiting()
            if len(self.values) >= self._most:
                youngest = self._last_shown()
                if (age, key) > (youngest.age, youngest.key):
                    break
                self._hide(youngest)
            self.values[key] = self._waiting.pop(key)
            if self._youngest is not None:
                heapq.heappush(self._youngest, _Youngest(age, key))
        if not self._waiting:
            self._oldest, self._youngest = [], None
        else:
            self._forget_past()
            self._tidy()

    def _hide(self, series: _Youngest) -> None:
        value = self.values.pop(series.key)
        if series.age == PAST:
            del self._ages[series.key]
        else:
            self._waiting[series.key] = value
            heapq.heappush(self._oldest, (series.age, series.key))

    def _forget_past(self) -> None:
        """Forgets series of the past that would wait: all others do before them."""
        while self._waiting and self._first_waiting()[0] == PAST:
            _, key = self._first_waiting()
            del self._waiting[key], self._ages[key]

    def _first_waiting(self) -> tuple[int, Key]:
        while True:
            age, key = self._oldest[0]
            if key in self._waiting and self._ages[key] == age:
                return age, key
            heapq.heappop(self._oldest)

    def _last_shown(self) -> _Youngest:
        if self._youngest is None:
            self._youngest = [_Youngest(self._ages[key], key) for key in self.values]
            heapq.heapify(self._youngest)
        while True:
            youngest = self._youngest[0]
            if youngest.key in self.values and self._ages[youngest.key] == youngest.age:
                return youngest
            heapq.heappop(self._youngest)

    def _tidy(self) -> None:
        """Builds a heap anew that is mostly out of date."""
        if len(self._oldest) > 2 * len(self._waiting) + _LEFT_OVER:
            self._oldest = sorted((self._ages[key], key) for key in self._waiting)
        if self._youngest is not None and len(self._youngest) > 2 * len(self.values) + _LEFT_OVER:
            self._youngest = None
