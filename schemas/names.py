"""The names in topics and paths, validated so that none can contain a separator or wildcard."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from schemas.base import SchemasError

_AGENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_ROOT = re.compile(r"[A-Za-z0-9_-]{1,63}(/[A-Za-z0-9_-]{1,63}){0,7}", re.ASCII)


class InvalidNameError(SchemasError, ValueError):
    """A name that is not allowed in a topic or a path."""

    def __init__(self, kind: str, name: str, rule: str) -> None:
        shown = repr(name if len(name) <= 80 else name[:77] + "…")  # noqa: PLR2004 - a log line
        super().__init__(f"{shown} is not a {kind} name: {rule}")
        self.kind = kind
        self.name = name


def vehicle_name(name: str) -> str:
    """`name` if it may name a vehicle, else InvalidNameError."""
    return _agent_name("vehicle", name)


def topside_name(name: str) -> str:
    """`name` if it may name a topside, else InvalidNameError."""
    return _agent_name("topside", name)


def made_valid(text: str) -> str | None:
    """A name for a vehicle or topside made of `text`, as a host name; None where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:63].strip("-_")
    return name or None


def account_name(name: str) -> str:
    """`name` if it may name an account at the broker, else InvalidNameError."""
    return _agent_name("broker account", name)


def session_name(name: str) -> str:
    """`name` if it may name a session, else InvalidNameError."""
    return _folder_name("session", name)


def mission_name(name: str) -> str:
    """`name` if it may name a mission, else InvalidNameError."""
    return _folder_name("mission", name)


def _folder_name(kind: str, name: str) -> str:
    if not _SESSION.fullmatch(name) or ".." in name:
        rule = "a letter or digit, then at most 99 of letters, digits, '.', '_', '-', and no '..'"
        raise InvalidNameError(kind, name, rule)
    return name


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
_SESSION_SCHEMA = WithJsonSchema({"type": "string", "pattern": rf"^(?!.*\.\.){_SESSION.pattern}$"})

Vehicle = Annotated[str, AfterValidator(vehicle_name), _AGENT_SCHEMA]
"""A vehicle's name."""
Topside = Annotated[str, AfterValidator(topside_name), _AGENT_SCHEMA]
"""A surface station's name."""
Session = Annotated[str, AfterValidator(session_name), _SESSION_SCHEMA]
"""The name of a session."""
Mission = Annotated[str, AfterValidator(mission_name), _SESSION_SCHEMA]
"""The name of a mission."""
Root = Annotated[str, AfterValidator(root_name)]
