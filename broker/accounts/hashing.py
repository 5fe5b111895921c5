"""Passwords: made, judged, and hashed as mosquitto's own `mosquitto_passwd` does."""

from __future__ import annotations

import base64
import hashlib
import secrets

_TOKEN_BYTES = 20
_SALT_BYTES = 12
"""mosquitto 2.0 takes salts of just this length."""
_ITERATIONS = 101
"""mosquitto_passwd's own number. The broker hashes in the one thread that passes messages on, at each
CONNECT: 10 000 would delay every ping by 7 ms when somebody tries a password. 160 random bits need no slow
hash.
"""
SHORTEST = 12
"""Characters of a password that somebody chose."""
LONGEST = 256


class UnusablePasswordError(ValueError):
    """A chosen password that is refused; the sentence does not repeat it."""


def new_password() -> str:
    """160 random bits in 32 small letters and digits, safe to type and to pass to any program."""
    return base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()


def checked(password: str) -> str:
    """A chosen `password`, else UnusablePasswordError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UnusablePasswordError(
            f"a password has {SHORTEST} to {LONGEST} characters (received {len(password)})"
        )
    if not password.isprintable():
        raise UnusablePasswordError("a password has no control characters")
    return password


def hashed(password: str, salt: bytes | None = None) -> str:
    """`$7$iterations$salt$hash`: PBKDF2 with SHA-512, as mosquitto 2.0 and later read it."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
