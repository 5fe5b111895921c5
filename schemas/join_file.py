"""`NAME.tidesync`: all that a vehicle's agent needs to reach its surface, in one small file (TOML)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from schemas.base import expectation
from schemas.compat import Self
from schemas.names import Root, Vehicle
from schemas.toml import tomllib

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

HEAD = b"# The way of vehicle "
"""How each such file begins."""
MOST_BYTES = 64 * 1024
"""A larger file is none of these."""
_HEAD = """\
# The way of vehicle {vehicle} to its surface. On the vehicle: tidesync pi --join {vehicle}.tidesync
# It holds a password: readable by its user alone.
"""
Pem = Annotated[str, Field(pattern=r"(?s)^-----BEGIN CERTIFICATE-----\n.*-----END CERTIFICATE-----\n$")]


class JoinFileError(ValueError):
    """The text is no such file; the sentence repeats no value."""


class JoinFile(BaseModel):
    """A vehicle's name, its account, and the broker's addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    vehicle: Vehicle
    brokers: tuple[str, ...] = Field(min_length=1, max_length=32)
    """URLs of one broker, each by another of its addresses."""
    username: str | None = Field(None, min_length=1, max_length=128)
    password: SecretStr | None = None
    topic_root: Root = "tidesync"
    ca: Pem | None = None
    """The authority that signed the broker's certificate, in PEM. It stands in lines of its own, so that the
    file can be given to TLS libraries as it is."""

    @classmethod
    def decode(cls, text: str) -> Self:
        """The content of such a file, else JoinFileError."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise JoinFileError(f"it is not TOML: {error}") from None
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise JoinFileError(f"{where}: {_wording(fault)}" if where else _wording(fault)) from None

    def encode(self) -> str:
        """The file's text."""
        lines = [f"format_version = {self.format_version}", f"vehicle = {_quoted(self.vehicle)}"]
        lines.append(f"brokers = [{', '.join(map(_quoted, self.brokers))}]")
        if self.username is not None:
            lines.append(f"username = {_quoted(self.username)}")
        if self.password is not None:
            lines.append(f"password = {_quoted(self.password.get_secret_value())}")
        lines.append(f"topic_root = {_quoted(self.topic_root)}")
        if self.ca is not None:
            lines.append(f'ca = """\n{self.ca}"""')
        return _HEAD.format(vehicle=self.vehicle) + "\n".join(lines) + "\n"


def _wording(fault: ErrorDetails) -> str:
    """What is accepted, in our words and without the value received, which may be the password."""
    if fault["type"] == "missing":
        return "expected this key, and it is missing"
    if fault["type"] == "extra_forbidden":
        return "this key is not known; is the file of a later version?"
    return expectation(fault["msg"])


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
