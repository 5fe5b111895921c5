"""A row of the topic table: what a topic carries, who may send and read it, how its payload is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from schemas import messages
from schemas.base import MAX_MESSAGE_BYTES, InvalidMessageError, Message, first_error

Role = Literal["vehicle", "topside", "recorder", "dashboard", "operator"]
"""The kinds of client at the broker: each has its own accounts, with the rights that the table gives."""


@dataclass(frozen=True, slots=True, eq=False)
class TopicKind:
    """A row of the table. `payload` is None where it is plain text (`online`, `offline`).

    A vehicle or topside that sends or reads may do so only under its own name in the template; where `group`
    is set, the topsides of a group read it of one another.
    """

    name: str
    template: str
    senders: tuple[Role, ...]
    readers: tuple[Role, ...]
    payload: type[Message] | TypeAdapter[Message] | None
    qos: Literal[0, 1] = 1
    retain: bool = False
    will: bool = False
    group: bool = False

    def decode(self, payload: bytes) -> Message | str:
        """The message (or status word) in `payload`, else InvalidMessageError."""
        if self.payload is None:
            return _decode_status(payload)
        if isinstance(self.payload, TypeAdapter):
            return _decode_union(self.name, self.payload, payload)
        return self.payload.decode(payload)


def _decode_status(payload: bytes) -> str:
    words = get_args(messages.Status)
    for word in words:
        if payload == word.encode():
            return str(word)
    raise InvalidMessageError("status", f"expected one of {words}, received {payload[:40]!r}")


def _decode_union(name: str, adapter: TypeAdapter[Message], payload: bytes) -> Message:
    if len(payload) > MAX_MESSAGE_BYTES:
        raise InvalidMessageError(name, f"{len(payload)} bytes, more than {MAX_MESSAGE_BYTES}")
    try:
        return adapter.validate_json(payload)
    except ValidationError as error:
        raise InvalidMessageError(name, first_error(error)) from error
