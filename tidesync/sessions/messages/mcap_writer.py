"""Writes an MCAP file of records that are bytes already, with an index and a summary made for them.

Numbers of channels and schemas are kept. Every checksum that the format has is written.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import lz4.frame
import numpy as np
import zstandard
from mcap.opcode import Opcode
from mcap.records import (
    AttachmentIndex,
    ChunkIndex,
    DataEnd,
    Footer,
    MetadataIndex,
    Statistics,
    SummaryOffset,
)

from tidesync.sessions.messages.mcap_records import packed
from tidesync.sessions.messages.mcap_summary import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcap.records import McapRecord

    from tidesync.sessions.messages.mcap_block import Definition, Placed

_PART = 1 << 20
_ATTACHMENT_HEAD = 64 << 10
"""Bytes; its names are within these."""


class McapOutput:
    """A file that is being written to `stream`."""

    def __init__(self, stream: BinaryIO, header: bytes) -> None:
        """`header`: the record."""
        self._stream, self._at, self._crc = stream, 0, 0
        self._zstd = zstandard.ZstdCompressor()
        self._definitions: dict[tuple[int, int], Definition] = {}
        self._chunks, self._attachments, self._metadata = bytearray(), bytearray(), bytearray()
        self._statistics = Statistics(0, 0, {}, 0, 0, 0, 0, 0, 0)
        self._write(MAGIC + header)

    def defines(self, opcode: int, number: int) -> bool:
        """Whether a schema or channel of this number has been written."""
        return (opcode, number) in self._definitions

    def add(self, placed: Placed, definitions: Iterable[Definition], compression: str | None) -> None:
        """Write records, as a chunk unless `compression` is None; `definitions` are those among them."""
        for each in definitions:
            self._definitions.setdefault((each.opcode, each.number), each)
        if compression is None:
            self._write(placed.data)
        elif placed.data:
            self._chunk(placed, compression)
        self._count(placed)

    def copy(self, source: BinaryIO, at: int, size: int) -> None:
        """Copy a record that has no times of messages from `source`, and index it."""
        begin = self._at
        source.seek(at)
        head = source.read(min(size, _ATTACHMENT_HEAD))
        self._write(head)
        left = size - len(head)
        while left > 0 and (part := source.read(min(left, _PART))):
            self._write(part)
            left -= len(part)
        if head[0] == Opcode.ATTACHMENT:
            self._statistics.attachment_count += 1
            _append(self._attachments, _attachment_index(head, begin, size))
        elif head[0] == Opcode.METADATA:
            self._note_metadata(head, begin)

    def metadata(self, record: bytes) -> None:
        """Write a record of metadata."""
        begin = self._at
        self._write(record)
        self._note_metadata(record, begin)

    def finish(self) -> None:
        """Write the summary; nothing may be added afterwards."""
        stated = self._statistics
        stated.schema_count = sum(opcode == Opcode.SCHEMA for opcode, _ in self._definitions)
        stated.channel_count = len(self._definitions) - stated.schema_count
        self._write(packed(DataEnd(self._crc)))
        start, groups = self._at, list[SummaryOffset]()
        parts = bytearray()
        for opcode, part in self._groups():
            if part:
                groups.append(SummaryOffset(opcode, start + len(parts), len(part)))
                parts += part
        offsets_at = start + len(parts)
        for group in groups:
            parts += packed(group)
        footer = packed(Footer(start, offsets_at, 0))
        crc = zlib.crc32(footer[:-4], zlib.crc32(parts))
        self._write(bytes(parts) + packed(Footer(start, offsets_at, crc)) + MAGIC)

    def _groups(self) -> Iterable[tuple[int, bytes | bytearray]]:
        for opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            of_kind = (each.record for (kind, _), each in self._definitions.items() if kind == opcode)
            yield opcode, b"".join(of_kind)
        yield Opcode.STATISTICS, packed(self._statistics)
        yield Opcode.CHUNK_INDEX, self._chunks
        yield Opcode.ATTACHMENT_INDEX, self._attachments
        yield Opcode.METADATA_INDEX, self._metadata

    def _chunk(self, placed: Placed, compression: str) -> None:
        first, last = _span(placed)
        packed, name = self._compressed(placed.data, compression), compression.encode()
        begin, size = self._at, len(placed.data)
        head = struct.pack("<QQQII", first, last, size, zlib.crc32(placed.data), len(name)) + name
        head += struct.pack("<Q", len(packed))
        self._write(struct.pack("<BQ", Opcode.CHUNK, len(head) + len(packed)) + head)
        self._write(packed)
        length, offsets = self._at - begin, dict[int, int]()
        indexed = self._at
        for channel, record in _message_indexes(placed):
            offsets[channel] = self._at
            self._write(record)
        index = ChunkIndex(
            length, begin, compression, len(packed), last, self._at - indexed, offsets, first, size
        )
        _append(self._chunks, index)
        self._statistics.chunk_count += 1

    def _compressed(self, data: bytes | bytearray, compression: str) -> bytes | bytearray:
        if compression == "zstd":
            return self._zstd.compress(data)
        return lz4.frame.compress(data) if compression == "lz4" else data

    def _count(self, placed: Placed) -> None:
        stated = self._statistics
        if not placed.channels.size:
            return
        first, last = _span(placed)
        earliest = min(first, stated.message_start_time) if stated.message_count else first
        stated.message_start_time, stated.message_end_time = earliest, max(last, stated.message_end_time)
        stated.message_count += placed.channels.size
        numbers, counts = np.unique(placed.channels, return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            of_channel = stated.channel_message_counts
            of_channel[number] = of_channel.get(number, 0) + count

    def _note_metadata(self, record: bytes, begin: int) -> None:
        self._statistics.metadata_count += 1
        size = 9 + int.from_bytes(record[1:9], "little")
        name = int.from_bytes(record[9:13], "little")
        _append(self._metadata, MetadataIndex(begin, size, record[13 : 13 + name].decode("utf-8", "replace")))

    def _write(self, data: bytes | bytearray) -> None:
        self._stream.write(data)
        self._at += len(data)
        self._crc = zlib.crc32(data, self._crc)


def _message_indexes(placed: Placed) -> Iterable[tuple[int, bytes]]:
    """The index record of each channel's messages."""
    for channel in np.unique(placed.channels).tolist():
        places = np.flatnonzero(placed.channels == channel)
        starts = placed.starts[places].astype(np.uint64)
        pairs = np.stack([placed.log_ns[places], starts], axis=1).astype("<u8").tobytes()
        head = struct.pack("<BQHI", Opcode.MESSAGE_INDEX, 6 + len(pairs), channel, len(pairs))
        yield channel, head + pairs


def _span(placed: Placed) -> tuple[int, int]:
    return (int(placed.log_ns.min()), int(placed.log_ns.max())) if placed.log_ns.size else (0, 0)


def _attachment_index(head: bytes, begin: int, size: int) -> AttachmentIndex:
    """Of the attachment with this first part, written at `begin`."""
    log_time, create_time = struct.unpack_from("<QQ", head.ljust(25, b"\0"), 9)
    texts, at = [], 25
    for _ in range(2):
        length = int.from_bytes(head[at : at + 4], "little")
        texts.append(head[at + 4 : at + 4 + length].decode("utf-8", "replace"))
        at += 4 + length
    data_size = int.from_bytes(head[at : at + 8], "little")
    return AttachmentIndex(begin, size, log_time, create_time, data_size, *texts)


def _append(parts: bytearray, record: McapRecord) -> None:
    parts += packed(record)
