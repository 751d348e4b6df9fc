"""Files of a configuration: all named files are known, and a change of their content is noticed."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from exporter.config.problems import ConfigError
from exporter.config.source import Source

CONFIG = """
ensembles:
- name: main
  hosts: zk
  digest: [{username: a, password_file: digest}]
  sasl: {mechanism: DIGEST-MD5, username: b, password_file: sasl}
  tls: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem, key_password_file: key}
  trees: [{path: /a}]
"""
SECRETS = ("digest", "sasl", "key")
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration that names a file of each kind."""
    authority = trustme.CA()
    certificate = authority.issue_cert("exporter")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for name in SECRETS:
        (tmp_path / name).write_text("secret")
    (tmp_path / "config.yml").write_text(CONFIG)
    return tmp_path


def has_changed(source: Source) -> bool:
    return source.files.now() != source.files


@pytest.mark.parametrize("name", ["config.yml", *SECRETS, *CERTIFICATES])
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("other"),
        lambda file: file.write_text(""),
        lambda file: file.write_text(file.read_text() + "\n"),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["other", "empty", "longer", "gone", "folder"],
)
def test_a_change_of_any_file_is_seen_until_it_is_read(
    folder: Path, name: str, change: Callable[[Path], object]
) -> None:
    source = Source(folder / "config.yml")
    source.load()
    assert not has_changed(source)
    change(folder / name)
    assert has_changed(source)
    if name in ("config.yml", "digest"):
        # A bad file is read once, and again after its next change.
        with contextlib.suppress(ConfigError):
            source.load()
        assert not has_changed(source)


def test_a_file_that_holds_the_same_has_not_changed(folder: Path) -> None:
    source = Source(folder / "config.yml")
    source.load()
    (folder / "new").write_text("secret")
    os.replace(folder / "new", folder / "digest")
    (folder / "config.yml").touch()
    assert not has_changed(source)


def test_a_file_that_was_missing_is_seen_when_it_comes(folder: Path) -> None:
    (folder / "digest").unlink()
    source = Source(folder / "config.yml")
    with pytest.raises(ConfigError):
        source.load()
    assert not has_changed(source)
    (folder / "digest").write_text("secret")
    assert has_changed(source)


def test_a_pipe_is_read_once(folder: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, CONFIG.replace("password_file: digest", "password: x").split("  sasl")[0].encode())
    os.write(writing, b"  trees: [{path: /a}]\n")
    os.close(writing)
    source = Source(Path(f"/dev/fd/{reading}"))
    assert [ensemble.name for ensemble in source.load()] == ["main"]
    assert not has_changed(source)
    os.close(reading)


def test_too_few_open_files_are_no_change(folder: Path) -> None:
    source = Source(folder / "config.yml")
    source.load()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            has_changed(source)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not has_changed(source)
