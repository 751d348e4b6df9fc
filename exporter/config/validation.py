"""Validation: a document against the schema, and what is wrong with it in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.document import Document, Location
from exporter.config.problems import Problem
from exporter.config.schema import HIDDEN_KEYS, Config

#: What is accepted where pydantic misses a value of a plain type.
_ACCEPTED = {
    "string_type": "no text; accepted: a text, in quotes if it looks like a number",
    "bool_type": "neither true nor false; accepted: true, false",
    "int_type": "no whole number; accepted: a whole number such as 1000",
    "list_type": "no list; accepted: a list, each item on a line that begins with -",
    "model_type": "no mapping; accepted: lines of KEY: VALUE",
    "model_attributes_type": "no mapping; accepted: lines of KEY: VALUE",
    "too_short": "an empty list; accepted: one item or more",
}
#: Where anything may stand, also a secret.
_HIDDEN = ("list_type", "model_type", "model_attributes_type", "extra_forbidden")


def validate(document: Document) -> Config | None:
    """The document in the schema's shape, or None after adding to its problems whatever is wrong."""
    if document.content is None:
        if not document.problems:
            document.problems.append(Problem((), _unfit("the file is empty", Config), line=1))
        return None
    try:
        return Config.model_validate(document.content)
    except ValidationError as error:
        known = {problem.location for problem in document.problems}
        found = [_problem(details, document) for details in error.errors(include_url=False)]
        document.problems.extend(problem for problem in found if problem.location not in known)
        return None


def _problem(error: ErrorDetails, document: Document) -> Problem:
    tagged: Location = error["loc"]
    location, section = _place(tagged)
    text = _text(error, location, section)
    written = document.written.get(location)
    hidden = not location or location[-1] in HIDDEN_KEYS or error["type"] in _HIDDEN
    shown = written is not None and not hidden
    if shown and written != error["input"] and isinstance(error["input"], str):
        # What came from the environment may be a secret in the wrong place: show nothing that was made of it.
        text = f"what the environment holds does not fit{text[text.rfind('; accepted:') :]}"
    return Problem(location, text, document.line(location), written if shown else None)


def _text(error: ErrorDetails, location: Location, section: type[BaseModel]) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return _unknown(str(location[-1]), section)
        case "missing":
            field = section.model_fields[str(location[-1])]
            return f"required; accepted: {str(field.description).removesuffix('.')}"
        case "union_tag_not_found":
            return "the key mechanism is missing; accepted: DIGEST-MD5, GSSAPI"
        case "union_tag_invalid":
            return f"unknown mechanism; accepted: {_listed(context['expected_tags'])}"
        case "literal_error":
            return f"unknown; accepted: {_listed(context['expected'])}"
        case "greater_than_equal":
            return f"too small; accepted: a whole number from {context['ge']} on"
        case "less_than_equal":
            return f"too large; accepted: a whole number up to {context['le']}"
    return _ACCEPTED.get(error["type"], error["msg"])


def _listed(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")


def _unknown(name: str, section: type[BaseModel]) -> str:
    close = difflib.get_close_matches(name, section.model_fields, n=1)
    return _unfit(f"unknown key, perhaps meant as {close[0]}" if close else "unknown key", section)


def _unfit(problem: str, section: type[BaseModel]) -> str:
    return f"{problem}; accepted: {', '.join(section.model_fields)}"


def _place(tagged: Location) -> tuple[Location, type[BaseModel]]:
    """A location of pydantic's as the document has it, without the mechanisms in it, and the section it is in."""
    section: type[BaseModel] = Config
    choice: list[type[BaseModel]] = []
    location: Location = ()
    for part in tagged:
        chosen = [model for model in choice if len(choice) > 1 and part in get_args(_mechanism(model))]
        if chosen:
            section, choice = chosen[0], []
            continue
        location = (*location, part)
        if isinstance(part, str):
            if len(choice) == 1:
                section = choice[0]
            field = section.model_fields.get(part)
            choice = list(sections(field.annotation)) if field is not None else []
    return location, section


def _mechanism(section: type[BaseModel]) -> Any:
    return section.model_fields["mechanism"].annotation


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections(argument)
