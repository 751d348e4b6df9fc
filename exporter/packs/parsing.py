"""Parsing: a pack's YAML file, with all that can be wrong in it.

Each rule names the source of its path: a file of that system's code, whose address is in the pack, and the name that
writes the path there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from exporter.packs.pack import NOT_TEXT, Alert, Pack
from exporter.views.rules.rule import Rule, RuleError, check_rules

_TEXTS = ("title", "description", "root", "root_is")
_KEYS = (*_TEXTS, "sources", "omits", "rules", "alerts")
_ALERT_KEYS = ("alert", "expr", "for", "severity", "summary", "look")
#: The keys of a rule: those of `Rule`, and where its path is from.
_RULE_KEYS = (*(field.name for field in fields(Rule)), "source")
_REQUIRED = (*(field.name for field in fields(Rule) if field.default is MISSING), "help", "source")
_ALERT_NAME = re.compile(r"([A-Z][A-Za-z]*)+")
_WAIT = re.compile("[0-9]+[smhd]")
_SEVERITIES = ("warning", "critical")
_METRIC = re.compile(r"\bzookeeper_znode_\w+")


class PackError(ValueError):
    """A pack's file is wrong; the text names the pack, the key, and what is accepted."""


def parse(name: str, text: str) -> Pack:
    """The pack of a file.

    Raises:
        PackError: the file is wrong.
    """
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise PackError(f"pack {name}: not valid YAML: {' '.join(str(error).split())}; accepted: a mapping") from None
    return _Reader(name).pack(content, text)


class _Reader:
    """Checks the content of a file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def pack(self, content: Any, text: str) -> Pack:
        self._check_keys("", content, _KEYS, _KEYS)
        for key in _TEXTS:
            self._check_text(key, content[key])
        root = content["root"]
        if not (root.startswith("/") and posixpath.normpath(root) == root and NOT_TEXT.isdisjoint(root)):
            self._refuse("root", "not an absolute path; accepted: a path such as /hbase")
        self._check_list("omits", content["omits"])
        self._check_list("rules", content["rules"])
        self._check_list("alerts", content["alerts"])
        for index, omitted in enumerate(content["omits"]):
            self._check_text(f"omits[{index}]", omitted)
        sources = self._sources(content["sources"])
        rules = [self._rule(f"rules[{index}]", given, sources) for index, given in enumerate(content["rules"])]
        try:
            check_rules(rules)
        except RuleError as error:
            self._refuse("rules", str(error))
        metrics = {family.name for rule in rules for family in rule.families}
        return Pack(
            name=self._name,
            **{key: content[key].strip() for key in _TEXTS},
            omits=tuple(content["omits"]),
            rules=tuple(rules),
            alerts=tuple(
                self._alert(f"alerts[{index}]", given, metrics) for index, given in enumerate(content["alerts"])
            ),
            sources=sources,
            text=text,
        )

    def _sources(self, given: Any) -> Mapping[str, str]:
        if not isinstance(given, dict) or not given:
            self._refuse("sources", "not a mapping, or empty; accepted: names of files with their addresses")
        for name, address in given.items():
            if not isinstance(address, str) or not address.startswith("https://") or not address.endswith(f"/{name}"):
                self._refuse(f"sources.{name}", "accepted: the address of the file of this name, with https")
        return given

    def _rule(self, place: str, given: Any, sources: Mapping[str, str]) -> Rule:
        self._check_keys(place, given, _RULE_KEYS, _REQUIRED)
        self._check_text(f"{place}.source", given["source"])
        for one in given["source"].split("; "):
            file, _, name = one.partition(", ")
            if file not in sources or not name:
                self._refuse(f"{place}.source", f"{one}: accepted: a file of sources, a comma, and a name in it")
        self._check_text(f"{place}.help", given["help"])
        try:
            rule = Rule(**{key: value for key, value in given.items() if key != "source"})
        except RuleError as error:
            self._refuse(place, str(error))
        if not rule.name.startswith(f"{self._name}_"):
            self._refuse(f"{place}.name", f"{rule.name}: accepted: a name that begins with {self._name}_")
        return rule

    def _alert(self, place: str, given: Any, metrics: set[str]) -> Alert:
        self._check_keys(place, given, _ALERT_KEYS, _ALERT_KEYS)
        for key in _ALERT_KEYS:
            self._check_text(f"{place}.{key}", given[key])
        name, expr, wait, severity, summary, look = (given[key].strip() for key in _ALERT_KEYS)
        if not _ALERT_NAME.fullmatch(name):
            self._refuse(f"{place}.alert", f"{name}: accepted: a name such as KafkaControllerMissing")
        if not _WAIT.fullmatch(wait):
            self._refuse(f"{place}.for", f"{wait}: accepted: a duration of one unit, such as 10m")
        if severity not in _SEVERITIES:
            self._refuse(f"{place}.severity", f"{severity}: accepted: {', '.join(_SEVERITIES)}")
        used = set(_METRIC.findall(expr))
        if not used or not used <= metrics:
            strange = ", ".join(sorted(used - metrics)) or "no metric"
            self._refuse(f"{place}.expr", f"{strange}: accepted: the metrics of the pack's rules")
        return Alert(name, expr, wait, severity, summary, look)

    def _check_keys(self, place: str, given: Any, known: tuple[str, ...], required: tuple[str, ...]) -> None:
        if not isinstance(given, dict):
            self._refuse(place or "the file", f"not a mapping; accepted: {', '.join(known)}")
        for key in given:
            if key not in known:
                self._refuse(f"{place}.{key}".lstrip("."), f"unknown key; accepted: {', '.join(known)}")
        for key in required:
            if key not in given:
                self._refuse(f"{place}.{key}".lstrip("."), "missing; accepted: a value")

    def _check_text(self, place: str, value: Any) -> None:
        if not isinstance(value, str) or not value.strip():
            self._refuse(place, "not a text, or empty; accepted: a string")

    def _check_list(self, place: str, value: Any) -> None:
        if not isinstance(value, list):
            self._refuse(place, "not a list; accepted: a list")

    def _refuse(self, place: str, problem: str) -> NoReturn:
        raise PackError(f"pack {self._name}: {place}: {problem}")
