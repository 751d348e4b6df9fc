"""The published schema is up to date and accepts the same as the exporter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from exporter.config.schema import SECRET_KEYS, Config, json_schema
from exporter.config.validation import sections

ROOT = Path(__file__).parents[2]


def valid(content: Any) -> bool:
    return bool(Draft202012Validator(json.loads(json_schema())).is_valid(content))


@pytest.mark.parametrize("name", ["minimal.yml", "treecache-exporter.yml"])
def test_the_examples_are_valid(name: str) -> None:
    content = YAML(typ="safe", pure=True).load((ROOT / "examples" / name).read_text())
    Draft202012Validator.check_schema(json.loads(json_schema()))
    assert valid(content)


def test_the_file_in_the_readme_is_valid() -> None:
    blocks = (ROOT / "README.md").read_text("utf-8").split("```yaml\n")[1:]
    assert blocks
    assert all(valid(YAML(typ="safe", pure=True).load(block.partition("```")[0])) for block in blocks)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"hosts": 1},
        {"trees": []},
        {"trees": [{"path": "a"}]},
        {"trees": [{"path": "/a", "max_depth": -1}]},
        {"trees": [{"path": "/a", "audit": {"interval": 5}}]},
        {"trees": [{"path": "/a", "audit": {"interval": ""}}]},
        {"trees": [{"path": "/a", "freshness": {"barrier": "x"}}]},
        {"tls": None},
        {"servers": None},
        {"servers": {"admin": "http://zk1:8080"}},
        {"servers": {"names": "few"}},
        {"servers": {"timeout": 3}},
        {"digest": [{"username": "a:b", "password": "x"}]},
        {"sasl": {"mechanism": "PLAIN"}},
        {"unknown": 1},
    ],
)
def test_mistakes_are_invalid(change: dict[str, Any]) -> None:
    right: dict[str, Any] = {"name": "a", "hosts": "zk", "trees": [{"path": "/a", "audit": {"interval": 0}}]}
    assert valid({"ensembles": [right]})
    assert not valid({"ensembles": [right | change]})


def test_every_value_may_come_from_the_environment() -> None:
    content = YAML(typ="safe", pure=True).load((ROOT / "examples" / "treecache-exporter.yml").read_text())
    validator = Draft202012Validator(json.loads(json_schema()))
    tried = 0

    def try_each(part: Any) -> None:
        nonlocal tried
        for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
            if isinstance(value, (dict, list)):
                try_each(value)
                continue
            for reference in ("${NAME}", "${NAME:-1}"):
                part[key] = reference
                assert not [error.message for error in validator.iter_errors(content)], f"{key}: {reference}"
                tried += 1
            part[key] = value

    try_each(content)
    assert tried > 40
    assert not valid({"ensembles": [{"name": "a", "hosts": "zk", "trees": [{"path": "/a", "max_depth": "$N"}]}]})


def test_every_secret_is_known_as_one() -> None:
    found, todo = set(), [Config]
    while todo:
        section = todo.pop()
        for name, field in section.model_fields.items():
            todo += sections(field.annotation)  # type: ignore[arg-type]
            if "SecretStr" in str(field):
                found.add(name)
    assert found == set(SECRET_KEYS)


def test_every_key_is_described() -> None:
    todo = [Config]
    while todo:
        section = todo.pop()
        for name, field in section.model_fields.items():
            todo += sections(field.annotation)  # type: ignore[arg-type]
            assert field.description or name == "mechanism", f"{section.__name__}.{name}"
