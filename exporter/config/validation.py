"""Validation: checks a document against the schema, and puts each problem into words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.document import Document, Location
from exporter.config.problems import Problem
from exporter.config.schema import HIDDEN_KEYS, Config

#: The complaints for pydantic's errors about plain types.
_ACCEPTED = {
    "string_type": "not a string; accepted: a string, in quotes if it looks like a number",
    "bool_type": "not a boolean; accepted: true, false",
    "int_type": "not a whole number; accepted: a whole number such as 1000",
    "list_type": "not a list; accepted: a list, each item on a line that begins with -",
    "model_type": "not a mapping; accepted: lines of KEY: VALUE",
    "model_attributes_type": "not a mapping; accepted: lines of KEY: VALUE",
    "too_short": "an empty list; accepted: at least one item",
}
#: Errors whose value may be anything, also a secret.
_HIDDEN = ("list_type", "model_type", "model_attributes_type", "extra_forbidden")


def validate(document: Document) -> Config | None:
    """The document as the schema's models; None if it does not fit, with the reasons added to its problems."""
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
        # A value from the environment may be a misplaced secret, so nothing of it is shown.
        text = f"the value from the environment does not fit{text[text.rfind('; accepted:') :]}"
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
    return _unfit(f"unknown key, did you mean {close[0]}" if close else "unknown key", section)


def _unfit(problem: str, section: type[BaseModel]) -> str:
    return f"{problem}; accepted: {', '.join(section.model_fields)}"


def _place(tagged: Location) -> tuple[Location, type[BaseModel]]:
    """Pydantic's location as one of the document, without the tags of unions, and the section it is in."""
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
