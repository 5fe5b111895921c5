"""The names in topics and paths, validated so that none can contain a separator or wildcard."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from schemas.base import SchemasError

_AGENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_MOST_CACHED = 16_384
"""Names found valid: they come from the network, so they are bounded."""
_MOST_BYTES = 200
_FORBIDDEN = r'/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069'
_DEVICES = "|".join(
    "".join(f"[{letter.upper()}{letter}]" for letter in word) + number
    for words, number in ((("con", "prn", "aux", "nul"), ""), (("com", "lpt"), "[1-9¹²³]"))
    for word in words
)
"""Names that Windows gives to devices, whatever follows a dot."""
_FOLDER = re.compile(rf"(?![ .])(?![^{_FORBIDDEN}]*[ .]$)(?!(?:{_DEVICES}) *(?:\.|$))[^{_FORBIDDEN}]+")
_FOLDER_RULE = (
    '1 to 200 bytes of UTF-8 without / \\ : * ? " < > | and control characters, not a name that Windows'
    " reserves (CON, COM1, …), with no space or dot at either end"
)
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_ESCAPE = re.compile("=([0-9A-F]{2})")
_UNESCAPED = re.compile(r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-]){0,99}", re.ASCII)
"""Session levels as earlier versions wrote them."""
_ROOT = re.compile(r"[A-Za-z0-9_-]{1,63}(/[A-Za-z0-9_-]{1,63}){0,7}", re.ASCII)


class InvalidNameError(SchemasError, ValueError):
    """A name that is not allowed in a topic or a path."""

    def __init__(self, kind: str, name: str, rule: str) -> None:
        shown = repr(name if len(name) <= 80 else name[:77] + "…")  # noqa: PLR2004 - a log line
        super().__init__(f"expected a {kind} name ({rule}), received {shown}")
        self.kind = kind
        self.name = name


@lru_cache(_MOST_CACHED)
def vehicle_name(name: str) -> str:
    """`name` if it may name a vehicle, else InvalidNameError."""
    return _agent_name("vehicle", name)


@lru_cache(_MOST_CACHED)
def topside_name(name: str) -> str:
    """`name` if it may name a topside, else InvalidNameError."""
    return _agent_name("topside", name)


def group_name(name: str) -> str:
    """`name` if it may name a group of topsides, else InvalidNameError."""
    return _agent_name("group", name)


def made_valid(text: str) -> str | None:
    """A name for a vehicle or topside made of `text`, as a host name; None where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:63].strip("-_")
    return name or None


PING_SUFFIX = "@ping"
"""Of the name of the account that may ping, or answer pings, for another; no name that is given ends so."""


def account_name(name: str) -> str:
    """`name` if it may name an account at the broker, else InvalidNameError."""
    return _agent_name("broker account", name)


def session_name(name: str) -> str:
    """`name` if it may name a session, else InvalidNameError."""
    return _folder_name("session", name)


def mission_name(name: str) -> str:
    """`name` if it may name a mission, else InvalidNameError."""
    return _folder_name("mission", name)


def session_level(name: str) -> str:
    """The topic level of the session `name`: bytes outside `[A-Za-z0-9_-]` as `=XX`, in upper-case hex.

    NATS and RabbitMQ end the connection of a client that uses a topic with a dot or a space. InvalidNameError
    for a name that no session may have.
    """
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in session_name(name).encode())


def session_of_level(level: str) -> str:
    """The inverse of `session_level`, which also takes a level with dots, as earlier versions wrote it.

    InvalidNameError for a level that is neither.
    """
    if _UNESCAPED.fullmatch(level):
        return session_name(level)
    name = _unescaped(level)
    if name is None or session_level(name) != level:
        rule = "as a topic level, only [A-Za-z0-9_-] and =XX for other bytes"
        raise InvalidNameError("session", level, rule)
    return name


def _unescaped(level: str) -> str | None:
    """The text of a level's bytes; None when it is not UTF-8."""
    latin = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), level)
    try:
        return latin.encode("latin-1").decode()
    except UnicodeError:
        return None


def _folder_name(kind: str, name: str) -> str:
    if not _is_folder_name(name):
        raise InvalidNameError(kind, name, _FOLDER_RULE)
    return name


def _is_folder_name(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return size <= _MOST_BYTES and _FOLDER.fullmatch(name) is not None


def root_name(name: str) -> str:
    """`name` if it may be the topics' root: one to eight levels of letters, digits, `_` and `-`."""
    if not _ROOT.fullmatch(name):
        raise InvalidNameError("topic root", name, "levels of letters, digits, '_' and '-', separated by '/'")
    return name


def _agent_name(kind: str, name: str) -> str:
    if not _AGENT.fullmatch(name):
        rule = "a lowercase letter or digit, then at most 62 of lowercase letters, digits, '_', '-'"
        raise InvalidNameError(kind, name, rule)
    return name


_AGENT_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_AGENT.pattern}$"})
_SESSION_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "pattern": f"^{_FOLDER.pattern}$",
        "maxLength": _MOST_BYTES,
        "description": _FOLDER_RULE[0].upper() + _FOLDER_RULE[1:] + ".",
    }
)

Vehicle = Annotated[str, AfterValidator(vehicle_name), _AGENT_SCHEMA]
"""A vehicle's name."""
Topside = Annotated[str, AfterValidator(topside_name), _AGENT_SCHEMA]
"""A surface station's name."""
Group = Annotated[str, AfterValidator(group_name), _AGENT_SCHEMA]
"""The name of a group of topsides that share a fleet."""
Session = Annotated[str, AfterValidator(session_name), _SESSION_SCHEMA]
"""The name of a session."""
Mission = Annotated[str, AfterValidator(mission_name), _SESSION_SCHEMA]
"""The name of a mission."""
Root = Annotated[str, AfterValidator(root_name)]
