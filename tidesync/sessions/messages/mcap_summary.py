"""The header of an MCAP file, and the summary at its end: what it has, and where its chunks begin."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from mcap.opcode import Opcode
from mcap.records import Footer, Header, Statistics

from tidesync.sessions.messages.mcap_block import Definition, each_record
from tidesync.sessions.messages.mcap_records import UNREADABLE, is_whole, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\x89MCAP0\r\n"
_FOOTER = 9 + 20
_CHUNK_START_AT = 9 + 16


@dataclass(frozen=True, slots=True)
class Summary:
    """Empty where the file has none that can be trusted."""

    definitions: Mapping[tuple[int, int], Definition] = field(default_factory=dict)
    """By kind and number."""
    chunks: tuple[int, ...] = ()
    """Where they begin, rising."""
    messages: int | None = None
    """How many the file had when it was finished."""
    damaged: bool = False
    """The file ends with none that can be trusted, though one was written, or its end is not there."""


def read_header(stream: BinaryIO, size: int) -> Header | None:
    """The first record of a file of `size` bytes; None where there is no whole one."""
    stream.seek(len(MAGIC))
    head = stream.read(9)
    length = int.from_bytes(head[1:], "little")
    if len(head) < 9 or head[0] != Opcode.HEADER or length > size - len(MAGIC) - len(head):  # noqa: PLR2004
        return None
    try:
        return parsed(Header, stream.read(length))
    except UNREADABLE:
        return None


def read_summary(stream: BinaryIO, size: int) -> Summary:
    """The summary of a file of `size` bytes; the stream's place is lost."""
    try:
        return _summary(stream, size) or Summary(damaged=True)
    except UNREADABLE:
        return Summary(damaged=True)


def _summary(stream: BinaryIO, size: int) -> Summary | None:
    stream.seek(max(size - _FOOTER - len(MAGIC), 0))
    tail = stream.read(_FOOTER + len(MAGIC))
    if len(tail) < _FOOTER + len(MAGIC) or tail[0] != Opcode.FOOTER or not tail.endswith(MAGIC):
        return None
    footer = parsed(Footer, tail[9:_FOOTER])
    if not footer.summary_start:
        return Summary()
    length = size - len(tail) - footer.summary_start
    if length <= 0:
        return None
    stream.seek(footer.summary_start)
    data = stream.read(length)
    if footer.summary_crc and zlib.crc32(tail[: _FOOTER - 4], zlib.crc32(data)) != footer.summary_crc:
        return None
    return _parsed(data)


def _parsed(data: bytes) -> Summary | None:
    definitions, chunks, messages, end = {}, [], None, 0
    for opcode, begin, end in each_record(data):
        if not is_whole(opcode, data[begin + 9 : end]):
            return None
        if opcode in {Opcode.SCHEMA, Opcode.CHANNEL}:
            number = int.from_bytes(data[begin + 9 : begin + 11], "little")
            definitions[opcode, number] = Definition(opcode, number, data[begin:end])
        elif opcode == Opcode.CHUNK_INDEX:
            chunks.append(
                int.from_bytes(data[begin + _CHUNK_START_AT : begin + _CHUNK_START_AT + 8], "little")
            )
        elif opcode == Opcode.STATISTICS:
            messages = parsed(Statistics, data[begin + 9 : end]).message_count
    return Summary(definitions, tuple(sorted(chunks)), messages) if end == len(data) else None
