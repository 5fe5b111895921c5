"""Pieces of a machine's clock history: realtime against RAW, as straight lines of a stated half-width."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from schemas.base import Message, Nanoseconds
from schemas.exchange import Identifier
from schemas.names import Topside, Vehicle

PieceNumber = Annotated[int, Field(ge=0, le=2**53)]
"""A process counts the pieces of its history from 0; one merged from several keeps the first number."""
Begins = Literal["start", "step", "suspend"]
"""Why a piece does not continue the one before: the process started, the clock was set, the machine slept."""
MAX_PIECES = 200
"""Pieces in one message, at most."""


class ClockPiece(Message):
    """Between its ends realtime was within `half_width_ns` of the straight line that joins them.

    RAW does not run during a suspend, so a piece that begins with one starts at the RAW instant at which the
    one before ended. The assumption is stated where the pieces are made (`runtime.clock_pieces`).
    """

    from_raw_ns: Nanoseconds
    """The machine's RAW at the beginning, ns."""
    from_realtime_ns: Nanoseconds
    """The line at the beginning: the machine's realtime, ns since the Unix epoch."""
    to_raw_ns: Nanoseconds
    """The machine's RAW at the end, ns; not before the beginning."""
    to_realtime_ns: Nanoseconds
    """The line at the end: the machine's realtime, ns since the Unix epoch."""
    half_width_ns: Annotated[int, Field(ge=0, le=2**62)]
    """The largest distance of the machine's realtime from the line, before or after it, ns."""
    begins: Begins | None = None
    """Why the piece does not continue the one before; null: it continues it."""
    last: PieceNumber | None = None
    """The number of the last piece merged into this one; null if it is one piece."""

    @model_validator(mode="after")
    def _forward(self) -> ClockPiece:
        if self.to_raw_ns < self.from_raw_ns:
            raise ValueError(f"expected to_raw_ns {self.to_raw_ns} not before from_raw_ns {self.from_raw_ns}")
        return self


class _Pieces(Message):
    """Consecutive pieces; the first has the number `first`, each other follows the `last` of the one before.

    The open piece is sent again under its number with a later end: the latest one counts.
    """

    schema_version: Literal[1] = 1
    boot_id: Identifier
    instance_id: Identifier
    """Of the process that keeps the history: it counts its own pieces."""
    first: PieceNumber
    """The number of the first piece."""
    pieces: Annotated[tuple[ClockPiece, ...], Field(min_length=1, max_length=MAX_PIECES)]


class VehicleClock(_Pieces):
    """Pieces of a vehicle's clock history."""

    vehicle: Vehicle


class TopsideClock(_Pieces):
    """Pieces of a topside's clock history."""

    topside: Topside


class ClockResendCommand(Message):
    """Publish the pieces `from` to `to` (both included) of the process `instance_id` again."""

    model_config = ConfigDict(populate_by_name=True)

    request_id: Identifier
    action: Literal["resend"] = "resend"
    what: Literal["clock"] = "clock"
    instance_id: Identifier
    from_number: Annotated[PieceNumber, Field(alias="from")]
    """The number of the first piece wanted."""
    to_number: Annotated[PieceNumber, Field(alias="to")]
    """The number of the last piece wanted."""

    def encode(self) -> bytes:
        """UTF-8 JSON with the keys `from` and `to`."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True)


class ClockLine(ClockPiece):
    """A line of `clock.jsonl`: a piece, and whose it is. Of lines with equal numbers the last one counts."""

    machine: Literal["vehicle", "topside"]
    name: Annotated[str, Field(min_length=1, max_length=63)]
    boot_id: Identifier
    """Of the machine: RAW restarts with a boot."""
    instance_id: Identifier
    """Of the process that kept the history."""
    number: PieceNumber

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Identifies the piece."""
        return (self.machine, self.name, self.instance_id, self.number)


def numbered(message: _Pieces) -> list[tuple[int, ClockPiece]]:
    """The pieces of a message with their numbers."""
    pairs, number = [], message.first
    for piece in message.pieces:
        pairs.append((number, piece))
        number = (number if piece.last is None else piece.last) + 1
    return pairs
