"""Single MCAP records as objects of the mcap library, from bytes and to bytes."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar, cast

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import EndOfFile, McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

if TYPE_CHECKING:
    from mcap.records import McapRecord

Kind = TypeVar("Kind", bound="McapRecord")

UNREADABLE = (struct.error, ValueError, EOFError, OverflowError, EndOfFile, McapError)
"""What the library raises where bytes are no such record."""


class _Whole(ReadDataStream):
    """The library's stream returns less than is asked for at its end."""

    def read(self, length: int) -> bytes:
        data = super().read(length)
        if len(data) < length:
            raise EndOfFile
        return data


def parsed(kind: type[Kind], content: bytes, *, cut: bool = False) -> Kind:
    """The record with this content, which begins after its length; one of UNREADABLE.

    `cut`: the last of its fields may be cut off.
    """
    stream = (ReadDataStream if cut else _Whole)(BytesIO(content))
    return cast("Kind", kind.read(stream))  # type: ignore[attr-defined]


def is_whole(opcode: int, content: bytes) -> bool:
    """Whether a schema, channel or metadata record can be read; True of any other."""
    kinds = {Opcode.SCHEMA: Schema, Opcode.CHANNEL: Channel, Opcode.METADATA: Metadata}
    try:
        return opcode not in kinds or bool(parsed(kinds[Opcode(opcode)], content))
    except UNREADABLE:
        return False


def packed(record: McapRecord) -> bytes:
    """The whole record."""
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())  # type: ignore[no-untyped-call]
