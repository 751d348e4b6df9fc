"""Sections: a YAML file as nested sections that know their lines, so that a complaint can name the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from exporter.config.settings import SettingsError
from exporter.config.yamlfile import SIZE_LIMIT, UnreadableFileError, complaint, compose, content_of, without_value

_NULL = "tag:yaml.org,2002:null"
_BOOLEANS = {"true": True, "false": False}


class UnprotectedError(SettingsError):
    """A configuration, probably a truncated file, would leave the server with less protection than requested."""


class Section:
    """A mapping of a YAML file. Callers take its keys one by one; `end` complains about keys that no caller took.

    A key whose value is null counts as absent. Every method raises SettingsError for a value of another type.
    """

    def __init__(self, path: Path, name: str, line: int, nodes: dict[str, tuple[ScalarNode, Node]]) -> None:
        self._path = path
        self._name = name
        self._line = line
        self._nodes = nodes
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def error(self, key: str, value: str | None, problem: str) -> SettingsError:
        """The complaint about one key of this section, with the key's line."""
        line = self._nodes[key][0].start_mark.line + 1 if key in self._nodes else self._line
        return SettingsError(f"{self._path}:{line}: {self._name}{without_value(key)}", value, problem)

    def names(self) -> Iterator[str]:
        """All keys, for sections whose keys the user chooses."""
        yield from list(self._nodes)

    def section(self, key: str) -> Section:
        """The mapping under a key; empty if the key is absent."""
        node = self._take(key)
        if node is None:
            return Section(self._path, f"{self._name}{key}.", self._line, {})
        if not isinstance(node, MappingNode):
            raise self._mistyped(key, "a mapping")
        return _section(self._path, f"{self._name}{key}.", node)

    def check_not_null(self, key: str) -> None:
        """Raises UnprotectedError for a key without a value, which may be the end of a truncated file."""
        if key in self and self._take(key) is None:
            line = self._nodes[key][0].start_mark.line + 1
            problem = "no value, the file may be truncated; accepted: a mapping, {} for an empty one"
            raise UnprotectedError(f"{self._path}:{line}: {self._name}{key}", None, problem)

    def text(self, key: str, default: str = "") -> str:
        """A scalar as it is written."""
        node = self._take(key)
        if node is None:
            return default
        if not isinstance(node, ScalarNode):
            raise self._mistyped(key, "a string")
        return str(node.value)

    def boolean(self, key: str, default: bool) -> bool:
        """`true` or `false`."""
        text = self.text(key, str(default))
        if text.lower() not in _BOOLEANS:
            raise self.error(key, text, "accepted: true, false")
        return _BOOLEANS[text.lower()]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of scalars, each as it is written."""
        node = self._take(key)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode) or not all(isinstance(item, ScalarNode) for item in node.value):
            raise self._mistyped(key, "a list of strings")
        return tuple(str(item.value) for item in node.value)

    def end(self) -> None:
        """Raises SettingsError if no caller took a key of this section."""
        for key in self._nodes:
            if key not in self._known:
                raise self.error(key, None, f"unknown key; accepted: {', '.join(sorted(self._known))}")

    def _take(self, key: str) -> Node | None:
        self._known.append(key)
        node = self._nodes[key][1] if key in self._nodes else None
        return None if isinstance(node, ScalarNode) and node.tag == _NULL else node

    def _mistyped(self, key: str, accepted: str) -> SettingsError:
        # The value is not shown: it may be a user and a password in the place of a mapping.
        return self.error(key, None, f"wrong type; accepted: {accepted}")


def read(path: Path) -> Section:
    """A file's top section.

    Raises SettingsError if the file cannot be read or is not a YAML mapping.
    """
    try:
        content = content_of(path)
    except UnreadableFileError as reason:
        raise SettingsError(str(path), None, f"cannot be read: {reason}") from None
    if len(content) > SIZE_LIMIT:
        raise SettingsError(str(path), None, f"too large; accepted: up to {SIZE_LIMIT} bytes")
    return parse(path, content)


def parse(path: Path, content: bytes) -> Section:
    """The top section of a file's content.

    Raises UnprotectedError for an empty file, SettingsError if it is not a YAML mapping.
    """
    try:
        root = compose(content)
    except UnicodeDecodeError:
        _refuse(path, 1, "not UTF-8")
    except RecursionError:
        _refuse(path, 1, "nested too deeply")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(path, mark.line + 1 if mark else 1, complaint(error))
    except (YAMLError, ValueError):
        _refuse(path, 1, "it has characters that YAML does not allow")
    if root is None or (isinstance(root, ScalarNode) and root.tag == _NULL):
        problem = "the file is empty, perhaps truncated; accepted: a YAML mapping, {} for no TLS and no passwords"
        raise UnprotectedError(f"{path}:1", None, problem)
    if not isinstance(root, MappingNode):
        _refuse(path, root.start_mark.line + 1, "the file is not a mapping")
    return _section(path, "", root)


def _section(path: Path, name: str, mapping: MappingNode) -> Section:
    nodes: dict[str, tuple[ScalarNode, Node]] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            _refuse(path, line, "a key is not a string")
        if key.value in nodes:
            raise SettingsError(f"{path}:{line}: {name}{without_value(key.value)}", None, "given twice; accepted: once")
        nodes[key.value] = key, value
    return Section(path, name, mapping.start_mark.line + 1, nodes)


def _refuse(path: Path, line: int, problem: str) -> NoReturn:
    raise SettingsError(f"{path}:{line}", None, f"{problem}; accepted: a YAML mapping in UTF-8") from None
