"""The configuration file: what it means, what is refused, and that complaints show no secret."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from ruamel.yaml import YAML

from exporter.config.problems import ConfigError
from exporter.config.schema import Rule as RuleSection
from exporter.config.settings import OPTIONS, Digest, DigestMd5, Ensemble, Servers, Tls, Tree
from exporter.config.source import load
from exporter.packs.library import load as load_pack
from exporter.views.rules.rule import Rule
from tests.faults.size import size

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "hunter2"
INSTANCES = "/services/{service}/instances/{id}"

ENOUGH = """\
ensembles:
- name: main
  hosts: zk
  trees:
  - path: /a
"""


def loaded(folder: Path, text: str) -> tuple[Ensemble, ...]:
    file = folder / "config.yml"
    file.write_text(text)
    return load(file)


def refused(folder: Path, text: str | bytes) -> list[str]:
    """The lines of the complaint about a configuration, without the path of the file."""
    file = folder / "config.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as refusal:
        load(file)
    lines = refusal.value.lines
    assert all(line.startswith(str(file)) and "; accepted: " in line and line.isprintable() for line in lines)
    return [line.removeprefix(str(file)) for line in lines]


def write_certificates(folder: Path, password: bytes | None = None) -> None:
    """ca.pem, client.pem and client-key.pem, the last encrypted if there is a password."""
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("client@example.org")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (folder / "client-key.pem").write_bytes(key_pem)


# What a file means


def test_the_least(tmp_path: Path) -> None:
    assert loaded(tmp_path, ENOUGH) == (Ensemble("main", "zk:2181", (Tree("/a", "/a"),)),)


def test_the_minimal_example() -> None:
    assert load(EXAMPLES / "minimal.yml") == (Ensemble("local", "127.0.0.1:2181", (Tree("/", "/"),)),)


def write_files_of_the_example(folder: Path) -> None:
    write_certificates(folder / "tls", b"of the key")
    (folder / "secrets").mkdir()
    for name, secret in {"key-password": "of the key", "reader-password": "r", "legacy-password": "l"}.items():
        (folder / "secrets" / name).write_text(secret + "\n")


def test_the_annotated_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files_of_the_example(tmp_path)
    monkeypatch.setenv("AUDITOR_PASSWORD", "a")
    main, legacy = loaded(tmp_path, (EXAMPLES / "treecache-exporter.yml").read_text())
    services = Tree(
        "services",
        "/services",
        include=("/services/*/instances",),
        exclude=("/services/**/locks",),
        rules=(
            Rule(
                name="instances",
                help="Live instances of each service.",
                match=INSTANCES,
                value="count",
                by=["service"],
                kind="ephemeral",
            ),
            Rule(name="ports", match=INSTANCES, value="json", key="/port", by=["service"], aggregate="max"),
            Rule(name="versions", match=INSTANCES, value="info", labels={"version": "/version"}),
        ),
        options=replace(OPTIONS, max_depth=8, max_nodes_per_second=20000),
    )
    tls = tmp_path / "tls"
    assert main == Ensemble(
        "main",
        "zk1.example:2281,zk2.example:2281,zk3.example:2281/apps",
        (services, Tree("/config", "/config")),
        digest=(Digest("reader", SecretStr("r")), Digest("auditor", SecretStr("a"))),
        tls=Tls(tls / "ca.pem", tls / "client.pem", tls / "client-key.pem", SecretStr("of the key")),
        servers=Servers(30.0, 2.0, "http://{host}:8080", all_names=True, discover=True),
    )
    assert legacy.sasl == DigestMd5("exporter", SecretStr("l"))
    assert legacy.trees == (Tree("/", "/", exclude=("/zookeeper",)),)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{}", Servers()),
        ("{interval: 0}", None),
        ("{interval: 0, timeout: 1s}", None),
        ("{interval: 1m, timeout: 500ms}", Servers(60.0, 0.5)),
        ('{admin: "https://{host}/zk/"}', Servers(admin="https://{host}/zk")),
        ("{names: default}", Servers()),
        ("{names: all}", Servers(all_names=True)),
        ("{discover: true}", Servers(discover=True)),
    ],
)
def test_how_servers_are_asked(tmp_path: Path, written: str, meant: Servers | None) -> None:
    (ensemble,) = loaded(tmp_path, ENOUGH + f"  servers: {written}\n")
    assert ensemble.servers == meant


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("on", ":6: ensembles[0].servers"),
        ("{timeout: 50ms}", ":6: ensembles[0].servers.timeout=50ms: not between 0.1s and 1d"),
        ("{interval: 15}", ":6: ensembles[0].servers.interval"),
        ("{names: few}", ":6: ensembles[0].servers.names=few"),
        (
            '{admin: "http://zk1:8080"}',
            ":6: ensembles[0].servers.admin=http://zk1:8080: not such an address; accepted: http",
        ),
        ('{admin: "ftp://{host}"}', ":6: ensembles[0].servers.admin"),
        (
            '{admin: "http://{host}:0"}',
            ":6: ensembles[0].servers.admin=http://{host}:0: '0' is not a port between 1 and",
        ),
        ('{admin: "http://u:p@{host}"}', ":6: ensembles[0].servers.admin"),
        ("{words: [mntr]}", ":6: ensembles[0].servers.words"),
    ],
)
def test_what_is_refused_of_servers(tmp_path: Path, written: str, complaint: str) -> None:
    (line,) = refused(tmp_path, ENOUGH + f"  servers: {written}\n")
    assert line.startswith(complaint)


# Rules


def test_every_field_of_a_rule_is_a_key() -> None:
    fields = dataclasses.fields(Rule)
    assert list(RuleSection.model_fields) == [field.name for field in fields]
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    assert {name for name, field in RuleSection.model_fields.items() if field.is_required()} == required


def test_every_key_of_a_rule_has_an_effect(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "name": "a",
        "match": "/a/{x}/{y}",
        "value": "json",
        "help": "Help.",
        "key": "/k",
        "by": ["x"],
        "kind": "persistent",
        "aggregate": "sum",
        "max_series": 7,
        "metric": "own",
    }
    labels: dict[str, Any] = {"name": "b", "match": "/a", "value": "info", "labels": {"l": "/k"}}
    trees = [{"path": "/a", "metrics": [given, labels]}]
    (ensemble,) = loaded(tmp_path, json.dumps({"ensembles": [{"name": "main", "hosts": "a", "trees": trees}]}))
    assert ensemble.trees[0].rules == (Rule(**given), Rule(**labels))


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([{"match": "a"}], "[0].match=a: the pattern 'a' is not absolute; accepted: an absolute path whose parts are "),
        (
            [{"match": "/b/{x}"}],
            "[0].match=/b/{x}: matches nothing in the tree /a; accepted: a pattern of absolute paths",
        ),
        ([{"value": "size"}], "[0].value=size: unknown; accepted: count, exists, children, bytes, number, json"),
        ([{"value": "json"}], "[0].key: required for the value json; accepted: a JSON pointer"),
        ([{"max_series": 0}], "[0].max_series=0: too small; accepted: a whole number from 1 on"),
        ([{"metric": "zookeeper_client_up"}], "[0].metric=zookeeper_client_up: a name of the exporter's own metrics; "),
        ([{"by": ["y"]}], "[0].by: 'y' is not a capture of the pattern; accepted: none"),
        ([{}, {}], "[1].name=a: another rule of the tree has this name; accepted: each name once"),
        (
            [{}, {"name": "b", "metric": "zookeeper_znode_a", "value": "info"}],
            "[1].metric=zookeeper_znode_a: the metric zookeeper_znode_a_info collides with zookeeper_znode_a of ",
        ),
        ([{"values": 1}], "[0].values: unknown key, did you mean value; accepted: name, match, value"),
    ],
)
def test_mistakes_in_rules(tmp_path: Path, rules: list[dict[str, Any]], complaint: str) -> None:
    metrics = [{"name": "a", "match": "/a", "value": "count", **rule} for rule in rules]
    trees = [{"path": "/a", "metrics": metrics}]
    lines = refused(tmp_path, json.dumps({"ensembles": [{"name": "main", "hosts": "a", "trees": trees}]}))
    assert [line for line in lines if line.startswith(f":1: ensembles[0].trees[0].metrics{complaint}")], lines


# Packs


@pytest.mark.parametrize(("path", "begin"), [("/", ""), ("/kafka", "/kafka")])
def test_the_rules_of_a_pack_are_those_of_the_tree(tmp_path: Path, path: str, begin: str) -> None:
    own: dict[str, Any] = {"name": "own", "match": f"{begin}/brokers", "value": "children"}
    trees = [{"path": path, "packs": ["kafka"], "metrics": [own]}]
    (ensemble,) = loaded(tmp_path, json.dumps({"ensembles": [{"name": "main", "hosts": "a", "trees": trees}]}))
    *rules, last = ensemble.trees[0].rules
    assert tuple(rules) == load_pack("kafka").rules_in(path)
    assert rules[0].match == f"{begin}/brokers/ids/{{broker:[0-9]+}}"
    assert last == Rule(**own)


def test_a_pack_may_be_in_several_trees(tmp_path: Path) -> None:
    trees = [{"path": path, "packs": ["kafka", "hbase"]} for path in ("/a", "/b")]
    ensembles = [{"name": name, "hosts": "a", "trees": trees} for name in ("one", "two")]
    assert all(
        tree.rules for ensemble in loaded(tmp_path, json.dumps({"ensembles": ensembles})) for tree in ensemble.trees
    )


def test_the_file_in_the_document_about_packs(tmp_path: Path) -> None:
    block = (EXAMPLES.parent / "docs" / "packs.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    (ensemble,) = loaded(tmp_path, block)
    begin = {tree.path: {rule.match.split("/")[1] for rule in tree.rules} for tree in ensemble.trees}
    assert begin == {"/": {"hbase", "hadoop-ha", "yarn-leader-election"}, "/kafka": {"kafka"}}


OWN = {"name": "kafka_brokers", "match": "/a", "value": "count"}
METRIC = {"name": "own", "match": "/a", "value": "info", "metric": "zookeeper_znode_kafka_brokers"}


@pytest.mark.parametrize(
    ("trees", "complaint"),
    [
        (
            [{"path": "/a", "packs": ["kafca"]}],
            "[0].packs[0]=kafca: unknown; accepted: bookkeeper, clickhouse, curator, ",
        ),
        (
            [{"path": "/a", "packs": ["hbase", "kafka", "kafka"]}],
            "[0].packs[2]=kafka: another pack of the tree has this name; accepted: each name once",
        ),
        (
            [{"path": "/a{b}", "packs": ["kafka"]}],
            "[0].packs[0]=kafka: no pattern can begin with the path /a{b}; accepted: a path without {, } and *",
        ),
        (
            [{"path": "/a", "packs": ["kafka"], "metrics": [OWN]}],
            "[0].metrics[0].name=kafka_brokers: another rule of the tree has this name, which is of the pack kafka; "
            "accepted: each name once",
        ),
        (
            [{"path": "/a", "packs": ["kafka"], "metrics": [METRIC]}],
            "[0].metrics[0].metric=zookeeper_znode_kafka_brokers: the metric zookeeper_znode_kafka_brokers_info "
            "collides with zookeeper_znode_kafka_brokers of the rule kafka_brokers, which is of the pack kafka; ",
        ),
        (
            [{"path": "/a", "metrics": [METRIC]}, {"path": "/b", "packs": ["kafka"]}],
            "[1].packs[0]=kafka: the metric zookeeper_znode_kafka_brokers collides with "
            "zookeeper_znode_kafka_brokers_info of the rule own; accepted: another name for the metric of that rule",
        ),
        ([{"path": "/a", "packs": "kafka"}], "[0].packs: not a list; accepted: a list"),
        ([{"path": "/a", "pack": ["kafka"]}], "[0].pack: unknown key, did you mean packs; accepted: "),
    ],
)
def test_mistakes_about_packs(tmp_path: Path, trees: list[dict[str, Any]], complaint: str) -> None:
    lines = refused(tmp_path, json.dumps({"ensembles": [{"name": "main", "hosts": "a", "trees": trees}]}))
    assert [line for line in lines if line.startswith(f":1: ensembles[0].trees{complaint}")], lines


def test_the_line_of_a_mistake_about_packs(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, f"{ENOUGH}    packs:\n    - kafka\n    - kafka\n")
    assert line.startswith(":8: ensembles[0].trees[0].packs[1]=kafka: another pack of the tree has this name; ")


# Secrets in rules


@pytest.mark.parametrize("key", ["match", "key", "by", "metric"])
def test_complaints_about_rules_show_nothing_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("RULE", SECRET)
    given: Any = "${RULE}-" if key != "by" else ["${RULE}"]
    rule = {"name": "a", "match": "/a", "value": "json", "key": "/a", key: given}
    trees = [{"path": "/a", "metrics": [rule]}]
    lines = refused(tmp_path, json.dumps({"ensembles": [{"name": "main", "hosts": "a", "trees": trees}]}))
    assert lines
    assert not any(SECRET in line for line in lines)


def test_every_value_of_the_annotated_example_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files_of_the_example(tmp_path)
    monkeypatch.setenv("AUDITOR_PASSWORD", "a")
    content = YAML(typ="safe", pure=True).load((EXAMPLES / "treecache-exporter.yml").read_text())
    in_place = loaded(tmp_path, json.dumps(content))

    def moved(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: moved(item, f"{name}_{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [moved(item, f"{name}_{number}") for number, item in enumerate(value)]
        if "${" not in str(value):
            monkeypatch.setenv(name, str(value))
            return f"${{{name}}}"
        return value

    assert loaded(tmp_path, json.dumps(moved(content, "IT"))) == in_place


def test_what_is_commented_out_in_the_example_are_the_defaults(tmp_path: Path) -> None:
    shown = {
        "session_timeout: 10s",
        "max_reply_bytes: 268435456",
        "check_hostname: true",
        "insecure_skip_verify: false",
        "keep_data: false",
    }
    example = (EXAMPLES / "treecache-exporter.yml").read_text()
    assert {match for match in re.findall("# ([a-z_]+: [a-z0-9]+)$", example, re.MULTILINE) if match in shown} == shown
    defaults = Ensemble("", "", ())
    assert defaults.max_reply_bytes == 268435456
    assert (defaults.session_timeout, Tls().check_hostname, Tls().insecure_skip_verify) == (10, True, False)
    assert not OPTIONS.keep_data


def test_environment_variables_in_any_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", "zk1,zk2")
    monkeypatch.setenv("ROOT", "x")
    text = ENOUGH.replace("/a", "/$${ROOT}/${ROOT}").replace("hosts: zk", "hosts: ${HOSTS}/apps")
    (ensemble,) = loaded(tmp_path, text)
    assert ensemble.hosts == "zk1:2181,zk2:2181/apps"
    assert ensemble.trees[0].path == "/${ROOT}/x"


def test_anchors_save_repetition(tmp_path: Path) -> None:
    text = ENOUGH + "    audit: &often {interval: 1m}\n  - {path: /b, audit: *often}\n"
    (ensemble,) = loaded(tmp_path, text)
    assert [tree.options for tree in ensemble.trees] == [replace(OPTIONS, audit_interval=60.0)] * 2


def test_one_path_may_be_two_trees_of_different_names(tmp_path: Path) -> None:
    (ensemble,) = loaded(tmp_path, ENOUGH + "  - {path: /a, name: shallow, max_depth: 1}\n")
    assert [(tree.name, tree.path) for tree in ensemble.trees] == [("/a", "/a"), ("shallow", "/a")]


def test_a_secret_s_file_loses_its_newline_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" p w \n")
    (ensemble,) = loaded(tmp_path, ENOUGH + "  digest: [{username: u, password_file: secret}]\n")
    assert ensemble.digest == (Digest("u", SecretStr(" p w ")),)


def test_a_secret_is_not_shown_by_what_holds_it(tmp_path: Path) -> None:
    (ensemble,) = loaded(tmp_path, ENOUGH + f"  digest: [{{username: u, password: {SECRET}}}]\n")
    assert SECRET not in f"{ensemble} {ensemble!r}"


# What is refused


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("  - {path: a}", ":6: ensembles[0].trees[1].path=a: the path is not absolute; accepted: an absolute path"),
        (
            "  - {path: /a/}",
            ":6: ensembles[0].trees[1].path=/a/: another tree of the ensemble has this name; accepted:",
        ),
        ("  - {name: b}", ":6: ensembles[0].trees[1].path: required; accepted: Root of the tree"),
        ("  - {path: 7}", ":6: ensembles[0].trees[1].path=7: not a string; accepted: a string, in quotes if"),
        ("  - /b", ":6: ensembles[0].trees[1]: not a mapping; accepted: lines of KEY: VALUE"),
        ("    max_depth: -1", ":6: ensembles[0].trees[0].max_depth=-1: too small; accepted: a whole number from 0 on"),
        ("    max_depth: 1.5", ":6: ensembles[0].trees[0].max_depth=1.5: not a whole number; accepted: a whole number"),
        ("    max_nodes_per_second: 0", ":6: ensembles[0].trees[0].max_nodes_per_second=0: too small; accepted: a w"),
        (
            "    keep_data: yes",
            ":6: ensembles[0].trees[0].keep_data=yes: not a boolean; accepted: true, false",
        ),
        ("    max_deph: 1", ":6: ensembles[0].trees[0].max_deph: unknown key, did you mean max_depth; accepted: n"),
        ("    include: /a", ":6: ensembles[0].trees[0].include: not a list; accepted: a list, each item on a line"),
        ("    include: [/b]", ":6: ensembles[0].trees[0].include[0]=/b: matches nothing below /a; accepted: a pattern"),
        ("    include: [a]", ":6: ensembles[0].trees[0].include[0]=a: the pattern is not absolute; accepted: an abso"),
        ("    exclude: [/a]", ":6: ensembles[0].trees[0].exclude[0]=/a: excludes the whole tree at /a; accepted:"),
        ("    freshness: {interval: 5}", ":6: ensembles[0].trees[0].freshness.interval=5: not a duration; accepted:"),
        ("    freshness: {timeout: 0}", ":6: ensembles[0].trees[0].freshness.timeout=0: not between 0.1s and 1d; acc"),
        (
            "    freshness: {barrier: x}",
            ":6: ensembles[0].trees[0].freshness.barrier=x: unknown; accepted: quorum, sync",
        ),
        (
            "    audit: {sample: all}",
            ":6: ensembles[0].trees[0].audit.sample=all: not a whole number; accepted: a whole",
        ),
        ("    audit:", ":6: ensembles[0].trees[0].audit: no value; accepted: a value, or leave the line"),
        ("    name: ${NOT_SET}", ":6: ensembles[0].trees[0].name: the environment variable NOT_SET is not set; acc"),
        ("    name: $x", ":6: ensembles[0].trees[0].name: a $ without {NAME}; accepted: ${NAME} for an env"),
        ("    name: !x y", ":6: ensembles[0].trees[0].name: YAML tags are not supported; accepted:"),
        ("    path: /b", ":6: ensembles[0].trees[0].path: the key is given twice; accepted: once"),
        ("    [1]: 2", ":6: ensembles[0].trees[0]: a key is not a string; accepted: a string"),
        (
            "  max_reply_bytes: 1",
            ":6: ensembles[0].max_reply_bytes=1: too small; accepted: a whole number from 1048576",
        ),
        (
            "  max_reply_bytes: 3000000000",
            ":6: ensembles[0].max_reply_bytes=3000000000: too large; accepted: a whole number up to 2147483647",
        ),
        ("  session_timeout: 2d", ":6: ensembles[0].session_timeout=2d: not between 0.1s and 1d; accepted: a duration"),
        ("  sasl: {mechanism: PLAIN}", ":6: ensembles[0].sasl: unknown mechanism; accepted: DIGEST-MD5, GSSAPI"),
        ("  sasl: {}", ":6: ensembles[0].sasl: the key mechanism is missing; accepted: DIGEST-MD5, GSSAPI"),
        (
            "  sasl: {mechanism: DIGEST-MD5, username: u}",
            ":6: ensembles[0].sasl: the password is missing; accepted: password or",
        ),
        ("  sasl: {mechanism: DIGEST-MD5}", ":6: ensembles[0].sasl.username: required; accepted: The user's name"),
        ("  sasl: {mechanism: GSSAPI, user: u}", ":6: ensembles[0].sasl.user: unknown key; accepted: mechanism, ser"),
        (
            "  digest: [{username: u}]",
            ":6: ensembles[0].digest[0]: the password is missing; accepted: password or password_file",
        ),
        ("  digest: [{username: 'a:b', password: p}]", ":6: ensembles[0].digest[0].username: a colon ends the name"),
        ("  digest: [{username: u, password_file: no}]", ":6: ensembles[0].digest[0].password_file=no: cannot be"),
        ("  digest: [{username: u, password_file: .}]", ":6: ensembles[0].digest[0].password_file=.: cannot be read"),
        (
            "  tls: {cert_file: c}",
            ":6: ensembles[0].tls.cert_file=c: given without key_file; accepted: both or neither",
        ),
        ("  tls: {key_file: c}", ":6: ensembles[0].tls.key_file=c: given without cert_file; accepted: both or neither"),
        ("  tls: {key_password: x}", ":6: ensembles[0].tls.key_file: required for a key's password; accepted: a PEM"),
        ("  tls: {ca_file: no}", ":6: ensembles[0].tls.ca_file=no: No such file or directory; accepted: a PEM file"),
        ("  tls: {ca_file: config.yml}", ":6: ensembles[0].tls.ca_file=config.yml: no certificate or crl found; acc"),
        ("- {name: main, hosts: zk, trees: [{path: /}]}", ":6: ensembles[1].name=main: another ensemble has this name"),
        (
            "- {name: b, hosts: 'a b', trees: []}",
            ":6: ensembles[1].hosts=a b: 'a b' is not a host name; accepted: HOST[",
        ),
        ("global: {}", ":6: global: unknown key; accepted: ensembles"),
    ],
)
def test_a_mistake_is_told_with_line_key_value_and_what_is_accepted(tmp_path: Path, extra: str, line: str) -> None:
    assert refused(tmp_path, ENOUGH + extra + "\n")[0].startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ":1: the file is empty; accepted: ensembles"),
        ("# nothing\n", ":1: the file is empty; accepted: ensembles"),
        ("text", ":1: not a mapping; accepted: lines of KEY: VALUE"),
        ("ensembles: []", ":1: ensembles: an empty list; accepted: at least one item"),
        ("a: [b\nc: d", ":2: not valid YAML: expected ',' or ']', but got ':'; accepted: a YAML mapping in UTF-8"),
        (b"\n\xff", ":2: not UTF-8; accepted: a YAML mapping in UTF-8"),
        ("a: \x01", ":1: not valid YAML: it has characters that YAML does not allow; accepted:"),
        ("[" * 500, ":1: nested too deeply, or too large once its aliases are expanded; accepted:"),
        ("a: &a [*a]", ":1: nested too deeply, or too large once its aliases are expanded; accepted:"),
        (
            "\n".join(["a0: &a0 [x]", *(f"a{n + 1}: &a{n + 1} [{f'*a{n},' * 9}]" for n in range(9))]),
            ":1: nested too deeply, or too large once its aliases are expanded; accepted:",
        ),
        ("#" * 1024 * 1024 + "#", ": larger than 1048576 bytes; accepted: a smaller file"),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str | bytes, line: str) -> None:
    (said,) = refused(tmp_path, text)
    assert said.startswith(line)


@pytest.mark.parametrize(("name", "reason"), [("none.yml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot be read: {reason}; accepted: a YAML file"):
        load(tmp_path / name)


def test_a_key_that_needs_a_password_is_told_of_and_asks_nobody(tmp_path: Path) -> None:
    write_certificates(tmp_path, b"right")
    tls = "  tls: {cert_file: client.pem, key_file: client-key.pem"
    assert loaded(tmp_path, ENOUGH + tls + ", key_password: right}\n")
    for wrong in ("}\n", ", key_password: wrong}\n"):
        (line,) = refused(tmp_path, ENOUGH + tls + wrong)
        assert line.startswith(":6: ensembles[0].tls.cert_file=client.pem: not usable with key_file client-key.pem: ")


def test_kerberos_needs_its_package(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, ENOUGH + "  sasl: {mechanism: GSSAPI}\n")
    assert "needs the Python package kerberos; accepted: with the extra treecache-exporter[gssapi]" in line


@pytest.mark.parametrize(
    "extra",
    [
        f"  digest: user:{SECRET}",
        f"  digest: [user:{SECRET}]",
        f"  digest: [{{username: u, passwd: {SECRET}}}]",
        f"  digest: [{{username: u, password: [{SECRET}]}}]",
        f"  digest: [{{username: u, password: {{{SECRET}: x}}}}]",
        f"  digest: [{{username: u, password: {SECRET}, password_file: x}}]",
        f"  digest: [{{username: u, password: *{SECRET}}}]",
        f"  digest: [{{username: u, password: !{SECRET} x}}]",
        f"  digest: [{{username: u, password: '{SECRET}\n",
        f"  digest: [{{username: u, password: &{SECRET} }}]",
        f"  digest: [{{username: u, password: '${SECRET}'}}]",
        f"  digest: {{username: u, password: {SECRET}}}",
        f"  sasl: {{mechanism: DIGEST-MD5, username: u, password: {SECRET}, extra: {SECRET}}}",
        f"  sasl: {SECRET}",
        f"  tls: {SECRET}",
        f"  tls: {{cert_file: config.yml, key_file: config.yml, key_password: {SECRET}}}",
        f"  digest: [{{username: 'u:{SECRET}', password: x}}]",
        f"  digest: [{{username: u, password:{SECRET}}}]",
        f"  digest: [{{username: u, password: {{{SECRET}}}}}]",
        f"  digest: [{{username: u, password: *{SECRET}'s}}]",
        f"  password: {SECRET}",
        "  digest: [{username: u, password_file: '${HUNTER}'}]",
        "  digest: [{username: u, password_file: '${HUNTER}', password: x}]",
        "  digest: [{username: '${HUNTER}:', password: x}]",
        "  tls: {ca_file: '${HUNTER}'}",
        "  tls: {cert_file: '${HUNTER}', key_file: '${HUNTER}'}",
        "  tls: {cert_file: '${HUNTER}'}",
        "- {name: '${HUNTER}', hosts: zk, trees: [{path: /}]}\n- {name: '${HUNTER}', hosts: zk, trees: [{path: /}]}",
        "  - {name: '${HUNTER}', path: /b}\n  - {name: '${HUNTER}', path: /b}",
        "  - {path: '/${HUNTER}'}\n  - {path: '/${HUNTER}'}",
        "  - {path: '/${HUNTER}', include: [/b]}",
        "  - {path: '/${HUNTER}', exclude: ['/${HUNTER}']}",
        "    include: ['/${HUNTER}']",
        "  session_timeout: ${HUNTER}",
        "  hosts: a b,${HUNTER}",
        "    keep_data: ${HUNTER}",
        "    path: ${HUNTER}",
        "    include: ['${HUNTER}']",
        "    freshness: {barrier: '${HUNTER}'}",
        "    max_depth: ${HUNTER}",
    ],
)
def test_no_complaint_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setenv("HUNTER", SECRET)
    key = extra.strip().partition(":")[0]
    without_key = "".join(
        line for line in ENOUGH.splitlines(keepends=True) if key not in ("hosts", "path") or key not in line
    )
    text = without_key + ("  - name: x\n" if key == "path" else "") + extra
    assert SECRET not in "".join(refused(tmp_path, text))


# Any content


@settings(max_examples=size(200, 100_000))
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    refused(tmp_path_factory.getbasetemp(), content)


KEYS = [
    "ensembles",
    "name",
    "hosts",
    "trees",
    "path",
    "digest",
    "sasl",
    "tls",
    "username",
    "password",
    "include",
    "audit",
]
MARKS = [
    "-",
    ":",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "*a",
    "!",
    "|",
    ">",
    "'",
    '"',
    "#",
    "$",
    "${",
    "${HOME}",
    "<<",
    "%",
    "@",
]
VALUES = ["DIGEST-MD5", "5s", "0", "-1", "1.5", "true", "null", "~", "a", "/a", "/**"]
WORDS = st.tuples(st.sampled_from(KEYS + MARKS + VALUES), st.sampled_from(["", " ", "\n", "\n  ", "\n- ", ": "]))


@settings(max_examples=size(200, 100_000))
@given(st.lists(WORDS, max_size=40))
def test_any_words_are_accepted_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[str, str]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "words.yml"
    text = "".join(map("".join, words))
    for each in (text, ENOUGH + text):
        file.write_text(each)
        with contextlib.suppress(ConfigError):
            load(file)


@pytest.mark.parametrize(
    ("written", "held", "depth"),
    [("${N}", "3", 3), ('"${N}"', "3", 3), ("${N:-4}", None, 4), ("${N:-4}", "", 4), ("${N:-4}", "5", 5)],
)
def test_what_the_environment_holds_is_read_as_the_schema_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, held: str | None, depth: int
) -> None:
    monkeypatch.delenv("N", raising=False)
    if held is not None:
        monkeypatch.setenv("N", held)
    monkeypatch.setenv("YES", "true")
    monkeypatch.setenv("NAME", "123")
    monkeypatch.setenv("EVERY", "0")
    (file := tmp_path / "config.yml").write_text(
        "ensembles:\n- name: ${NAME}\n  hosts: zk\n  trees:\n  - path: /a\n"
        f"    max_depth: {written}\n    keep_data: ${{YES}}\n    audit:\n      interval: ${{EVERY}}\n"
    )
    (ensemble,) = load(file)
    (tree,) = ensemble.trees
    assert ensemble.name == "123"
    assert tree.options == replace(OPTIONS, max_depth=depth, keep_data=True, audit_interval=None)
