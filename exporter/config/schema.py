"""Schema: the shape of the configuration file. `make generate` publishes it as docs/config.schema.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from exporter.config import settings
from exporter.config.globs import Pattern
from exporter.config.scalars import FromEnvironment, plain
from exporter.config.settings import OPTIONS, parse_admin_url, parse_duration, parse_hosts, parse_name, parse_path
from exporter.packs.library import NAMES
from exporter.views.limits.view import Limits
from exporter.views.rules.rule import AGGREGATES, KINDS, MAX_SERIES, VALUES
from exporter.zookeeper.frames import LEAST_MAX_FRAME, MOST_MAX_FRAME

_DURATION_PATTERN = "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
_DURATION_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1, "pattern": _DURATION_PATTERN}, {"const": 0}]}
_REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
#: Keys whose values must not appear in any complaint.
SECRET_KEYS = ("password", "key_password")
#: Keys whose values are hidden: these, and keys that may hold a secret by mistake, as ZooKeeper writes USER:PASSWORD.
HIDDEN_KEYS = (*SECRET_KEYS, "username")


def _duration(least: float) -> BeforeValidator:
    def seconds(value: object) -> float:
        # 0 is the only number that needs no unit.
        is_zero = isinstance(value, int) and not isinstance(value, bool) and value == 0
        return parse_duration(value if isinstance(value, str) else "0" if is_zero else "", least)

    return BeforeValidator(seconds)


def _or_none(seconds: float | None) -> float | None:
    return seconds or None


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    """Passes a string on unchanged if it can be parsed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("empty; accepted: a string")
    return text


def _user_name(text: str) -> str:
    if ":" in text:
        raise ValueError("a colon ends the name in ZooKeeper's digest scheme; accepted: a name without a colon")
    return _not_empty(text)


def _hidden(value: object) -> object:
    """Accepts a secret only as a string; pydantic's own check would show a number in its complaint."""
    if not isinstance(value, str) or not value:
        raise ValueError("not a string, or empty; accepted: a string, in quotes if it looks like a number")
    return SecretStr(value)


def _of_environment(value: object) -> object:
    """Reads a value from the environment as the same text without quotes would be read."""
    return plain(value) if isinstance(value, FromEnvironment) else value


_READ_BY_TYPE = BeforeValidator(_of_environment)

Duration = Annotated[float, _duration(0), WithJsonSchema(_DURATION_SCHEMA)]
#: A duration, of which 0 means None.
Interval = Annotated[float | None, _duration(0), AfterValidator(_or_none), WithJsonSchema(_DURATION_SCHEMA)]
Timeout = Annotated[float, _duration(0.1), WithJsonSchema(_DURATION_SCHEMA)]
Text = Annotated[str, AfterValidator(_not_empty), WithJsonSchema({"type": "string", "minLength": 1})]
UserName = Annotated[str, AfterValidator(_user_name), WithJsonSchema({"type": "string", "pattern": "^[^:]+$"})]
Name = Annotated[str, AfterValidator(parse_name), WithJsonSchema({"type": "string", "minLength": 1})]
Hosts = Annotated[str, AfterValidator(parse_hosts), WithJsonSchema({"type": "string", "minLength": 1})]
AdminUrl = Annotated[
    str, AfterValidator(parse_admin_url), WithJsonSchema({"type": "string", "pattern": r"^https?://\{host\}(:|/|$)"})
]
ZnodePath = Annotated[str, AfterValidator(parse_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
Glob = Annotated[str, _checked(Pattern), WithJsonSchema({"type": "string", "pattern": "^/"})]
Secret = Annotated[SecretStr, BeforeValidator(_hidden), WithJsonSchema({"type": "string", "minLength": 1})]
WholeNumber = Annotated[int, Field(ge=0), _READ_BY_TYPE]
Positive = Annotated[int, Field(ge=1), _READ_BY_TYPE]
ReplyBytes = Annotated[int, Field(ge=LEAST_MAX_FRAME, le=MOST_MAX_FRAME), _READ_BY_TYPE]
Boolean = Annotated[bool, _READ_BY_TYPE]


def _seconds(default: float | None, description: str) -> Any:
    return Field(default, description=description, json_schema_extra={"default": f"{default or 0:g}s"})


class Section(BaseModel):
    """The base of all sections: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Freshness(Section):
    """How the staleness of a tree is measured."""

    interval: Interval = _seconds(OPTIONS.freshness_interval, "Time between two freshness checks; 0 for no checks.")
    timeout: Timeout = _seconds(OPTIONS.freshness_timeout, "Time after which an unanswered freshness check fails.")
    barrier: Literal["quorum", "sync"] = Field(
        default=cast(Any, OPTIONS.freshness_barrier),
        description="Request of a freshness check: `quorum` commits an empty transaction; `sync` commits nothing, but "
        "relies on one server's answer.",
    )


class Audit(Section):
    """How a tree is compared with what ZooKeeper holds."""

    interval: Interval = _seconds(OPTIONS.audit_interval, "Time between two audits; 0 for no audits.")
    sample: WholeNumber = Field(
        default=OPTIONS.audit_sample,
        description="Number of znodes that an audit compares: different ones each time, spread evenly over the tree; "
        "0 for all.",
    )


class Rule(Section):
    """A metric of what is in znodes."""

    name: Text = Field(description="The metric is `zookeeper_znode_<name>`, with a suffix that depends on the value.")
    match: Text = Field(
        description="Pattern of absolute paths: a part is text, `*` for any one part, `**` for any number of parts, or "
        "has captures, which become labels: `{name}`, or `{name:REGEX}` to restrict one. Text may stand around a "
        "capture, as in `lock-{seq}`."
    )
    value: Literal[VALUES] = Field(description="What to measure; docs/znodes.md describes each value.")  # type: ignore[valid-type]
    help: Text | None = Field(default=None, description="Help text of the metric; by default it describes the rule.")
    key: str | None = Field(
        default=None, description="JSON pointer (RFC 6901) to the value in the data; required for `json`."
    )
    labels: dict[str, str] | None = Field(
        default=None,
        description="Labels of `info` with the JSON pointers of their values; by default `value` is the data.",
    )
    by: list[Text] | None = Field(
        default=None, description="Captures that become labels; by default all. Znodes that share them share a series."
    )
    kind: Literal[KINDS] | None = Field(default=None, description="Only znodes of this kind; by default all.")  # type: ignore[valid-type]
    aggregate: Literal[AGGREGATES] | None = Field(  # type: ignore[valid-type]
        default=None,
        description="How several znodes of one series make one number; by default such znodes are unusable.",
    )
    max_series: Positive = Field(
        default=MAX_SERIES, description="Maximum number of series; those of the oldest znodes stay."
    )
    metric: Text | None = Field(
        default=None, description="Name of the metric, in place of `zookeeper_znode_<name>`; gets the same suffix."
    )


class SizeLimits(Section):
    """What the sizes of a tree's znodes are compared with."""

    jute_maxbuffer: Positive = Field(
        default=Limits.jute_maxbuffer,
        description="The servers' `jute.maxbuffer` in bytes, which limits a znode's data and its list of children.",
    )
    subtrees: WholeNumber = Field(
        default=Limits.subtrees,
        description="For how many children of the root to count the znodes and bytes below them; 0 for none.",
    )


# Every key of a tree but the first four, `packs`, `metrics` and `limits` is an option of its cache. That of a section's
# key has the name of the section before the key's: `audit_sample`.


class Tree(Section):
    """A subtree to hold."""

    name: Name | None = Field(default=None, description="Value of the label `tree`; by default the path.")
    path: ZnodePath = Field(description="Root of the tree, inside the ensemble's chroot.")
    include: list[Glob] = Field(
        default=[],
        description="Globs of absolute paths. If there are any, only the znodes that they match, all znodes below "
        "those, and the ancestors of both belong to the tree.",
    )
    exclude: list[Glob] = Field(
        default=[],
        description="Globs of absolute paths; the znodes that they match are left out, with all znodes below.",
    )
    max_depth: WholeNumber | None = Field(
        default=None,
        description="Depth of the tree in levels below its root; 0 for the root alone, by default unlimited.",
    )
    keep_data: Boolean = Field(
        default=OPTIONS.keep_data, description="Whether to hold the znodes' data in memory, not only their sizes."
    )
    max_nodes_per_second: Positive | None = Field(
        default=None, description="Maximum number of znodes to read per second; by default no limit."
    )
    freshness: Freshness = Field(default=Freshness(), description="How the staleness of the tree is measured.")
    audit: Audit = Field(default=Audit(), description="How the tree is compared with what ZooKeeper holds.")
    packs: list[Literal[NAMES]] = Field(  # type: ignore[valid-type]
        default=[], description="Shipped metrics of known systems; docs/packs.md describes each."
    )
    metrics: list[Rule] = Field(default=[], description="Metrics of what is in the znodes.")
    limits: SizeLimits = Field(default=SizeLimits(), description="What the sizes of znodes are compared with.")


class Password(Section):
    """A password, in the configuration (as a rule `${NAME}`) or in a separate file. One of the two is required."""

    password: Secret | None = Field(
        default=None, description="The password, as a rule `${NAME}` of an environment variable."
    )
    password_file: Text | None = Field(default=None, description="File that holds only the password.")


class Digest(Password):
    """A user of ZooKeeper's digest scheme."""

    username: UserName = Field(description="The user's name.")


class DigestMd5(Password):
    """A user whom ZooKeeper authenticates by SASL."""

    mechanism: Literal["DIGEST-MD5"]
    username: Text = Field(description="The user's name.")


class Gssapi(Section):
    """Kerberos, with the tickets that the process finds."""

    mechanism: Literal["GSSAPI"]
    service: Text = Field(default=settings.Gssapi.service, description="First part of the servers' principal.")
    principal: Text | None = Field(
        default=None, description="Principal whose tickets to use; by default that of the ticket cache."
    )


class Tls(Section):
    """TLS to the ensemble. Files are PEM, their names relative to the folder of the configuration file."""

    ca_file: Text | None = Field(default=None, description="Authorities to trust besides the system's.")
    cert_file: Text | None = Field(
        default=None, description="Client certificate to present to the servers, with its chain."
    )
    key_file: Text | None = Field(default=None, description="Private key of the certificate.")
    key_password: Secret | None = Field(default=None, description="Passphrase of the private key.")
    key_password_file: Text | None = Field(default=None, description="File that holds only the key's passphrase.")
    check_hostname: Boolean = Field(
        default=settings.Tls.check_hostname, description="Whether a server's certificate must match its host name."
    )
    insecure_skip_verify: Boolean = Field(
        default=settings.Tls.insecure_skip_verify,
        description="Whether to accept any server certificate, without verifying it.",
    )


class Servers(Section):
    """How the servers are asked for their own numbers."""

    interval: Interval = _seconds(
        settings.Servers.interval, "Time from one poll of a server to the next; 0 for no polls."
    )
    timeout: Timeout = _seconds(settings.Servers.timeout, "Time that a poll of one server may take.")
    admin: AdminUrl | None = Field(
        default=None,
        description="Address of AdminServer, with `{host}` for each server; by default it is not asked.",
    )
    names: Literal["default", "all"] = Field(
        default="default", description="Which numbers to give: about sixty, or everything that a server says."
    )
    discover: Boolean = Field(
        default=settings.Servers.discover,
        description="Whether to ask the servers of ZooKeeper's dynamic configuration, instead of those of `hosts`.",
    )


class Ensemble(Section):
    """A ZooKeeper ensemble and the trees to hold there, all in one session."""

    name: Name = Field(description="Value of the label `ensemble`.")
    hosts: Hosts = Field(
        description="HOST[:PORT][,HOST[:PORT]...][/CHROOT], an IPv6 address in brackets, the port by default 2181.",
    )
    session_timeout: Timeout = _seconds(settings.Ensemble.session_timeout, "The session timeout to request.")
    max_reply_bytes: ReplyBytes = Field(
        default=settings.Ensemble.max_reply_bytes,
        description="Maximum size of one reply in bytes; a larger reply closes the connection.",
    )
    quotas: Boolean = Field(
        default=settings.Ensemble.quotas, description="Whether to read the ensemble's quotas, once a minute."
    )
    digest: list[Digest] = Field(default=[], description="Users to authenticate as, all at once.")
    sasl: Annotated[DigestMd5 | Gssapi, Field(discriminator="mechanism")] | None = Field(
        default=None, description="SASL authentication."
    )
    tls: Tls | None = Field(default=None, description="By default no TLS; `{}` trusts the system's authorities.")
    servers: Servers = Field(default=Servers(), description="How the servers are asked for their own numbers.")
    trees: Annotated[list[Tree], Field(min_length=1)] = Field(description="The trees to hold.")


class Config(Section):
    """The configuration file of treecache-exporter."""

    ensembles: Annotated[list[Ensemble], Field(min_length=1)] = Field(description="The ensembles to connect to.")


class _WithoutNull(GenerateJsonSchema):
    """Leaves `null` out of the types of optional keys: a key without a value is refused."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        with_default = super().default_schema(schema)
        return {key: value for key, value in with_default.items() if (key, value) != ("default", None)}


def json_schema() -> str:
    """The text of docs/config.schema.json."""
    schema = _published(Config.model_json_schema(schema_generator=_WithoutNull))
    return json.dumps({"$schema": _WithoutNull.schema_dialect, **schema}, indent=2) + "\n"


def _published(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in which any value may come from the environment; the same with each version of pydantic."""
    if len(schema.get("allOf", ())) == 1:
        # Up to pydantic 2.8.
        schema = {key: value for key, value in schema.items() if key != "allOf"} | schema["allOf"][0]
    about = {key: schema[key] for key in ("title", "description", "default") if schema.get(key) is not None}
    accepted = {key: value for key, value in schema.items() if key not in ("title", "description", "default")}
    if "const" in accepted:
        # Up to pydantic 2.9, beside it.
        accepted.pop("enum", None)
    if _is_narrow(accepted):
        accepted = {"anyOf": [*accepted.get("anyOf", [accepted]), _REFERENCE_SCHEMA]}
    else:
        accepted = {key: _published_part(key, value) for key, value in accepted.items()}
    return dict(sorted({**about, **accepted}.items()))


def _published_part(keyword: str, value: Any) -> Any:
    if keyword in ("properties", "$defs"):
        return {name: _published(schema) for name, schema in value.items()}
    if keyword == "items" or (keyword == "additionalProperties" and isinstance(value, dict)):
        return _published(value)
    return value


def _is_narrow(accepted: Mapping[str, Any]) -> bool:
    """Whether a schema describes a single value and would refuse a string such as `${NAME}`."""
    if "anyOf" in accepted:
        return all(_is_narrow(choice) for choice in accepted["anyOf"])
    limits = ("const", "enum", "pattern")
    return accepted.get("type") in ("boolean", "integer", "number") or any(limit in accepted for limit in limits)
