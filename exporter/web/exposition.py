"""Exposition: the answer to one scrape, in the requested format and compression."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request

from exporter.telemetry.given import Noting

#: Served versions of the text formats, as an Accept header names them.
_KNOWN_VERSIONS = ("version=0.0.4", "version=1.0.0")


@dataclass(frozen=True)
class Wanted:
    """The requested samples, by names or all if `names` is empty, and their format."""

    names: tuple[str, ...]
    content_type: str
    is_compressed: bool
    encode: Callable[[CollectorRegistry], bytes] = field(compare=False, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        encoding = {"Content-Encoding": "gzip"} if self.is_compressed else {}
        return {
            "Content-Type": self.content_type,
            "Vary": "Accept, Accept-Encoding",
            "Cache-Control": "no-store",
            **encoding,
        }


def wanted_by(request: Request) -> Wanted:
    """The requested samples, named by the parameters `name[]`, and their format, by the headers."""
    encode, content_type = choose_encoder(_formats(request.headers.getlist("accept")))
    return Wanted(
        names=tuple(sorted(set(request.query_params.getlist("name[]")))),
        content_type=content_type,
        is_compressed=_accepts_gzip(request.headers.getlist("accept-encoding")),
        encode=encode,
    )


def exposition(registry: CollectorRegistry, wanted: Wanted) -> bytes:
    """Collects and encodes `registry`; blocks meanwhile."""
    # prometheus_client's encoders are typed for a registry, but use only its collect().
    source = Noting(_Chosen(registry, wanted.names) if wanted.names else registry)
    body = source.typed(wanted.encode(cast(CollectorRegistry, source)))
    return gzip.compress(body) if wanted.is_compressed else body


class _Chosen:
    """The samples of a registry that have one of the names.

    The registry's own selection knows only the names that existed when a collector was registered.
    """

    def __init__(self, registry: CollectorRegistry, names: Sequence[str]) -> None:
        self._registry = registry
        self._names = frozenset(names)

    def collect(self) -> Iterator[Metric]:
        """The families of these samples."""
        for family in self._registry.collect():
            samples = [sample for sample in family.samples if sample.name in self._names]
            if samples:
                chosen = copy.copy(family)
                chosen.samples = samples
                yield chosen


def _formats(accept: Sequence[str]) -> str:
    """The formats of an Accept header for prometheus_client, the preferred ones first.

    prometheus_client picks the first one that it knows regardless of weights, and fails on unknown versions.
    """
    ranges = _by_weight(accept)
    return ",".join(item for item in ranges if "version" not in item or _has_known_version(item))


def _has_known_version(media_range: str) -> bool:
    return any(parameter.strip() in _KNOWN_VERSIONS for parameter in media_range.split(";"))


def _accepts_gzip(accept_encoding: Sequence[str]) -> bool:
    return any(item.partition(";")[0].strip().lower() == "gzip" for item in _by_weight(accept_encoding))


def _by_weight(header: Sequence[str]) -> list[str]:
    """The items of a header with weights (RFC 9110, 12.4.2), the heaviest first, without those of weight 0."""
    weighted = [(_weight(item), item.strip()) for item in ",".join(header).split(",") if item.strip()]
    return [item for weight, item in sorted(weighted, key=lambda pair: -pair[0]) if weight > 0]


def _weight(item: str) -> float:
    for parameter in item.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
