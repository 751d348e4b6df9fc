"""Meaning: turns a well-formed configuration into settings, and reads the files that it names."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from exporter.config import schema, settings
from exporter.config.document import Document, Location
from exporter.config.globs import Pattern
from exporter.config.problems import Problem
from exporter.packs.library import load
from exporter.treecache.options import CacheOptions
from exporter.views.limits.view import Limits
from exporter.views.patterns import Patterns
from exporter.views.rules.rule import Rule, RuleError, check_collisions, check_rules

#: The maximum number of characters that a secret may have.
_SECRET_LIMIT = 64 * 1024


@dataclass
class Meaning:
    """The ensembles of a configuration, and its problems."""

    ensembles: tuple[settings.Ensemble, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def ensembles(config: schema.Config, document: Document) -> Meaning:
    """Turns a configuration into settings; `document` says how each value is written."""
    reader = _Reader(document)
    reader.once(((("ensembles", i, "name"), ensemble.name) for i, ensemble in enumerate(config.ensembles)), "ensemble")
    meant = tuple(reader.ensemble(section, ("ensembles", i)) for i, section in enumerate(config.ensembles))
    return Meaning(meant, reader.problems)


class _Reader:
    """Collects all problems, so that they are reported together; a configuration with a problem is not used."""

    def __init__(self, document: Document) -> None:
        self._folder = document.path.absolute().parent
        self._written = document.written
        self._files = document.files
        self._all_rules: list[Rule] = []
        #: The pack of each rule that is of one, by the rule's identity.
        self._packs: dict[int, str] = {}
        self.problems: list[Problem] = []

    def once(self, names: Iterable[tuple[Location, Hashable]], what: str) -> None:
        """Complains about duplicate names."""
        seen = set()
        for location, name in names:
            if name in seen:
                self._refuse(location, f"another {what} has this name; accepted: each name once")
            seen.add(name)

    def ensemble(self, section: schema.Ensemble, at: Location) -> settings.Ensemble:
        trees = tuple(self._tree(tree, (*at, "trees", i)) for i, tree in enumerate(section.trees))
        named_by = ("path" if tree.name is None else "name" for tree in section.trees)
        names = (((*at, "trees", i, key), tree.name) for i, (key, tree) in enumerate(zip(named_by, trees, strict=True)))
        self.once(names, "tree of the ensemble")
        return settings.Ensemble(
            name=section.name,
            hosts=section.hosts,
            trees=trees,
            session_timeout=section.session_timeout,
            max_reply_bytes=section.max_reply_bytes,
            quotas=section.quotas,
            digest=tuple(
                settings.Digest(user.username, self._password(user, (*at, "digest", i)))
                for i, user in enumerate(section.digest)
            ),
            sasl=self._sasl(section.sasl, (*at, "sasl")),
            tls=None if section.tls is None else self._tls(section.tls, (*at, "tls")),
            servers=_servers(section.servers),
        )

    def _tree(self, section: schema.Tree, at: Location) -> settings.Tree:
        for i, glob in enumerate(section.include):
            pattern = Pattern(glob)
            if not (pattern.covers(section.path) or pattern.leads_on(section.path)):
                root = self._as_written((*at, "path"))
                problem = f"matches nothing below {root}; accepted: a pattern that begins with the tree's path"
                self._refuse((*at, "include", i), problem)
        for i, glob in enumerate(section.exclude):
            if Pattern(glob).covers(section.path):
                root = self._as_written((*at, "path"))
                problem = f"excludes the whole tree at {root}; accepted: a pattern for znodes below it"
                self._refuse((*at, "exclude", i), problem)
        return settings.Tree(
            name=section.path if section.name is None else section.name,
            path=section.path,
            include=tuple(section.include),
            exclude=tuple(section.exclude),
            rules=tuple(self._rules(section, at)),
            limits=Limits(**section.limits.model_dump()),
            options=_options(section),
        )

    def _rules(self, tree: schema.Tree, at: Location) -> list[Rule]:
        """The rules of a tree that can stand beside each other, and beside those of the trees before it."""
        rules = self._rules_of_packs(tree, at)
        for i, section in enumerate(tree.metrics):
            place = (*at, "metrics", i)
            try:
                rule = Rule(**section.model_dump(exclude_none=True))
                self._check_beside(rule, rules)
            except RuleError as error:
                self._refuse((*place, error.field), self._without_environment(place, self._problem_of(error)))
                continue
            rules.append(rule)
            self._all_rules.append(rule)
            if Patterns([rule.pattern], tree.path).is_idle:
                root = self._as_written((*at, "path"))
                problem = f"matches nothing in the tree {root}; accepted: a pattern of absolute paths in the tree"
                self._refuse((*place, "match"), problem)
        return rules

    def _rules_of_packs(self, tree: schema.Tree, at: Location) -> list[Rule]:
        """The rules of a tree's packs; these never collide with each other, but with those of the trees before it."""
        self.once((((*at, "packs", i), name) for i, name in enumerate(tree.packs)), "pack of the tree")
        rules: list[Rule] = []
        for i, name in enumerate(tree.packs):
            if name in tree.packs[:i]:
                continue
            place = (*at, "packs", i)
            try:
                placed = load(name).rules_in(tree.path)
                check_collisions((*self._all_rules, *placed))
            except RuleError as error:
                said = error.problem.partition("; accepted: ")[0]
                self._refuse(place, f"{said}; accepted: another name for the metric of that rule")
            except ValueError:
                root = self._as_written((*at, "path"))
                self._refuse(place, f"no pattern can begin with the path {root}; accepted: a path without {{, }} and *")
            else:
                rules += placed
                self._all_rules += placed
                self._packs.update((id(rule), name) for rule in placed)
        return rules

    def _check_beside(self, rule: Rule, rules: list[Rule]) -> None:
        """Raises RuleError if a rule cannot stand beside these of its tree, or beside those of the trees before it."""
        check_rules((*rules, rule))
        check_collisions((*self._all_rules, rule))

    def _problem_of(self, error: RuleError) -> str:
        """The problem of a rule, which says so if it is with a rule that nobody wrote."""
        pack = self._packs.get(id(error.other))
        if pack is None:
            return error.problem
        said, accepted, what = error.problem.partition("; accepted: ")
        return f"{said}, which is of the pack {pack}{accepted}{what}"

    def _sasl(
        self, section: schema.DigestMd5 | schema.Gssapi | None, at: Location
    ) -> settings.DigestMd5 | settings.Gssapi | None:
        if isinstance(section, schema.DigestMd5):
            return settings.DigestMd5(section.username, self._password(section, at))
        if isinstance(section, schema.Gssapi):
            if importlib.util.find_spec("kerberos") is None:
                problem = "needs the Python package kerberos; accepted: with the extra treecache-exporter[gssapi]"
                self._refuse((*at, "mechanism"), problem)
            return settings.Gssapi(section.service, section.principal)
        return None

    def _password(self, section: schema.Password, at: Location) -> SecretStr:
        secret = self._secret(section, "password", at)
        if secret is None:
            self._refuse(at, "the password is missing; accepted: password or password_file")
            return SecretStr("")
        return secret

    def _secret(self, section: schema.Section, key: str, at: Location) -> SecretStr | None:
        """The secret under `key` or in the file under `key`_file."""
        in_place: SecretStr | None = getattr(section, key)
        file: str | None = getattr(section, f"{key}_file")
        if file is None:
            return in_place
        location = (*at, f"{key}_file")
        if in_place is not None:
            self._refuse(location, f"contradicts {key}; accepted: one of the two")
            return in_place
        return self._read_secret(file, location)

    def _read_secret(self, file: str, location: Location) -> SecretStr | None:
        self._files.note(self._folder / file)
        try:
            with (self._folder / file).open(encoding="utf-8") as stream:
                text = stream.read(_SECRET_LIMIT + 1).rstrip("\r\n")
        except (OSError, ValueError) as error:
            self._refuse(location, f"cannot be read: {_reason(error)}; accepted: a text file")
            return SecretStr("")
        if not text or len(text) > _SECRET_LIMIT:
            self._refuse(location, f"empty or too large; accepted: a file of 1 to {_SECRET_LIMIT} characters")
        return SecretStr(text)

    def _tls(self, section: schema.Tls, at: Location) -> settings.Tls:
        tls = settings.Tls(
            ca_file=self._found(section.ca_file),
            cert_file=self._found(section.cert_file),
            key_file=self._found(section.key_file),
            key_password=self._secret(section, "key_password", at),
            check_hostname=section.check_hostname and not section.insecure_skip_verify,
            insecure_skip_verify=section.insecure_skip_verify,
        )
        if (tls.cert_file is None) != (tls.key_file is None):
            missing, given = ("key_file", "cert_file") if tls.key_file is None else ("cert_file", "key_file")
            self._refuse((*at, given), f"given without {missing}; accepted: both or neither")
        elif tls.key_file is None and tls.key_password is not None:
            self._refuse((*at, "key_file"), "required for a key's password; accepted: a PEM file")
        self._try_certificates(tls, at)
        return tls

    def _found(self, file: str | None) -> Path | None:
        return None if file is None else self._folder / file

    def _try_certificates(self, tls: settings.Tls, at: Location) -> None:
        """Loads the files once, so that a bad one is reported now and not by every connection."""
        for file in filter(None, (tls.ca_file, tls.cert_file, tls.key_file)):
            self._files.note(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if tls.ca_file is not None:
                context.load_verify_locations(tls.ca_file)
        except (OSError, ValueError) as error:
            self._refuse((*at, "ca_file"), f"{_reason(error)}; accepted: a PEM file of authorities")
        if tls.cert_file is None or tls.key_file is None:
            return
        # An empty password rather than None, with which OpenSSL would prompt on the terminal.
        password = "" if tls.key_password is None else tls.key_password.get_secret_value()
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file, password)
        except (OSError, ValueError) as error:
            problem = f"{_reason(error)}; accepted: PEM files, with key_password if the key is encrypted"
            key_file = self._as_written((*at, "key_file"))
            self._refuse((*at, "cert_file"), f"not usable with key_file {key_file}: {problem}")

    def _refuse(self, location: Location, problem: str) -> None:
        self.problems.append(Problem(location, problem, None, self._as_written(location)))

    def _without_environment(self, section: Location, problem: str) -> str:
        """A problem of a section without values, if one of the section's may come from the environment."""
        written = (text for place, text in self._written.items() if place[: len(section)] == section)
        if not any("${" in (text or "") for text in written):
            return problem
        return f"a value from the environment does not fit{problem[problem.rfind('; accepted:') :]}"

    def _as_written(self, location: Location) -> str | None:
        """A value as a complaint may show it: without text from the environment, which may be a misplaced secret."""
        return self._written.get(location)


def _servers(section: schema.Servers) -> settings.Servers | None:
    """How to ask the servers; None if they are not asked."""
    if section.interval is None:
        return None
    return settings.Servers(section.interval, section.timeout, section.admin, section.names == "all", section.discover)


def _options(section: schema.Tree) -> CacheOptions:
    """The options of a tree's cache: all keys of the tree but those that define the tree itself.

    A key that is not an option of a cache raises TypeError, as it would otherwise be accepted and ignored.
    """
    given: dict[str, Any] = {}
    defining = {"name", "path", "include", "exclude", "packs", "metrics", "limits"}
    for key, value in section.model_dump(exclude=defining).items():
        if isinstance(value, dict):
            given.update({f"{key}_{inner}": of_it for inner, of_it in value.items()})
        else:
            given[key] = value
    return replace(settings.OPTIONS, **given)


def _reason(error: Any) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "not a PEM file that OpenSSL can read").lower().replace("_", " ")
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(getattr(error, "strerror", None) or error)
