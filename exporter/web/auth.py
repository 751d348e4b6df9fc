"""Auth: who may pass, by basic authentication (RFC 7617) against bcrypt hashes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

from exporter.worker import Worker

CHALLENGE = 'Basic realm="treecache-exporter", charset="UTF-8"'

#: Attempts that may wait for their turn; bcrypt works on one at a time.
_WAITING_LIMIT = 16
#: Passwords that were right and need not be hashed again.
_REMEMBERED = 128
#: What bcrypt reads of a password.
_BCRYPT_BYTES = 72
_NO_USERS_COST = 10


class TooManyAttemptsError(Exception):
    """So many passwords are being checked that another one would only wait."""


class PasswordCheck:
    """Checks passwords as exporter-toolkit does, so that trying them out takes long and tells nothing.

    An unknown user's password is hashed too, at the highest cost that any user has. One thread does all hashing. What
    was right once is remembered, as a keyed hash, and right again without it.
    """

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._hashing = Worker("bcrypt")
        self._waiting = 0

    async def is_right(self, users: Mapping[str, bytes], name: str, password: bytes) -> bool:
        """Whether `name` is one of `users`, which are bcrypt hashes, and this is its password.

        Raises TooManyAttemptsError.
        """
        known = users.get(name)
        hashed = known or _nobodys_hash(users)
        mark = self._mark(name, hashed, password)
        if mark in self._right:
            self._right.move_to_end(mark)
            return True
        right = await self._hash(password, hashed) and known is not None
        if right:
            self._right[mark] = None
            while len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return right

    def close(self) -> None:
        """Ends the thread once it is done with the attempt at hand, which may take longer than the process has."""
        self._hashing.shutdown()

    async def _hash(self, password: bytes, hashed: bytes) -> bool:
        if self._waiting >= _WAITING_LIMIT:
            raise TooManyAttemptsError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, _check, password, hashed)
        finally:
            self._waiting -= 1

    def _mark(self, name: str, hashed: bytes, password: bytes) -> bytes:
        parts = (name.encode("utf-8", "surrogatepass"), hashed, password)
        return hmac.digest(self._secret, b"".join(hashlib.sha256(part).digest() for part in parts), "sha256")


def credentials(authorization: bytes) -> tuple[str, bytes] | None:
    """The user and the password of an Authorization header, None when it is not one of basic authentication."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _check(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed)
    except ValueError:
        return False


def _nobodys_hash(users: Mapping[str, bytes]) -> bytes:
    """A hash that no password is known to have, as costly as the costliest of the users."""
    cost = max((int(hashed[4:6]) for hashed in users.values()), default=_NO_USERS_COST)
    return b"$2b$%02d$" % cost + b"." * 53
