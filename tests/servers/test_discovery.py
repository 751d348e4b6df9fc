"""Which servers a dynamic configuration names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.servers.discovery import servers_in


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("server.1=zk1.example:2888:3888:participant;0.0.0.0:2181", ["zk1.example:2181"]),
        ("server.1=zk1.example:2888:3888:observer;2182", ["zk1.example:2182"]),
        ("server.1=zk1.example:2888:3888;[::]:2181", ["zk1.example:2181"]),
        ("server.1=zk1.example:2888:3888;[0:0:0:0:0:0:0:0]:2181", ["zk1.example:2181"]),
        ("server.1=zk1.example:2888:3888;client.example:2181", ["client.example:2181"]),
        ("server.1=[fd00::1]:2888:3888:participant;[fd00::2]:2181", ["[fd00::2]:2181"]),
        ("server.1=[fd00::1]:2888:3888:participant;2181", ["[fd00::1]:2181"]),
        ("server.1=a:2888:3888|b:2888:3888:participant;2181", ["a:2181"]),
        # Without a client port, which only the server itself knows then.
        ("server.1=zk1.example:2888:3888:participant", []),
        ("version=100000000", []),
        ("group.1=1:2:3", []),
        ("server.1=/etc:2888:3888;2181", []),
        ("server.1=zk1:2888:3888;99999", []),
    ],
)
def test_one_line(line: str, expected: list[str]) -> None:
    assert [str(name) for name in servers_in(line.encode())] == expected


def test_servers_are_there_once_and_in_their_order() -> None:
    config = b"server.2=b:1:2;2181\r\nserver.1=a:1:2;2181\nserver.3=b:1:2;2181\nversion=0"
    assert [str(name) for name in servers_in(config)] == ["b:2181", "a:2181"]
    assert [str(name) for name in servers_in(config, port=2281)] == ["b:2281", "a:2281"]


@given(st.binary())
def test_no_content_is_too_odd(config: bytes) -> None:
    servers_in(b"server.1=" + config + b";2181\n" + config)
