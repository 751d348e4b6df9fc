"""Document: a YAML file as plain values, with the line of each key, so that a complaint can name the line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from exporter.config.files import Files
from exporter.config.problems import Problem
from exporter.config.scalars import FromEnvironment, plain
from exporter.config.yamlfile import SIZE_LIMIT, UnreadableFileError, complaint, compose, content_of

#: The maximum number of values that a file may hold once its aliases are expanded.
VALUES_LIMIT = 100_000

#: The path to a value from the top of the file: keys of mappings and indices of lists.
Location = tuple[str | int, ...]

_YAML_ACCEPTED = "accepted: a YAML mapping in UTF-8"
_CORE_TAGS = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null")
_REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>[^}:]*)(?P<default>:-[^}]*)?\}|(?P<other>.?))", re.DOTALL)
_VARIABLE_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Document:
    """A file's values, the line of each, its scalars as they are written, and the problems of single values.

    `files` are the file itself and the files it names, as far as they were read.
    """

    path: Path
    files: Files = field(default_factory=Files)
    content: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    written: dict[Location, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """The line of a value; for a missing one, the line of the mapping or list that should hold it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read(path: Path, files: Files | None = None) -> Document:
    """Reads a file and notes it in `files`. Replaces `${NAME}` by the environment variable, and `$$` by `$`.

    A document that is not valid YAML has problems and no content.
    """
    document = Document(path, Files() if files is None else files)
    document.files.note(path)
    try:
        source = content_of(path)
    except UnreadableFileError as reason:
        document.problems.append(Problem((), f"cannot be read: {reason}; accepted: a YAML file", line=None))
        return document
    if len(source) > SIZE_LIMIT:
        problem = f"larger than {SIZE_LIMIT} bytes; accepted: a smaller file"
        document.problems.append(Problem((), problem, line=None))
        return document
    _Reader(document).read(source)
    return document


class _Reader:
    """Turns YAML's nodes into values, of YAML 1.2's core types only."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0

    def read(self, source: bytes) -> None:
        try:
            root = compose(source)
            if root is not None:
                self._document.content = self._value(root, ())
        except UnicodeDecodeError as error:
            self._refuse(source.count(b"\n", 0, error.start) + 1, "not UTF-8")
        except (RecursionError, _TooLargeError):
            self._refuse(1, "nested too deeply, or too large once its aliases are expanded")
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._refuse(mark.line + 1 if mark else 1, f"not valid YAML: {complaint(error)}")
        except (YAMLError, ValueError):
            self._refuse(1, "not valid YAML: it has characters that YAML does not allow")

    def _refuse(self, line: int, problem: str) -> None:
        self._document.content = None
        self._document.problems = [Problem((), f"{problem}; {_YAML_ACCEPTED}", line=line)]

    def _problem(self, location: Location, problem: str, key: Node | None = None) -> None:
        line = self._document.line(location) if key is None else key.start_mark.line + 1
        self._document.problems.append(Problem(location, problem, line))

    def _value(self, node: Node, location: Location) -> Any:
        self._document.lines.setdefault(location, node.start_mark.line + 1)
        self._values += 1
        if self._values > VALUES_LIMIT:
            raise _TooLargeError
        if not str(node.tag).startswith(_CORE_TAGS):
            self._problem(location, "YAML tags are not supported; accepted: a value without a tag")
        if isinstance(node, SequenceNode):
            return [self._value(item, (*location, index)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, location)
        assert isinstance(node, ScalarNode)
        return self._scalar(node, location)

    def _mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else None
            if name is None:
                self._problem(location, "a key is not a string; accepted: a string", key)
            elif name in mapping:
                self._problem((*location, name), "the key is given twice; accepted: once", key)
            else:
                place = (*location, name)
                self._document.lines[place] = key.start_mark.line + 1
                mapping[name] = self._value(value, place)
        return mapping

    def _scalar(self, node: ScalarNode, location: Location) -> Any:
        text = str(node.value)
        self._document.written[location] = text
        if node.style is None and text.lower() in _NULLS and location:
            self._problem(location, "no value; accepted: a value, or leave the line out")
        if node.style is None and not isinstance(value := plain(text), str):
            return value
        try:
            expanded = _expanded(text)
            is_held = text.replace("$$", "$") != expanded
            return FromEnvironment(expanded) if is_held and not isinstance(plain(expanded), str) else expanded
        except ValueError as error:
            self._problem(location, str(error))
            return text


class _TooLargeError(Exception):
    pass


def _expanded(text: str) -> str:
    """The text with its environment variables expanded. Raises ValueError, which says what is wrong and accepted."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None and match["other"] is None:
            return "$"
        if name is None or not _VARIABLE_NAME.fullmatch(name):
            raise ValueError("a $ without {NAME}; accepted: ${NAME} for an environment variable, $$ for a literal $")
        default = match["default"]
        if default is not None:
            # As in a shell, an empty variable gets the default too.
            return os.environ.get(name) or default.removeprefix(":-")
        if name not in os.environ:
            raise ValueError(
                f"the environment variable {name} is not set; accepted: the name of a variable that is set"
            )
        return os.environ[name]

    return _REFERENCE.sub(value, text)
