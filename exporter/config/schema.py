"""Schema: the shape of the configuration file, which docs/config.schema.json publishes.

`make generate` writes that.
"""

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
from exporter.config.settings import OPTIONS, parse_duration, parse_hosts, parse_name, parse_path
from exporter.zookeeper.frames import LEAST_MAX_FRAME, MOST_MAX_FRAME

_DURATION_PATTERN = "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
_DURATION_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1, "pattern": _DURATION_PATTERN}, {"const": 0}]}
_REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
#: Keys whose values no complaint may show.
SECRET_KEYS = ("password", "key_password")
#: And those where a secret comes by mistake: ZooKeeper itself writes USER:PASSWORD.
HIDDEN_KEYS = (*SECRET_KEYS, "username")


def _duration(least: float) -> BeforeValidator:
    def seconds(value: object) -> float:
        # 0 is the one number that needs no unit.
        is_zero = isinstance(value, int) and not isinstance(value, bool) and value == 0
        return parse_duration(value if isinstance(value, str) else "0" if is_zero else "", least)

    return BeforeValidator(seconds)


def _or_none(seconds: float | None) -> float | None:
    return seconds or None


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    """Lets a text through as it is, if it can be parsed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("empty; accepted: a text")
    return text


def _user_name(text: str) -> str:
    if ":" in text:
        raise ValueError("a colon ends the name in ZooKeeper's digest scheme; accepted: a name without one")
    return _not_empty(text)


def _hidden(value: object) -> object:
    """Takes a secret from a text alone; pydantic's own way round would show numbers in its complaint."""
    if not isinstance(value, str) or not value:
        raise ValueError("no text, or an empty one; accepted: a text, in quotes if it looks like a number")
    return SecretStr(value)


def _of_environment(value: object) -> object:
    """What the environment holds is text; it is read as the same text without quotes would be."""
    return plain(value) if isinstance(value, FromEnvironment) else value


_READ_BY_TYPE = BeforeValidator(_of_environment)

Duration = Annotated[float, _duration(0), WithJsonSchema(_DURATION_SCHEMA)]
#: A duration of which 0 is none.
Interval = Annotated[float | None, _duration(0), AfterValidator(_or_none), WithJsonSchema(_DURATION_SCHEMA)]
Timeout = Annotated[float, _duration(0.1), WithJsonSchema(_DURATION_SCHEMA)]
Text = Annotated[str, AfterValidator(_not_empty), WithJsonSchema({"type": "string", "minLength": 1})]
UserName = Annotated[str, AfterValidator(_user_name), WithJsonSchema({"type": "string", "pattern": "^[^:]+$"})]
Name = Annotated[str, AfterValidator(parse_name), WithJsonSchema({"type": "string", "minLength": 1})]
Hosts = Annotated[str, AfterValidator(parse_hosts), WithJsonSchema({"type": "string", "minLength": 1})]
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
    """What all sections have in common: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Freshness(Section):
    """How the staleness of a tree is measured."""

    interval: Interval = _seconds(OPTIONS.freshness_interval, "Time between two proofs of freshness; 0 for none.")
    timeout: Timeout = _seconds(OPTIONS.freshness_timeout, "Time after which a proof that got no answer has failed.")
    barrier: Literal["quorum", "sync"] = Field(
        default=cast(Any, OPTIONS.freshness_barrier),
        description="`quorum` proves freshness by an empty transaction, `sync` commits none and takes a server's word.",
    )


class Audit(Section):
    """How a tree is compared with what ZooKeeper holds."""

    interval: Interval = _seconds(OPTIONS.audit_interval, "Time between two audits; 0 for none.")
    sample: WholeNumber = Field(
        default=OPTIONS.audit_sample,
        description="How many znodes an audit compares: others each time, spread evenly over the tree; 0 for all.",
    )


# Every key of a tree but the first four is an option of its cache by the same name, one of a section by both names.


class Tree(Section):
    """A subtree to hold."""

    name: Name | None = Field(default=None, description="Value of the label `tree`; by default the path.")
    path: ZnodePath = Field(description="Root of the tree, inside the ensemble's chroot.")
    include: list[Glob] = Field(
        default=[],
        description="Globs of absolute paths; given any, only what they match, what is below that, and the way there "
        "belong to the tree.",
    )
    exclude: list[Glob] = Field(
        default=[], description="Globs of absolute paths; what they match and what is below that is left out."
    )
    max_depth: WholeNumber | None = Field(
        default=None, description="How many levels below its root the tree goes; 0 for the root alone, by default all."
    )
    keep_data: Boolean = Field(
        default=OPTIONS.keep_data, description="Whether to hold the znodes' data in memory, not only their sizes."
    )
    max_nodes_per_second: Positive | None = Field(
        default=None, description="How many znodes to read in a second at most; by default no limit."
    )
    freshness: Freshness = Field(default=Freshness(), description="How the staleness of the tree is measured.")
    audit: Audit = Field(default=Audit(), description="How the tree is compared with what ZooKeeper holds.")


class Password(Section):
    """A password: in a file, or in place, where `${NAME}` takes it from the environment. One of the two is required."""

    password: Secret | None = Field(default=None, description="As a rule `${NAME}`, from an environment variable.")
    password_file: Text | None = Field(default=None, description="File that holds nothing but the password.")


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
    principal: Text | None = Field(default=None, description="Whose tickets to use; by default the cache's owner's.")


class Tls(Section):
    """TLS to the ensemble. Files are PEM, their names relative to the folder of the configuration file."""

    ca_file: Text | None = Field(default=None, description="Authorities to trust besides the system's.")
    cert_file: Text | None = Field(default=None, description="Certificate to show to the servers, with its chain.")
    key_file: Text | None = Field(default=None, description="Private key of the certificate.")
    key_password: Secret | None = Field(default=None, description="What the key is encrypted with.")
    key_password_file: Text | None = Field(default=None, description="File that holds what the key is encrypted with.")
    check_hostname: Boolean = Field(
        default=settings.Tls.check_hostname, description="Whether a server's certificate must be for the host's name."
    )
    insecure_skip_verify: Boolean = Field(
        default=settings.Tls.insecure_skip_verify, description="Whether to trust any server with any certificate."
    )


class Ensemble(Section):
    """A ZooKeeper ensemble and the trees to hold there, all in one session."""

    name: Name = Field(description="Value of the label `ensemble`.")
    hosts: Hosts = Field(
        description="HOST[:PORT][,HOST[:PORT]...][/CHROOT], an IPv6 address in brackets, the port by default 2181.",
    )
    session_timeout: Timeout = _seconds(settings.Ensemble.session_timeout, "The session timeout to ask for.")
    max_reply_bytes: ReplyBytes = Field(
        default=settings.Ensemble.max_reply_bytes,
        description="How many bytes a server may say at once; a longer reply costs the connection.",
    )
    digest: list[Digest] = Field(default=[], description="Users to authenticate as, all at once.")
    sasl: Annotated[DigestMd5 | Gssapi, Field(discriminator="mechanism")] | None = Field(
        default=None, description="SASL authentication."
    )
    tls: Tls | None = Field(default=None, description="By default no TLS; `{}` trusts the system's authorities.")
    trees: Annotated[list[Tree], Field(min_length=1)] = Field(description="The trees to hold.")


class Config(Section):
    """The configuration file of treecache-exporter."""

    ensembles: Annotated[list[Ensemble], Field(min_length=1)] = Field(description="The ensembles to connect to.")


class _WithoutNull(GenerateJsonSchema):
    """Leaves out that what is optional may be None: a key without a value is refused."""

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
    """A schema in which any value may come from the environment, alike from each version of pydantic."""
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
    if keyword == "items":
        return _published(value)
    return value


def _is_narrow(accepted: Mapping[str, Any]) -> bool:
    """Whether a schema is of one value, and does not let through a text such as `${NAME}`."""
    if "anyOf" in accepted:
        return all(_is_narrow(choice) for choice in accepted["anyOf"])
    limits = ("const", "enum", "pattern")
    return accepted.get("type") in ("boolean", "integer", "number") or any(limit in accepted for limit in limits)
