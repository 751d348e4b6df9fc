"""Auth: basic authentication (RFC 7617) against bcrypt hashes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import bcrypt

from exporter.process.executor import ThreadExecutor

CHALLENGE = 'Basic realm="treecache-exporter", charset="UTF-8"'

#: Attempts that may wait, as many as there may be connections; bcrypt works on one at a time.
_WAITING_LIMIT = 512
#: How many right and wrong passwords are remembered, which need not be hashed again.
_REMEMBERED = 128
_WRONG_REMEMBERED = 1024
#: bcrypt ignores the rest of a password.
_BCRYPT_BYTES = 72
_NO_USERS_COST = 10


class TooManyAttemptsError(Exception):
    """Too many passwords are waiting to be checked."""


@dataclass(frozen=True)
class _Attempt:
    """A password to check; `mark` identifies the password, the user and the user's hash."""

    mark: bytes
    password: bytes
    hashed: bytes


class _Queue:
    """Waiting attempts, in round robin over the clients and over the users that each client tries."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, OrderedDict[str, deque[_Attempt]]] = OrderedDict()
        self._numbers: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._numbers.total()

    def put(self, client: str, user: str, attempt: _Attempt) -> None:
        """Adds an attempt."""
        self._clients.setdefault(client, OrderedDict()).setdefault(user, deque()).append(attempt)
        self._numbers[client] += 1

    def take(self) -> _Attempt | None:
        """Removes and returns the next attempt, None if none waits."""
        if not self._clients:
            return None
        client = next(iter(self._clients))
        user = next(iter(self._clients[client]))
        return self._remove(client, user, newest=False)

    def drop_for(self, client: str) -> _Attempt | None:
        """Removes the newest attempt of the client with the most, if that has more than `client` would have."""
        most, number = self._numbers.most_common(1)[0]
        if number <= self._numbers[client] + 1:
            return None
        users = self._clients[most]
        return self._remove(most, max(users, key=lambda user: len(users[user])), newest=True)

    def _remove(self, client: str, user: str, *, newest: bool) -> _Attempt:
        users = self._clients[client]
        attempts = users[user]
        attempt = attempts.pop() if newest else attempts.popleft()
        users.move_to_end(user)
        self._clients.move_to_end(client)
        self._numbers[client] -= 1
        if not attempts:
            del users[user]
        if not users:
            del self._clients[client], self._numbers[client]
        return attempt


class PasswordCheck:
    """Checks passwords as exporter-toolkit does, so that guessing takes long and reveals nothing.

    An unknown user's password is hashed too, at the highest cost of any user. One thread does all hashing. Results are
    remembered, as keyed hashes. Equal attempts share one hashing, which continues even when their clients leave.

    Clients take turns, and so do the users that one client tries. So a right password is checked however many wrong
    ones are tried, at the latest after all waiting attempts.
    """

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._hashing = ThreadExecutor("bcrypt")
        # Attempts that wait or are being hashed, by their marks.
        self._attempts: dict[bytes, asyncio.Future[bool]] = {}
        self._queue = _Queue()
        self._running: asyncio.Task[None] | None = None

    async def is_right(self, users: Mapping[str, bytes], name: str, password: bytes, client: str = "") -> bool:
        """Whether `name` is one of `users` (bcrypt hashes by name) and `password` is right; `client` asks.

        Raises TooManyAttemptsError.
        """
        known = users.get(name)
        hashed = known or _nobodys_hash(users)
        mark = self._mark(name, hashed, password)
        if mark in self._right:
            self._right.move_to_end(mark)
            return True
        if mark in self._wrong:
            self._wrong.move_to_end(mark)
            return False
        attempt = self._attempts.get(mark)
        if attempt is None:
            attempt = self._attempts[mark] = self._begin(_Attempt(mark, password[:_BCRYPT_BYTES], hashed), client, name)
        # Shielded: other requests may wait for the same attempt.
        return await asyncio.shield(attempt) and known is not None

    def close(self) -> None:
        """Ends the thread after the current attempt, without waiting for it."""
        self._hashing.shutdown()

    def _begin(self, attempt: _Attempt, client: str, name: str) -> asyncio.Future[bool]:
        if len(self._queue) >= _WAITING_LIMIT:
            # A client with many attempts must not take the others' places.
            dropped = self._queue.drop_for(client)
            if dropped is None:
                raise TooManyAttemptsError
            self._attempts.pop(dropped.mark).set_exception(TooManyAttemptsError())
        self._queue.put(client, name, attempt)
        if self._running is None:
            self._running = asyncio.create_task(self._work())
        return asyncio.get_running_loop().create_future()

    async def _work(self) -> None:
        """Hashes while attempts wait."""
        loop = asyncio.get_running_loop()
        try:
            while (attempt := self._queue.take()) is not None:
                right = await loop.run_in_executor(self._hashing, _check, attempt.password, attempt.hashed)
                if right:
                    _remember(self._right, _REMEMBERED, attempt.mark)
                else:
                    _remember(self._wrong, _WRONG_REMEMBERED, attempt.mark)
                waiting = self._attempts.pop(attempt.mark)
                if not waiting.done():
                    waiting.set_result(right)
        finally:
            self._running = None

    def _mark(self, name: str, hashed: bytes, password: bytes) -> bytes:
        parts = (name.encode("utf-8", "surrogatepass"), hashed, password)
        return hmac.digest(self._secret, b"".join(hashlib.sha256(part).digest() for part in parts), "sha256")


def credentials(authorization: bytes) -> tuple[str, bytes] | None:
    """The user and password of an Authorization header; None if it is not basic authentication."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _remember(known: OrderedDict[bytes, None], number: int, mark: bytes) -> None:
    known[mark] = None
    while len(known) > number:
        known.popitem(last=False)


def _check(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False


def _nobodys_hash(users: Mapping[str, bytes]) -> bytes:
    """A hash without a known password, as costly as the costliest of the users' hashes."""
    cost = max((int(hashed[4:6]) for hashed in users.values()), default=_NO_USERS_COST)
    return b"$2b$%02d$" % cost + b"." * 53
