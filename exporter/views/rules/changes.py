"""Changes: the states of the counters ``changes`` and ``child_changes``, by the gaps in the versions of znodes.

The server counts each write in the stat: ``version`` the writes of the data, ``cversion`` the creations and deletions
of children (https://zookeeper.apache.org/doc/current/zookeeperProgrammers.html#sc_zkStatStructure). So writes that were
read together are all counted. A znode that was created again begins at 0.
"""

from __future__ import annotations

from exporter.views.rules.rule import Rule
from exporter.views.rules.series import PAST, Key, Least
from exporter.views.rules.state import State
from exporter.zookeeper.records import czxid_of, stat_of


class Changes(State):
    """Counts from 0 when the tree is first complete.

    A series whose znodes are gone stays, until others need its place.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._of_children = rule.value == "child_changes"
        self._znodes: dict[Key, Least] = {}
        self._counts = False
        #: The last znode removed, and those that became unreadable: what comes back is compared with what it was.
        self._removed: tuple[str, bytes] = ("", b"")
        self._before: dict[str, bytes] = {}

    def added(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        before = self._before.pop(path, None)
        if not self._concerns(record):
            return
        key = self._key(captured)
        self._znodes.setdefault(key, Least()).add(czxid_of(record))
        if before is None:
            self._add(key, self._version(record))
        elif before:
            is_same = czxid_of(before) == czxid_of(record)
            self._add(key, self._version(record) - (self._version(before) if is_same else 0))
        else:
            # Nobody knows what it was.
            self._add(key, 0)

    def updated(self, pattern: int, path: str, captured: Key, record: bytes, old: bytes) -> None:
        if self._concerns(record):
            self._add(self._key(captured), self._version(record) - self._version(old))

    def removed(self, pattern: int, path: str, captured: Key, record: bytes) -> None:
        self._removed = (path, record)
        if not self._concerns(record):
            return
        key = self._key(captured)
        znodes = self._znodes[key]
        znodes.remove(czxid_of(record))
        if not znodes:
            del self._znodes[key]
        self._add(key, 0)

    def hidden(self, pattern: int, path: str, captured: Key) -> None:
        super().hidden(pattern, path, captured)
        self._before[path] = self._removed[1] if self._removed[0] == path else b""

    def gone(self, path: str) -> None:
        """An unreadable znode was removed."""
        self._before.pop(path, None)

    def settle(self, *, is_live: bool) -> None:
        self._counts = True

    def _add(self, key: Key, gap: int) -> None:
        """Adds to a series. Only a restored ensemble has versions that go back."""
        total = (self.series.get(key) or 0) + (max(0, gap) if self._counts else 0)
        znodes = self._znodes.get(key)
        self.series.put(key, PAST if znodes is None else int(znodes.least), total)

    def _version(self, record: bytes) -> int:
        stat = stat_of(record)
        return int(stat.cversion if self._of_children else stat.version)
