"""Chart: the generated files of the Helm chart. `make generate` writes them.

README.md lists the values with their descriptions from values.yaml, lines that begin with `# --`. In
values.schema.json, the schema of `config` is that of the exporter's configuration file, converted to draft-07, which
Helm reads; the schema of `web.config` has the names that the exporter accepts in a web configuration, and that of
`prometheusRule.packs` the names of the packs. Values that the templates need are required, since Helm removes a value
that is set to null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from exporter.config import web
from exporter.packs.library import NAMES as PACKS

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "treecache-exporter"
CONFIG_SCHEMA = ROOT / "docs" / "config.schema.json"

_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- end of values -->)", re.DOTALL)
_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):")
_DEFINITION = "#/definitions/config."


class Value(NamedTuple):
    """A value of the chart: its dotted path, its description, and its default."""

    path: str
    description: str
    default: Any


def values() -> Iterator[Value]:
    """Every value that values.yaml describes, in its order."""
    text = (CHART / "values.yaml").read_text()
    defaults = YAML(typ="safe").load(text)
    path: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        comment = line.strip()
        if comment.startswith("# -- "):
            said = [comment.removeprefix("# -- ")]
        elif comment.startswith("# ") and said:
            said.append(comment.removeprefix("# "))
        elif key := _KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            if said:
                yield Value(".".join(path), " ".join(said), _at(defaults, path))
            said = []


def readme(text: str) -> str:
    """README.md with an updated table of values."""
    rows = "".join(f"| `{value.path}` | {value.description} | {_shown(value.default)} |\n" for value in values())
    return _TABLE.sub(lambda _: f"\n| value | meaning | default |\n|---|---|---|\n{rows}\n", text)


def values_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """values.schema.json with updated schemas from other files, and updated required values."""
    config = json.loads(CONFIG_SCHEMA.read_text())
    own = {name: part for name, part in schema["definitions"].items() if not name.startswith("config.")}
    theirs = {f"config.{name}": _draft07(part) for name, part in config["$defs"].items()}
    top = {name: _draft07(part) for name, part in config.items() if name not in ("$defs", "$schema", "$id", "title")}
    properties = {**schema["properties"], "config": top}
    properties["web"]["properties"]["config"] = _web_config()
    properties["prometheusRule"]["properties"]["packs"] = {"type": "array", "items": _one_of(PACKS)}
    made = {**schema, "properties": properties}
    _require(made, list(values()))
    return {
        **made,
        "definitions": {**own, **theirs},
    }


def _require(part: dict[str, Any], described: Sequence[Value], depth: int = 0) -> None:
    """Marks the values of a section as required that have no fallback: sections, and values that the templates need."""
    sections: dict[str, list[Value]] = {}
    for value in described:
        sections.setdefault(value.path.split(".")[depth], []).append(value)
    required: set[str] = set()
    for key, inside in sections.items():
        if len(inside) > 1 or inside[0].path.count(".") > depth:
            _require(part["properties"][key], inside, depth + 1)
            required.add(key)
        elif _is_needed(inside[0]):
            required.add(key)
    part.pop("required", None)
    if required := required - {"global"}:
        part["required"] = [key for key in part["properties"] if key in required]


def _is_needed(value: Value) -> bool:
    if value.path.startswith("global."):
        return False
    if isinstance(value.default, dict):
        # Values that are passed to Kubernetes unchanged may be null.
        return value.path == "config"
    return bool(value.default) or isinstance(value.default, bool | int)


def _web_config() -> dict[str, Any]:
    text, boolean = {"type": "string"}, {"type": "boolean"}
    tls = {
        "cert_file": text,
        "key_file": text,
        "client_auth_type": _one_of(web.CLIENT_AUTH_TYPES),
        "client_ca_file": text,
        "client_allowed_sans": {"type": "array", "items": text},
        "min_version": _one_of(web.TLS_VERSIONS),
        "max_version": _one_of(web.TLS_VERSIONS),
        "cipher_suites": {"type": "array", "items": _one_of(web.CIPHER_SUITES)},
        "prefer_server_cipher_suites": boolean,
        "curve_preferences": {"type": "array", "items": _one_of(web.CURVES), "maxItems": 1},
    }
    headers = {name: _one_of(values) if values else text for name, values in web.HEADERS.items()}
    return _object(
        tls_server_config=_object(**tls),
        http_server_config=_object(http2=boolean, headers=_object(**headers)),
        basic_auth_users={"type": "object", "additionalProperties": {"type": "string", "pattern": "^\\$2[abxy]\\$"}},
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _one_of(names: Iterable[str]) -> dict[str, Any]:
    return {"enum": list(names)}


def _draft07(part: Any) -> Any:
    """A part of a schema with references to `definitions` instead of `$defs`, and without pydantic's titles."""
    if isinstance(part, Mapping):
        return {
            key: value.replace("#/$defs/", _DEFINITION) if key == "$ref" else _draft07(value)
            for key, value in part.items()
            if not (key == "title" and isinstance(value, str)) and key != "discriminator"
        }
    return [_draft07(item) for item in part] if isinstance(part, list) else part


def _at(defaults: Any, path: list[str]) -> Any:
    for key in path:
        defaults = defaults[key]
    return defaults


def _shown(default: Any) -> str:
    return f"`{json.dumps(default)}`"


def texts() -> Mapping[Path, str]:
    """The files' contents, by their paths."""
    readme_file, schema_file = CHART / "README.md", CHART / "values.schema.json"
    schema = values_schema(json.loads(schema_file.read_text()))
    return {
        readme_file: readme(readme_file.read_text()),
        schema_file: json.dumps(schema, indent=2) + "\n",
    }
