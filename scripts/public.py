"""Public: lists the library's public interface, so that reviews show every change of it.

Each line is a public name with its signature: the names that `exporter` exports, and the attributes of its classes that
have no underscore and are defined in this package.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import exporter

LISTING = Path(__file__).resolve().parents[1] / "tests" / "golden" / "public.txt"


def texts() -> dict[Path, str]:
    """The listing, by its path."""
    return {LISTING: "".join(f"{line}\n" for line in listing())}


def listing() -> Iterator[str]:
    """The lines, in the order of the names."""
    for name in sorted(exporter.__all__):
        thing = getattr(exporter, name)
        if isinstance(thing, type):
            yield from _class(name, thing)
        elif callable(thing):
            yield f"{name}{_signature(thing)}"
        else:
            yield f"{name}: {type(thing).__name__}"


def _class(name: str, thing: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    initializer = inspect.getattr_static(thing, "__init__")
    is_made_here = inspect.isfunction(initializer) and initializer.__module__.startswith("exporter.")
    yield f"class {name}{bases and f'({bases})'}{_signature(thing) if is_made_here else ''}"
    for attribute in sorted(_attributes(thing)):
        value = inspect.getattr_static(thing, attribute, None)
        function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if inspect.isfunction(function):
            yield f"    {name}.{attribute}{_signature(function)}"
        elif isinstance(value, property):
            yield f"    {name}.{attribute}: {_annotation(value)}"
        else:
            yield f"    {name}.{attribute}"


def _attributes(thing: type) -> set[str]:
    ours = [base for base in thing.__mro__ if base.__module__.partition(".")[0] == "exporter"]
    named = {name for base in ours for name in (*vars(base), *vars(base).get("__annotations__", ()))}
    return {name for name in named if not name.startswith("_")}


def _annotation(value: property) -> str:
    return str(inspect.get_annotations(value.fget).get("return", "Any")) if value.fget else "Any"


def _signature(thing: object) -> str:
    assert callable(thing)
    # An object without its own repr shows its address, which differs each time.
    return re.sub(r"<([\w.]+) object at 0x[0-9a-f]+>", r"<\1>", str(inspect.signature(thing)))
