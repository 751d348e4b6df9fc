"""The queue of paths: first come first served, each path once, loads remembered."""

from __future__ import annotations

from exporter.treecache.pathqueue import PathQueue


def test_first_come_first_served_and_once() -> None:
    queue = PathQueue()
    queue.push(["/b", "/a", "/b"], False)
    assert len(queue) == 2
    assert queue.first() == "/b"
    assert queue.pop() == ("/b", False)
    assert queue.pop_some(10, 1000) == (["/a"], [])
    assert len(queue) == 0


def test_a_load_outweighs_a_refresh_and_is_counted_once() -> None:
    queue = PathQueue()
    assert queue.push(["/a"], False) == 0
    assert queue.push(["/a", "/b"], True) == 2
    assert queue.push(["/a", "/b"], True) == 0
    assert queue.push(["/a"], False) == 0
    assert queue.pop_some(10, 1000) == (["/a", "/b"], ["/a", "/b"])


def test_some_are_bounded_in_number_and_bytes() -> None:
    queue = PathQueue()
    queue.push(["/aaaa", "/bbbb", "/cccc", "/\u00e4", "/dddd"], True)
    assert queue.pop_some(1, 1000)[0] == ["/aaaa"]
    assert queue.pop_some(9, 12)[0] == ["/bbbb", "/cccc"]
    assert queue.pop_some(9, 10, overhead=2)[0] == ["/\u00e4"], "two letters, three bytes"
    assert queue.pop_some(9, 0)[0] == ["/dddd"], "one path may always be read"


def test_marking_all() -> None:
    queue = PathQueue()
    queue.push(["/a"], False)
    queue.push(["/b"], True)
    assert queue.mark_all() == 2
    assert queue.pop_some(9, 1000)[1] == ["/a", "/b"]
