"""Passwords: right ones pass, and what is wrong costs the same whoever it was tried for."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import bcrypt
import pytest

from exporter.web.auth import PasswordCheck, TooManyAttemptsError, credentials

T = TypeVar("T")

USERS = {
    "alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)),
    "zoë": bcrypt.hashpw("pässword".encode(), bcrypt.gensalt(4)),
    "long": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)),
}


def checking(to: Callable[[PasswordCheck], Awaitable[T]]) -> T:
    async def check() -> T:
        passwords = PasswordCheck()
        try:
            return await to(passwords)
        finally:
            passwords.close()

    return asyncio.run(check())


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        ("alice", b"secret", True),
        ("zoë", "pässword".encode(), True),
        ("long", b"x" * 100, True),
        ("alice", b"Secret", False),
        ("alice", b"", False),
        ("alice", b"a\0b", False),
        ("bob", b"secret", False),
        ("", b"", False),
    ],
)
def test_passwords(name: str, password: bytes, right: bool) -> None:
    assert checking(lambda passwords: passwords.is_right(USERS, name, password)) is right


def test_an_unknown_user_costs_as_much_as_a_known_one() -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(9))}

    async def seconds(passwords: PasswordCheck, name: str) -> float:
        took = []
        for attempt in range(5):
            begun = time.perf_counter()
            assert not await passwords.is_right(users, name, b"wrong%d" % attempt)
            took.append(time.perf_counter() - begun)
        return min(took)

    async def compare(passwords: PasswordCheck) -> float:
        return await seconds(passwords, "nobody") / await seconds(passwords, "alice")

    assert 0.5 < checking(compare) < 2


def test_what_was_right_once_is_not_hashed_again_until_the_hash_changes() -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(10))}
    changed = {"alice": bcrypt.hashpw(b"other", bcrypt.gensalt(4))}

    async def ask(passwords: PasswordCheck) -> float:
        assert await passwords.is_right(users, "alice", b"secret")
        begun = time.perf_counter()
        for _ in range(20):
            assert await passwords.is_right(users, "alice", b"secret")
        took = time.perf_counter() - begun
        assert not await passwords.is_right(changed, "alice", b"secret")
        return took

    # Hashing would take some 20 times 50 ms.
    assert checking(ask) < 0.1


def test_attempts_do_not_pile_up_and_keep_nobody_out_who_was_right() -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(6))}

    async def flood(passwords: PasswordCheck) -> tuple[int, bool]:
        assert await passwords.is_right(users, "alice", b"secret")
        attempts = [asyncio.create_task(passwords.is_right(users, "alice", b"%d" % n)) for n in range(200)]
        await asyncio.sleep(0)
        right = await passwords.is_right(users, "alice", b"secret")
        results = await asyncio.gather(*attempts, return_exceptions=True)
        return sum(isinstance(result, TooManyAttemptsError) for result in results), right

    refused, right = checking(flood)
    assert right
    assert refused > 150


def encoded(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (b"Basic " + encoded("alice:secret"), ("alice", b"secret")),
        (b"bAsIc   " + encoded("zoë:a:b"), ("zoë", b"a:b")),
        (b"Basic " + encoded(":"), ("", b"")),
        (b"Basic " + encoded("alice"), None),
        (b"Basic " + encoded(b"\xff:x"), None),
        (b"Basic alice:secret", None),
        (b"Basic", None),
        (b"Bearer " + encoded("alice:secret"), None),
        (b"", None),
    ],
)
def test_the_header(header: bytes, given: tuple[str, bytes] | None) -> None:
    assert credentials(header) == given
