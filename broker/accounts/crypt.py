"""bcrypt by the system's own library: Python's module for it is gone since 3.13."""

from __future__ import annotations

import base64
import ctypes
import secrets
from contextlib import suppress

_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", None)
"""Debian's, Fedora's, and none: Alpine has it in its C library."""
_COST = 4
"""The least. NATS hashes at each CONNECT, and 160 random bits need no slow hash."""
_SALT_BYTES = 16
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OWN = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""bcrypt writes base 64 with these."""


def bcrypted(password: str) -> str | None:
    """`$2b$…`, with a salt of its own; None where the system cannot (Windows, macOS)."""
    salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode().rstrip("=")
    setting = f"$2b${_COST:02}${salt.translate(str.maketrans(_STANDARD, _OWN))}"
    for library in _LIBRARIES:
        with suppress(OSError, AttributeError, TypeError):
            crypt = ctypes.CDLL(library).crypt
            crypt.argtypes, crypt.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_char_p
            made: bytes | None = crypt(password.encode(), setting.encode())
            if made is not None and made.startswith(b"$2b$"):
                return made.decode()
    return None
