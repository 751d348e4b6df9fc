"""Given: counters under a name that another program has given them, without the suffix `_total`.

Prometheus' text format has such counters, OpenMetrics does not: there they have the type `unknown`, as Prometheus'
library for Go does it (``expfmt``). prometheus_client adds the suffix to every counter, in either format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

_UNTYPED = re.compile(rb"^# TYPE (\S+) untyped$", re.MULTILINE)


class GivenCounter(Family):
    """The family of a counter whose name is given."""

    def __init__(self, name: str, help: str) -> None:
        super().__init__(name, help, "unknown")


class Noting(Collector):
    """A registry as it is, of which the names of given counters are noted while it is written out."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._counters: set[bytes] = set()

    def collect(self) -> Iterator[Family]:
        """All families."""
        for family in self._registry.collect():
            if isinstance(family, GivenCounter):
                self._counters.add(family.name.encode())
            yield family

    def typed(self, text: bytes) -> bytes:
        """The text format that was written of it, with the type of the given counters."""
        if not self._counters:
            return text
        return _UNTYPED.sub(
            lambda found: found[0].replace(b" untyped", b" counter") if found[1] in self._counters else found[0], text
        )
