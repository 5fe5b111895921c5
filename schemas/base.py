"""The base of every message: frozen, decoded strictly, refused rather than repaired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.compat import Self

LATEST_NS = 9_214_646_400_000_000_000
"""2262-01-01: no clock is read later. What is computed from readings then stays within 64 bits."""

Nanoseconds = Annotated[int, Field(ge=0, le=LATEST_NS)]
"""The reading of a clock: integer nanoseconds since its epoch; of realtime from 1970 to 2261."""

NanosecondsDifference = Annotated[int, Field(ge=-LATEST_NS, le=LATEST_NS)]
"""The signed difference of two clocks' readings, in integer nanoseconds."""

Milliseconds = Annotated[float, Field(ge=-LATEST_NS // 10**6, le=LATEST_NS // 10**6)]
"""Milliseconds; an offset is Pi − topside, positive when the Pi is ahead."""

Ppm = Annotated[float, Field(ge=-1e12, le=1e12)]
"""A rate in parts per million; no clocks run apart so fast, but a first estimate may be as uncertain."""

# A word that a later version has and this one has not: printable ASCII, shown as it is. Only where a reader
# that does not know its meaning can be right all the same; elsewhere unknown words are refused.
OtherWord = Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]

MAX_PACKET_BYTES = 64 * 1024
"""The largest MQTT packet, after its fixed header: a connection that brings a larger one is ended. No kind of
ours needs more; what has many entries, as a batch of exchanges, is divided."""

MAX_MESSAGE_BYTES = MAX_PACKET_BYTES - 1024
"""The largest payload that is sent or decoded; the rest is for the topic."""


class SchemasError(Exception):
    """Base of this package's errors.

    SchemasError
    ├── InvalidNameError     a vehicle, topside or session name (schemas.names)
    ├── InvalidTopicError    a topic that is not in the table (schemas.topics)
    └── InvalidMessageError  a payload that does not match the model of its topic
    """


class InvalidMessageError(SchemasError):
    """A payload that cannot be decoded: not UTF-8, not JSON, too large, or not as the model requires."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"not a valid {model}: {reason}")
        self.model = model
        self.reason = reason


class Message(BaseModel):
    """A frozen value decoded strictly: no type is coerced, NaN and infinity are refused.

    Unknown keys are ignored, so that a key can be added or dropped within the same schema version.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def decode(cls, payload: bytes | str) -> Self:
        """The message in `payload`, or InvalidMessageError with the first error and the value received."""
        if len(payload) > MAX_MESSAGE_BYTES:
            raise InvalidMessageError(cls.__name__, f"{len(payload)} bytes, more than {MAX_MESSAGE_BYTES}")
        try:
            # like `model_validate_json` and, below, `model_dump_json`, without the cost of their options
            message: Self = cls.__pydantic_validator__.validate_json(payload)
        except ValidationError as error:
            raise InvalidMessageError(cls.__name__, first_error(error)) from error
        return message

    def encode(self) -> bytes:
        """The message as UTF-8 JSON, keys in the order in which they are declared."""
        return self.__pydantic_serializer__.to_json(self)


def maker(model: type[M]) -> Callable[[dict[str, object]], M]:
    """Makes messages again of values that were validated: all of the model's, in the order of its fields.

    `model_construct` does that too, in ten times the time.
    """
    fields_set = set(model.model_fields)

    def make(values: dict[str, object]) -> M:
        made = object.__new__(model)
        _set_fields_set(made, fields_set)
        _set_extra(made, None)
        _set_private(made, None)
        _set_values(made, values)
        return made

    return make


M = TypeVar("M", bound=Message)
_set_values, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def expectation(message: str) -> str:
    """What pydantic's `message` says that is accepted, as `expected …`."""
    accepted = message.removeprefix("Value error, ")
    if accepted.startswith("Input should be "):
        wanted = accepted.removeprefix("Input should be ").partition(", unable")[0]
        return f"expected {'a number ' if wanted.startswith(('greater', 'less')) else ''}{wanted}"
    return accepted.replace("String should match pattern", "expected text that matches")


def first_error(error: ValidationError) -> str:
    """One line for the first of pydantic's errors: where, what, and the value (shortened)."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if not where and first["type"] == "value_error":
        return first["msg"]  # of a whole model: the sentence has the values
    received = repr(first["input"])
    if len(received) > 80:  # noqa: PLR2004 - a log line, not a dump
        received = received[:77] + "…"
    return f"{where + ': ' if where else ''}{expectation(first['msg'])}, received {received}"
