"""The queue of paths: first come first served, each path once, loads remembered."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.treecache.pathqueue import PathQueue, byte_lengths
from exporter.zookeeper.paths import byte_length


def some(queue: PathQueue, count: int, size: int, overhead: int = 0) -> tuple[list[str], list[str]]:
    """Takes some paths; returns them, and those of them that a load waits for."""
    taken = queue.pop_some(count, size, overhead)
    assert taken.size == byte_length(taken.paths)
    return list(taken.paths), list(taken.loads)


def test_first_come_first_served_and_once() -> None:
    queue = PathQueue()
    queue.push(["/b", "/a", "/b"], False)
    assert len(queue) == 2
    assert queue.first() == "/b"
    assert queue.pop() == ("/b", False)
    assert some(queue, 10, 1000) == (["/a"], [])
    assert len(queue) == 0


def test_a_load_outweighs_a_refresh_and_is_counted_once() -> None:
    queue = PathQueue()
    assert queue.push(["/a"], False) == 0
    assert queue.push(["/a", "/b"], True) == 2
    assert queue.push(["/a", "/b"], True) == 0
    assert queue.push(["/a"], False) == 0
    assert some(queue, 10, 1000) == (["/a", "/b"], ["/a", "/b"])


def test_some_are_bounded_in_number_and_bytes() -> None:
    queue = PathQueue()
    queue.push(["/aaaa", "/bbbb", "/cccc", "/\u00e4", "/dddd"], True)
    assert some(queue, 1, 1000)[0] == ["/aaaa"]
    assert some(queue, 9, 12)[0] == ["/bbbb", "/cccc"]
    assert some(queue, 9, 10, overhead=2)[0] == ["/\u00e4"], "two letters, three bytes"
    assert some(queue, 9, 0)[0] == ["/dddd"], "one path may always be read"


def test_marking_all() -> None:
    queue = PathQueue()
    queue.push(["/a"], False)
    queue.push(["/b"], True)
    assert queue.mark_all() == 2
    assert some(queue, 9, 1000)[1] == ["/a", "/b"]


def test_families_are_served_in_their_turn() -> None:
    queue = PathQueue(many=2)
    queue.push(["/first"], False)
    assert queue.push_children("", ["c", "b"]) == 2
    assert queue.push_children("/d", ["x"]) == 1
    queue.push(["/last"], False)
    assert (queue.first(), len(queue)) == ("/first", 5)
    assert queue.pop() == ("/first", False)
    assert queue.first() == "/c"
    assert some(queue, 2, 1000) == (["/c", "/b"], ["/c", "/b"])
    assert some(queue, 9, 1000) == (["/d/x", "/last"], ["/d/x"])


def test_children_wait_once() -> None:
    queue = PathQueue(many=2)
    queue.push(["/a/y"], False)
    assert queue.push_children("/a", ["x", "y"]) == 2
    assert queue.push_children("/b", ["x", "y", "x"]) == 2
    assert queue.push_children("/c", ["x", "y"]) == 2
    assert queue.push_children("/c", ["y", "z"]) == 1
    assert queue.push(["/c/x", "/c/z", "/c"], True) == 1
    assert queue.put_off("/c/x", True, 1.0) == 0
    taken, _ = some(queue, 99, 1000)
    assert sorted(taken) == ["/a/x", "/a/y", "/b/x", "/b/y", "/c", "/c/x", "/c/y", "/c/z"]


@pytest.mark.parametrize("size", range(30))
def test_children_that_do_not_fit_wait(size: int) -> None:
    queue = PathQueue(many=2)
    queue.push_children("/a", ["x", "yy", "\u00e4\u00e4\u00e4"])
    batches = []
    while queue:
        batches.append(some(queue, 99, size, overhead=1)[0])
    assert [path for batch in batches for path in batch] == ["/a/x", "/a/yy", "/a/\u00e4\u00e4\u00e4"]
    sizes = [sum(byte_lengths(batch)) + len(batch) for batch in batches]
    assert all(number <= size or len(batch) == 1 for number, batch in zip(sizes, batches, strict=True))
    # As few batches as possible.
    assert all(
        a + b > size for a, b in zip(sizes, [byte_lengths(batch[:1])[0] + 1 for batch in batches[1:]], strict=False)
    )


HEADS, NAMES = ["", "/a", "/b", "/a/x"], ["x", "y", "z", "\u00e4"]
PATHS = [f"{head}/{name}" for head in HEADS for name in NAMES]


class Queues(RuleBasedStateMachine):
    """A queue beside a table of what waits in it: for each path, whether a load waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = PathQueue(many=2)
        self.waiting: dict[str, bool] = {}
        self.later: dict[str, float] = {}
        #: The waiting paths that may be taken, in the order in which they came.
        self.order: list[str] = []

    def _expect(self, paths: list[str], load: bool) -> int:
        newly = {path for path in paths if load and not self.waiting.get(path, False)}
        self.order += [path for path in dict.fromkeys(paths) if path not in self.waiting and path not in self.later]
        self.waiting |= {path: load or self.waiting.get(path, False) for path in paths}
        return len(newly)

    @rule(paths=st.lists(st.sampled_from(PATHS), max_size=6), load=st.booleans())
    def push(self, paths: list[str], load: bool) -> None:
        assert self.queue.push(paths, load) == self._expect(paths, load)

    @rule(head=st.sampled_from(HEADS), names=st.lists(st.sampled_from(NAMES), max_size=6))
    def push_children(self, head: str, names: list[str]) -> None:
        assert self.queue.push_children(head, names) == self._expect([f"{head}/{name}" for name in names], True)

    @rule(path=st.sampled_from(PATHS), load=st.booleans(), due_at=st.sampled_from([1.0, 2.0]))
    def put_off(self, path: str, load: bool, due_at: float) -> None:
        if path not in self.waiting:
            self.later[path] = due_at
        assert self.queue.put_off(path, load, due_at) == self._expect([path], load)

    @rule(now=st.sampled_from([1.0, 2.0]))
    def ripen(self, now: float) -> None:
        self.queue.ripen(now)
        self.order += [path for due_at, path in sorted((at, path) for path, at in self.later.items()) if due_at <= now]
        self.later = {path: due_at for path, due_at in self.later.items() if due_at > now}

    @rule(count=st.integers(1, 8), size=st.integers(0, 40), overhead=st.integers(0, 3))
    def pop_some(self, count: int, size: int, overhead: int) -> None:
        if not len(self.queue):
            return
        first = self.queue.first()
        paths, loads = some(self.queue, count, size, overhead)
        assert paths[0] == first
        assert paths == self.order[: len(paths)]
        del self.order[: len(paths)]
        assert loads == [path for path in paths if self.waiting[path]]
        assert len(paths) <= count
        assert len(paths) == 1 or sum(byte_lengths(paths)) + overhead * len(paths) <= size
        for path in paths:
            assert path not in self.later
            del self.waiting[path]

    @rule()
    def mark_all(self) -> None:
        self.waiting = dict.fromkeys(self.waiting, True)
        assert self.queue.mark_all() == len(self.waiting)

    @invariant()
    def holds_what_waits(self) -> None:
        assert sorted(self.queue) == sorted(self.waiting)
        assert len(self.queue) == len(self.waiting) - len(self.later)
        assert len(self.queue.later) == len(self.later)
        assert [path in self.queue for path in PATHS] == [path in self.waiting for path in PATHS]


TestQueues = Queues.TestCase
TestQueues.settings = settings(max_examples=300, stateful_step_count=20, deadline=None)
