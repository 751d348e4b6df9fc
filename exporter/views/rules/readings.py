"""Readings: the number or the text that a rule reads from a znode, or why it cannot."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from exporter.views.rules.pointer import MissingError, Pointer
from exporter.views.rules.rule import Rule
from exporter.zookeeper.records import data_of, owner_and_size, stat_of

#: The most bytes of a label's value, and of the label that names an owner.
MOST_LABEL, MOST_OWNER = 128, 64
#: The most bytes of data that are read as JSON, or as a number: the engine waits for it.
MOST_JSON, MOST_NUMBER = 65_536, 128

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class UnusableError(ValueError):
    """The rule cannot use the znode; ``reason`` is one of the catalogue's `UNUSABLE_REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Owner(NamedTuple):
    """Who holds a znode: ``label`` says it, and ``since`` is when the znode was created, in Unix seconds."""

    label: str
    since: float


def number_of(rule: Rule) -> Callable[[bytes], float]:
    """What reads the number of a record for a rule; it raises `UnusableError`."""
    pointer = None if rule.key is None else Pointer(rule.key)
    readers: dict[str, Callable[[bytes], float]] = {
        "children": lambda record: stat_of(record).numChildren,
        "bytes": lambda record: owner_and_size(record)[1],
        "version": lambda record: stat_of(record).version,
        "created": lambda record: stat_of(record).ctime / 1000,
        "modified": lambda record: stat_of(record).mtime / 1000,
        "number": lambda record: _decimal(data_of(record) or b""),
        "json": lambda record: _json_number(record, pointer),
    }
    return readers[rule.value]


def labels_of(rule: Rule) -> Callable[[bytes], tuple[str, ...]]:
    """What reads the labels of ``info`` from a record; it raises `UnusableError`."""
    if rule.labels is None:
        return lambda record: (_shown(_text(data_of(record) or b"")),)
    pointers = [Pointer(text) for text in rule.labels.values()]

    def read(record: bytes) -> tuple[str, ...]:
        document = _document(record)
        return tuple(_shown(_in_words(_value(document, pointer))) for pointer in pointers)

    return read


def owner_of(rule: Rule) -> Callable[[bytes], Owner]:
    """What reads the owner from the record of the znode that it holds; it raises `UnusableError`."""
    pointer = None if rule.key is None else Pointer(rule.key)

    def read(record: bytes) -> Owner:
        text = _text(data_of(record) or b"") if pointer is None else _in_words(_value(_document(record), pointer))
        stat = stat_of(record)
        # Locks often have no data: then the session is all that is known.
        label = _shown(text, MOST_OWNER) or f"session 0x{stat.ephemeralOwner & (1 << 64) - 1:x}"
        return Owner(label, stat.ctime / 1000)

    return read


def _decimal(data: bytes) -> float:
    data = data.strip()
    if len(data) > MOST_NUMBER:
        raise UnusableError("too_large")
    return _finite(float(data)) if _NUMBER.fullmatch(data) else _refuse("not_a_number")


def _json_number(record: bytes, pointer: Pointer | None) -> float:
    assert pointer is not None
    value = _value(_document(record), pointer)
    if not isinstance(value, bool | int | float):
        raise UnusableError("not_a_number")
    try:
        return _finite(float(value))
    except OverflowError:
        raise UnusableError("not_a_number") from None


def _finite(number: float) -> float:
    return number if math.isfinite(number) else _refuse("not_a_number")


def _document(record: bytes) -> Any:
    data = data_of(record) or b""
    if len(data) > MOST_JSON:
        raise UnusableError("too_large")
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise UnusableError("not_json") from None


def _no_constant(name: str) -> NoReturn:
    """NaN and infinities are no JSON: RFC 8259, section 6."""
    raise ValueError(name)


def _value(document: Any, pointer: Pointer) -> Any:
    try:
        return pointer.value_in(document)
    except MissingError:
        raise UnusableError("no_key") from None


def _in_words(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise UnusableError("not_json") from None


def _text(data: bytes) -> str:
    return data[: 4 * MOST_LABEL].decode("utf-8", "replace").strip()


def _shown(text: str, most: int = MOST_LABEL) -> str:
    """The text in so many bytes at most, and without what UTF-8 cannot say."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _refuse(reason: str) -> NoReturn:
    raise UnusableError(reason)
