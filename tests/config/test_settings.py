"""Which settings are accepted, how they are normalized, and the complaints about the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from kazoo.hosts import collect_hosts

from exporter.config.settings import (
    Address,
    ListenAddress,
    SettingsError,
    Tree,
    UnixAddress,
    parse_count,
    parse_dashboard_url,
    parse_duration,
    parse_hosts,
    parse_listen_address,
    parse_name,
    parse_path,
    parse_telemetry_path,
    parse_trees,
)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("zk", "zk:2181"),
        ("zk:2182", "zk:2182"),
        ("a,b:1,10.0.0.7:65535", "a:2181,b:1,10.0.0.7:65535"),
        (" a , b ", "a:2181,b:2181"),
        ("[::1]:2181", "[::1]:2181"),
        ("[2001:DB8:0::1]", "[2001:db8::1]:2181"),
        ("zk_1.example-net.org.", "zk_1.example-net.org.:2181"),
        ("a/", "a:2181"),
        ("a/apps", "a:2181/apps"),
        ("a,b:2/apps//prod/", "a:2181,b:2/apps/prod"),
    ],
)
def test_hosts_are_spelled_out(text: str, hosts: str) -> None:
    assert parse_hosts(text) == hosts


def test_kazoo_reads_the_same_hosts_and_chroot() -> None:
    assert collect_hosts(parse_hosts("zk,[::1]:2182,10.0.0.7/apps/")) == (
        [("zk", 2181), ("::1", 2182), ("10.0.0.7", 2181)],
        "/apps",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a host is empty"),
        ("a,,b", "a host is empty"),
        (":2181", "a host is empty"),
        ("/apps", "a host is empty"),
        ("a:", "'' is not a port"),
        ("a:zero", "'zero' is not a port"),
        ("a:0", "'0' is not a port between 1 and 65535"),
        ("a:65536", "'65536' is not a port"),
        ("a:-1", "'-1' is not a port"),
        ("a:+1", "'+1' is not a port"),
        ("a:٣", "is not a port"),
        ("a:1:2", "'a:1:2' is not HOST:PORT"),
        ("::1", "'::1' is not HOST:PORT"),
        ("[::1", "'[::1' is not HOST:PORT"),
        ("[::1]2181", "'[::1]2181' is not HOST:PORT"),
        ("[zk]:1", "'[zk]' is not an IP address"),
        ("300.1.1.1", "'300.1.1.1' is not an IP address"),
        ("1.2.3", "'1.2.3' is not an IP address"),
        ("a..b", "'a..b' is not a host name"),
        ("-a", "'-a' is not a host name"),
        ("a b", "'a b' is not a host name"),
        ("me@zk", "'me@zk' is not a host name"),
        ("a" * 64, "is not a host name"),
        (".".join(["a" * 60] * 5), "is not a host name"),
        ("a/b/../c", "the chroot has the relative part '..'"),
        ("a/b\x00", "the chroot has a character that ZooKeeper refuses"),
    ],
)
def test_unusable_hosts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="accepted: HOST") as refusal:
        parse_hosts(text)
    assert problem in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [("/", "/"), ("//", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a//b///", "/a/b"), ("/ä b/.c/..d", "/ä b/.c/..d")],
)
def test_paths_are_normalised(text: str, path: str) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not absolute"),
        ("a", "not absolute"),
        ("./a", "not absolute"),
        ("/a/./b", "the relative part '.'"),
        ("/..", "the relative part '..'"),
        ("/a\n", "a character that ZooKeeper refuses"),
        ("/\ud800", "a character that ZooKeeper refuses"),
        ("/\uf8ff", "a character that ZooKeeper refuses"),
        ("/\ufff0", "a character that ZooKeeper refuses"),
    ],
)
def test_unusable_paths_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="accepted: an absolute path") as refusal:
        parse_path(text)
    assert problem in str(refusal.value)


def test_a_tree_is_named_after_its_path_and_may_be_nested() -> None:
    assert parse_trees(["/a/", "/a/b", "/"]) == (Tree("/a", "/a"), Tree("/a/b", "/a/b"), Tree("/", "/"))


def test_the_same_tree_twice_is_refused_however_it_is_written() -> None:
    with pytest.raises(SettingsError, match=r"^--treecache\.path=/a//b/: /a/b is given twice"):
        parse_trees(["/a/b", "/c", "/a//b/"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":19141", ListenAddress("", 19141)),
        (":0", ListenAddress("", 0)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("localhost:65535", ListenAddress("localhost", 65535)),
        ("[::1]:9000", ListenAddress("::1", 9000)),
        ("unix:///run/a b.sock", UnixAddress(Path("/run/a b.sock"))),
    ],
)
def test_listen_addresses(text: str, address: Address) -> None:
    assert parse_listen_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "19141", "localhost", "::1:80", "a:b", ":65536", ":-1", "[::1]", "a b:1", "a/b:1", "vsock://:1"),
        *("unix:", "unix://", "unix://a.sock", "unix:a.sock", "unix:///run/", f"unix:///{'x' * 107}"),
    ],
)
def test_unusable_listen_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"accepted: \[HOST\]:PORT"):
        parse_listen_address(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1m1s1ms", 61.001),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "-1s", "+1s", "1.5s", "1 s", "1s1m", "s", "1S", "٣s", "1d1ms", "9999999999s", "9" * 9 + "s"]
)
def test_unusable_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", "1_000", "٣", "1" * 19])
def test_unusable_counts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: a whole number from 0 on"):
        parse_count(text)
    assert parse_count("1000") == 1000


@pytest.mark.parametrize("text", ["/metrics", "/a/b-c_d.e~f", "/..a"])
def test_telemetry_paths(text: str) -> None:
    assert parse_telemetry_path(text, reserved=("/",)) == text


@pytest.mark.parametrize(
    "text", ["", "/", "metrics", "/metrics/", "//", "/a/../b", "/{path}", "/a?b", "/a#b", "/a b", "/ä"]
)
def test_unusable_telemetry_paths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: an absolute path"):
        parse_telemetry_path(text, reserved=("/",))


@pytest.mark.parametrize("text", ["http://g", "https://g.example:3000/grafana/d/a?b=c#d", "http://[::1]:3000/"])
def test_dashboard_urls(text: str) -> None:
    assert parse_dashboard_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "g",
        "/d/a",
        "//g/d",
        "http://",
        "http:///d",
        "javascript:alert(1)",
        "http://g:x/",
        "http://[::1/",
        "http://g/a b",
    ],
)
def test_unusable_dashboard_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: an absolute URL"):
        parse_dashboard_url(text)


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\x1b"])
def test_unusable_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: any printable text"):
        parse_name(text)


def test_a_settings_error_is_one_line_whatever_the_value() -> None:
    error = str(SettingsError("--flag", "a\r\nb\x1b\u2028\udcff", "no good"))
    assert error == r"--flag=a\r\nb\x1b\u2028\udcff: no good"
