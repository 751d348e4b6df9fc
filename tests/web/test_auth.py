"""Passwords: right ones pass, and wrong ones take the same time for every user name."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import TypeVar

import bcrypt
import pytest

from exporter.web import auth
from exporter.web.auth import PasswordCheck, TooManyAttemptsError, credentials

T = TypeVar("T")
CHECK = bcrypt.checkpw

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


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The cost of each password that is hashed: twice the work for one more."""
    found: list[bytes] = []

    def check(password: bytes, hashed: bytes) -> bool:
        found.append(hashed.split(b"$")[2])
        return CHECK(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    return found


def test_an_unknown_user_costs_as_much_as_a_known_one(costs: list[bytes]) -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(6)), "bob": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))}
    assert not checking(lambda passwords: passwords.is_right(users, "alice", b"wrong"))
    assert not checking(lambda passwords: passwords.is_right(users, "nobody", b"wrong"))
    assert costs == [b"06", b"06"]


def test_what_was_right_once_is_not_hashed_again_until_the_hash_changes(costs: list[bytes]) -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(5))}
    changed = {"alice": bcrypt.hashpw(b"other", bcrypt.gensalt(4))}

    async def ask(passwords: PasswordCheck) -> None:
        for _ in range(20):
            assert await passwords.is_right(users, "alice", b"secret")
        assert not await passwords.is_right(changed, "alice", b"secret")

    checking(ask)
    assert costs == [b"05", b"04"]


@pytest.mark.long
def test_attempts_do_not_pile_up_and_keep_nobody_out_who_was_right() -> None:
    users = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(6))}

    async def flood(passwords: PasswordCheck) -> tuple[int, bool]:
        assert await passwords.is_right(users, "alice", b"secret")
        attempts = [asyncio.create_task(passwords.is_right(users, "alice", b"%d" % n)) for n in range(1000)]
        await asyncio.sleep(0)
        right = await passwords.is_right(users, "alice", b"secret")
        results = await asyncio.gather(*attempts, return_exceptions=True)
        return sum(isinstance(result, TooManyAttemptsError) for result in results), right

    refused, right = checking(flood)
    assert right
    assert 450 < refused < 500


@pytest.mark.parametrize("clients", [1, 40], ids=["one address", "many"])
@pytest.mark.parametrize("users", [1, 40], ids=["one user", "many users"])
def test_a_right_password_has_its_turn_in_a_crowd_of_wrong_ones(clients: int, users: int) -> None:
    known = {"user-0": bcrypt.hashpw(b"secret", bcrypt.gensalt(5))}

    async def guess(passwords: PasswordCheck, number: int) -> None:
        """Tries another password as soon as the last one is answered."""
        attempt = 0
        while True:
            attempt += 1
            guessed = b"%d-%d" % (number, attempt)
            name, client = f"user-{number % users}", f"10.0.0.{number % clients}"
            assert not await passwords.is_right(known, name, guessed, client=client)

    async def crowd(passwords: PasswordCheck) -> bool:
        guessing = [asyncio.create_task(guess(passwords, number)) for number in range(200)]
        await asyncio.sleep(0.1)
        right = await asyncio.wait_for(passwords.is_right(known, "user-0", b"secret", client="10.0.0.0"), 30)
        for task in guessing:
            task.cancel()
        outcomes = await asyncio.gather(*guessing, return_exceptions=True)
        return right and {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}

    assert checking(crowd)


def test_one_clients_crowd_leaves_the_others_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_WAITING_LIMIT", 20)

    async def crowd(passwords: PasswordCheck) -> tuple[bool, int]:
        guessing = [asyncio.create_task(passwords.is_right(USERS, "alice", b"%d" % n, "a")) for n in range(100)]
        await asyncio.sleep(0)
        right = await passwords.is_right(USERS, "alice", b"secret", "b")
        outcomes = await asyncio.gather(*guessing, return_exceptions=True)
        return right, sum(isinstance(outcome, TooManyAttemptsError) for outcome in outcomes)

    assert checking(crowd) == (True, 81)


def test_the_same_attempts_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def check(password: bytes, _hashed: bytes) -> bool:
        hashed.append(password)
        return False

    monkeypatch.setattr(auth, "_check", check)

    async def ask(passwords: PasswordCheck) -> None:
        await asyncio.gather(*(passwords.is_right(USERS, "alice", b"old", f"{n}") for n in range(40)))
        assert not await passwords.is_right(USERS, "alice", b"old")

    checking(ask)
    assert hashed == [b"old"]


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
