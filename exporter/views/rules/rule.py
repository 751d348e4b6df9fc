"""Rule: one metric of what is in znodes, as data, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from exporter.views.pattern import Pattern
from exporter.views.rules.pointer import POINTER_ACCEPTED, Pointer

if TYPE_CHECKING:
    from exporter.telemetry.catalogue import Kind

#: The values of a rule; docs and `Rule` say what each is.
VALUES = (
    "count",
    "exists",
    "children",
    "bytes",
    "number",
    "json",
    "version",
    "created",
    "modified",
    "changes",
    "child_changes",
    "info",
    "owner",
    "election",
)
KINDS = ("ephemeral", "persistent")
AGGREGATES = ("sum", "min", "max", "avg")
#: The values that are a number of each znode, so that several of one series can be aggregated.
MEASURED = ("children", "bytes", "number", "json", "version", "created", "modified")
#: Those for which the data of the znodes that match is read, and those that take a key.
READING = ("number", "json", "info", "owner", "election")
_KEYED = ("json", "owner", "election")
#: The most series of a rule, by default.
MAX_SERIES = 1000

PREFIX = "zookeeper_znode_"
#: Metrics of these prefixes are the exporter's own, ZooKeeper's, or its client library's.
RESERVED = (
    "zookeeper_cache_",
    "zookeeper_client_",
    "zookeeper_quota_",
    "zookeeper_server_",
    "zookeeper_znode_rule_",
    "treecache_exporter_",
    "zk_",
    "process_",
    "python_",
)
#: Labels that each series has already.
_TAKEN = ("ensemble", "tree")

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
#: https://prometheus.io/docs/concepts/data_model/
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_HELP = {
    "count": "Znodes that match {match}.",
    "exists": "Whether a znode matches {match}.",
    "children": "Children of the znode {match}.",
    "bytes": "Length of the data of the znode {match}.",
    "number": "The number in the znode {match}.",
    "json": "The number at {key} in the znode {match}.",
    "version": "Version of the data of the znode {match}.",
    "created": "When the znode {match} was created, in Unix time.",
    "modified": "When the data of the znode {match} was last changed, in Unix time.",
    "changes": "Changes of the data of the znode {match}.",
    "child_changes": "Children created and deleted below the znode {match}.",
    "info": "What the znode {match} says.",
    "owner": "Who holds the znode {match}.",
    "election": "Who leads the candidates below the znode {match}.",
}


class RuleError(ValueError):
    """A rule is wrong: its name, the field whose value is not accepted, and the ``problem``, with what is accepted.

    ``other`` is the rule that it cannot stand beside, if that is the problem.
    """

    def __init__(self, rule: str, field: str, problem: str, value: object = None, *, other: Rule | None = None) -> None:
        shown = field if value is None else f"{field}={value!r}"
        super().__init__(f"rule {rule}: {shown}: {problem}")
        self.rule = rule
        self.field = field
        self.problem = problem
        self.other = other


class Family(NamedTuple):
    """A metric of a rule: its name as queries use it, its type, its help, and the labels besides ensemble and tree."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]

    @property
    def bare(self) -> str:
        """The name without a suffix of its type; for OpenMetrics, two families of one bare name are one."""
        return self.name.removesuffix("_total").removesuffix("_info")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One metric of what is in znodes.

    Args:
        name: the metric is ``zookeeper_znode_<name>``, with a suffix that depends on the value.
        match: the pattern of the znodes' absolute paths, inside the client's chroot: ``/services/{service}/config``. A
            part is text, ``*`` for any one part, ``**`` for any number of parts, or has captures, which are labels:
            ``{name}``, with text around it (``lock-{seq}``) or restricted by a regular expression
            (``{broker:[0-9]+}``); at most three. Prometheus renames the labels ``instance`` and ``job`` of a scrape to
            ``exported_instance`` and ``exported_job``, since it has its own.
        value: one of `VALUES`:

            - ``count``: how many znodes match. A rule without labels has its 0, too; one with labels has a series while
              a znode matches.
            - ``exists``: 1 while a znode matches; a rule without labels has its 0, too.
            - ``children``, ``bytes``, ``version``: of the znode's stat. The server counts the children.
            - ``created``, ``modified``: Unix seconds by the server's clock; suffix ``_timestamp_seconds``.
            - ``number``: the data as a decimal number. ``json``: the number or boolean at `key`.
            - ``changes``, ``child_changes``: counters of the writes of data, and of children created or deleted, since
              the tree was first complete; suffix ``_total``. They are the gaps in the znode's versions, so writes that
              were read together are all counted. The creation of the znode itself is none.
            - ``info``: 1, with labels from the data; suffix ``_info``.
            - ``owner``: who holds the znode, as ``_info{owner=}``, ``_owner_changes_total`` and
              ``_owner_since_timestamp_seconds``.
            - ``election``: the same for the oldest of the sequential children of the znode, with ``_candidates``.
        help: the help text of the metric; by default it says what the rule does.
        key: where the value is in JSON data, as a JSON pointer (RFC 6901); required for ``json``. Without it the
            owner is the data as text.
        labels: for ``info``: the labels and the JSON pointers of their values; by default one label, ``value``, has
            the data as text.
        by: the captures that are labels, by default all. Znodes with the same ones are of one series.
        kind: ``ephemeral`` or ``persistent`` for znodes of that kind only.
        aggregate: one of `AGGREGATES`, if several znodes may be of one series. Without it they are unusable then.
            Not for values that add up by themselves.
        max_series: the most series. Those of the oldest znodes stay, and the others are counted as dropped.
        metric: the name of the metric instead of ``zookeeper_znode_<name>``; it gets the same suffixes, unless it has
            them.

    Raises:
        RuleError: a field is wrong. It is a ValueError whose message names the rule and the field, and says what is
            accepted.
    """

    name: str
    match: str
    value: str
    help: str = ""
    key: str | None = None
    labels: Mapping[str, str] | None = None
    by: Sequence[str] | None = None
    kind: str | None = None
    aggregate: str | None = None
    max_series: int = MAX_SERIES
    metric: str | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if not _NAME.fullmatch(self.name):
            self._refuse("name", "not a name; accepted: letters, digits and _, with a letter first")
        if (PREFIX + self.name).startswith(RESERVED):
            self._refuse("name", "begins with rule_, as metrics of the exporter do; accepted: another name")
        self._check_choice("value", VALUES)
        if self.kind is not None:
            self._check_choice("kind", KINDS)
        try:
            pattern = self.pattern
        except ValueError as error:
            raise RuleError(self.name, "match", str(error)) from None
        self._check_key()
        self._check_labels(pattern)
        if self.aggregate is not None:
            self._check_choice("aggregate", AGGREGATES)
            if self.value not in MEASURED:
                self._refuse("aggregate", f"not for the value {self.value}; accepted: with {', '.join(MEASURED)}")
        if not isinstance(self.max_series, int) or isinstance(self.max_series, bool) or self.max_series < 1:
            self._refuse("max_series", "too small; accepted: a whole number from 1 on")
        if self.metric is not None and not _METRIC.fullmatch(self.metric):
            self._refuse("metric", "not a metric name; accepted: letters, digits, _ and :, without a digit first")
        for family in self.families:
            # With its suffix: python and info are python_info.
            if self.metric is not None and family.name.startswith(RESERVED):
                own = ", ".join(f"{prefix}*" for prefix in RESERVED)
                self._refuse("metric", f"a name of the exporter's own metrics; accepted: other names than {own}")
            if not family.bare:
                self._refuse("metric", "nothing but a suffix; accepted: a name before it")

    @cached_property
    def pattern(self) -> Pattern:
        """The pattern of the znodes' paths."""
        return Pattern(self.match)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The labels that come from captures."""
        return self.pattern.captures if self.by is None else tuple(self.by)

    @cached_property
    def data_labels(self) -> tuple[str, ...]:
        """The labels of ``info`` that come from the data."""
        if self.value != "info":
            return ()
        return ("value",) if self.labels is None else tuple(self.labels)

    @property
    def reads_data(self) -> bool:
        """Whether it reads the data of znodes."""
        return self.value in READING

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Its metrics; the first is that of `help`."""
        base, labels = self.metric or PREFIX + self.name, self.label_names
        text = self.help or _HELP[self.value].format(match=self.match, key=self.key)
        if self.value in ("owner", "election"):
            of_owner = base.removesuffix("_info")
            families = (
                Family(f"{of_owner}_info", "info", text, (*labels, "owner")),
                Family(f"{of_owner}_owner_changes_total", "counter", f"Changes of the owner. {text}", labels),
                Family(
                    f"{of_owner}_owner_since_timestamp_seconds",
                    "gauge",
                    f"Since when the owner is the owner, in Unix time. {text}",
                    labels,
                ),
            )
            candidates = Family(f"{of_owner}_candidates", "gauge", f"Candidates, with the leader. {text}", labels)
            return (*families, candidates) if self.value == "election" else families
        kind, suffix = _types().get(self.value, ("gauge", ""))
        name = base if base.endswith(suffix) else base + suffix
        return (Family(name, kind, text, (*labels, *self.data_labels)),)

    @property
    def read_patterns(self) -> tuple[str, ...]:
        """The patterns of the paths whose data it reads."""
        if not self.reads_data:
            return ()
        return (self.match if self.value != "election" else self.match.rstrip("/") + "/*",)

    # Checks

    def _check_types(self) -> None:
        for field in ("name", "match", "value", "help"):
            if not isinstance(getattr(self, field), str):
                self._refuse(field, "not a text; accepted: a string")
        for field in ("key", "kind", "aggregate", "metric"):
            if not isinstance(getattr(self, field), str | None):
                self._refuse(field, "not a text; accepted: a string")
        if self.labels is not None and not all(isinstance(one, str) for item in self.labels.items() for one in item):
            self._refuse("labels", "not texts; accepted: labels with JSON pointers")

    def _refuse(self, field: str, problem: str) -> NoReturn:
        raise RuleError(str(self.name), field, problem, getattr(self, field))

    def _check_choice(self, field: str, choices: Iterable[str]) -> None:
        if getattr(self, field) not in choices:
            self._refuse(field, f"unknown; accepted: {', '.join(choices)}")

    def _check_key(self) -> None:
        if self.key is None:
            if self.value == "json":
                self._refuse("key", f"required for the value json; {POINTER_ACCEPTED}")
            return
        if self.value not in _KEYED:
            self._refuse("key", f"not for the value {self.value}; accepted: with {', '.join(_KEYED)}")
        self._check_pointer("key", self.key)

    def _check_pointer(self, field: str, pointer: str, of_label: str = "") -> None:
        try:
            Pointer(pointer)
        except ValueError as error:
            raise RuleError(self.name, field, f"{of_label}{error}") from None

    def _check_labels(self, pattern: Pattern) -> None:
        if isinstance(self.by, str):
            self._refuse("by", "not a list; accepted: a list of captures")
        unknown = [name for name in self.by or () if name not in pattern.captures]
        if unknown:
            captures = ", ".join(pattern.captures) or "none"
            self._refuse("by", f"{unknown[0]!r} is not a capture of the pattern; accepted: {captures}")
        if len(set(self.label_names)) < len(self.label_names):
            self._refuse("by", "a capture twice; accepted: each capture once")
        if self.labels is not None and (self.value != "info" or not self.labels):
            self._refuse("labels", "empty, or not for the value info; accepted: labels with JSON pointers, for info")
        for label, pointer in (self.labels or {}).items():
            if not _LABEL.fullmatch(label):
                problem = f"{label!r} is not a label name; accepted: letters, digits and _, without a digit first"
                self._refuse("labels", problem)
            self._check_pointer("labels", pointer, f"{label}: ")
        for family in self.families:
            for label in family.labels:
                if label in _TAKEN or label.startswith("__"):
                    reserved = f"{', '.join(_TAKEN)} and names that begin with __"
                    self._refuse("match", f"the label {label!r} is reserved; accepted: other names than {reserved}")
                if family.labels.count(label) > 1:
                    self._refuse("match", f"the metric has the label {label!r} twice; accepted: another name for it")


def _types() -> Mapping[str, tuple[Kind, str]]:
    """Type and suffix of the values that are no plain gauges."""
    return {
        "created": ("gauge", "_timestamp_seconds"),
        "modified": ("gauge", "_timestamp_seconds"),
        "changes": ("counter", "_total"),
        "child_changes": ("counter", "_total"),
        "info": ("info", "_info"),
    }


def check_rules(rules: Iterable[Rule]) -> None:
    """Checks that the rules of one tree can stand side by side.

    Raises:
        RuleError: two have the same name, or metrics whose names collide.
    """
    rules, named = tuple(rules), dict[str, Rule]()
    for rule in rules:
        if rule.name in named:
            problem = "another rule of the tree has this name; accepted: each name once"
            raise RuleError(rule.name, "name", problem, other=named[rule.name])
        named[rule.name] = rule
    check_collisions(rules)


def check_collisions(rules: Iterable[Rule]) -> None:
    """Checks that metrics of the same name are of the same type and mean the same labels, also in several trees.

    Raises:
        RuleError: they are not.
    """
    known: dict[str, tuple[Rule, Family]] = {}
    for rule in rules:
        for family in rule.families:
            other, before = known.setdefault(family.bare, (rule, family))
            if (before.name, before.kind, before.labels) != (family.name, family.kind, family.labels):
                field = "name" if rule.metric is None else "metric"
                collides = f"the metric {family.name} collides with {before.name} of the rule {other.name}"
                raise RuleError(rule.name, field, f"{collides}; accepted: another", other=other)
