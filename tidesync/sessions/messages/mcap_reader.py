"""Reads an MCAP file record by record, as far as it can be read; what cannot be is a Loss.

A chunk whose checksum does not match is left out: any of its stamps may be damaged. Where the records do not
follow each other any more, reading goes on with the next chunk that the file's summary names. Of a chunk that
is cut off, what can be decompressed is read.

Assumption: a stamp in a file without checksums is what was written.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import lz4.frame
import zstandard
from mcap.opcode import Opcode
from mcap.records import Chunk, DataEnd

from tidesync.sessions.messages.format import Loss
from tidesync.sessions.messages.mcap_records import UNREADABLE, is_whole, parsed
from tidesync.sessions.messages.mcap_summary import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = struct.Struct("<BQ")
_PART = 1 << 20
_LARGEST = 1 << 30
"""Bytes of a chunk: a greater one would not be read in little memory."""
_END = 4
"""The length of the record that ends the data: its one number."""
_CHUNK_HEAD = 8 + 8 + 8 + 4 + 4 + 8


class Passage(NamedTuple):
    """Records of schemas, channels and messages that stand together, or one other record to be copied."""

    at: int
    data: bytes
    size: int
    """Bytes in the file."""
    compression: str | None = None
    """Of the chunk; None: they are in no chunk."""
    copied: bool = False


class McapReader:
    """One pass over a file of `size` bytes; `losses` are complete after it."""

    def __init__(self, stream: BinaryIO, size: int, chunks: Sequence[int]) -> None:
        """`chunks`: where chunks begin, rising, as far as it is known."""
        self._stream, self._size, self._chunks = stream, size, chunks
        self._starts = frozenset(chunks)
        self.losses: list[Loss] = []
        self.unknown = Counter[int]()
        """Records of kinds that the format does not define, by their kind."""
        self._crc, self._whole, self._unchecked = 0, True, False
        self._at = len(MAGIC)
        self._loose: list[bytes] = []
        self._loose_at = self._loose_size = 0

    def passages(self) -> Iterator[Passage]:
        """All of it, but for the indexes."""
        self._stream.seek(0)
        self._crc = zlib.crc32(self._stream.read(len(MAGIC)))
        while self._at < self._size:
            at, head = self._at, self._stream.read(_HEAD.size)
            opcode, length = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
            if not opcode or length > self._size - at - _HEAD.size:
                yield from self._broken(at, opcode)
                continue
            if self._is_other(at, opcode, length):
                yield from self._broken(at, 0)
                continue
            if opcode in {Opcode.DATA_END, Opcode.FOOTER}:
                self._end(at, opcode, length)
                break
            self._at = at + _HEAD.size + length
            self._crc = zlib.crc32(head, self._crc)
            yield from self._record(at, opcode, length, head)
        else:
            self._lost(self._at, 0, "it ends without an end of its data: it was cut off, or is being written")
        yield from self._flushed()

    def chunk_at(self, at: int) -> Iterator[Passage]:
        """The chunk that begins there, if one does."""
        self._stream.seek(at)
        head = self._stream.read(_HEAD.size)
        opcode, length = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        if opcode == Opcode.CHUNK and length <= self._size - at - _HEAD.size:
            yield from self._chunk(at, self._content(length), length)

    def _is_other(self, at: int, opcode: int, length: int) -> bool:
        """Whether it cannot be what it says: the data would end there, or a known chunk not be read."""
        if opcode == Opcode.FOOTER:
            return at + _HEAD.size + length + len(MAGIC) != self._size
        return (opcode == Opcode.DATA_END and length != _END) or (
            opcode != Opcode.CHUNK and at in self._starts
        )

    def _record(self, at: int, opcode: int, length: int, head: bytes) -> Iterator[Passage]:
        if opcode in {Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE}:
            content = self._content(length)
            if is_whole(opcode, content):
                yield from self._add_loose(at, head + content)
            else:
                self._lost(at, _HEAD.size + length, "a schema or channel cannot be read")
            return
        yield from self._flushed()
        if opcode == Opcode.CHUNK:
            content = self._content(length)
            yield from self._chunk(at, content, length)
        elif opcode in _MADE_AGAIN:
            if not _is_index(opcode, self._content(length), first=at == len(MAGIC)):
                self._lost(
                    at, _HEAD.size + length, "a record that does not belong among the data is left out"
                )
        elif self._is_copied(at, opcode, length):
            if opcode not in {Opcode.ATTACHMENT, Opcode.METADATA}:
                self.unknown[opcode] += 1
            yield Passage(at, b"", _HEAD.size + length, copied=True)

    def _content(self, length: int) -> bytes:
        content = self._stream.read(length)
        self._crc = zlib.crc32(content, self._crc)
        return content

    def _is_copied(self, at: int, opcode: int, length: int) -> bool:
        """Pass over a record that is neither of messages nor an index: whether it is whole."""
        if opcode == Opcode.METADATA:
            whole = is_whole(opcode, self._content(length))
        else:
            begin, own, left = b"", 0, max(length - 4, 0)
            while left > 0 and (part := self._content(min(left, _PART))):
                begin, left, own = begin or part, left - len(part), zlib.crc32(part, own)
            stated = int.from_bytes(self._content(min(length, 4)), "little")
            whole = opcode != Opcode.ATTACHMENT or (stated in {0, own} and _is_attachment(begin, length))
        if not whole:
            self._lost(at, _HEAD.size + length, "an attachment or metadata cannot be read, and is left out")
        return whole

    def _chunk(self, at: int, content: bytes, length: int, *, cut: bool = False) -> Iterator[Passage]:
        try:
            chunk = _chunk_of(content, cut=cut)
            data = _decompressed(chunk, cut=cut)
        except (*UNREADABLE, RuntimeError, zstandard.ZstdError) as error:
            self._lost(at, _HEAD.size + length, f"a chunk cannot be read: {error}")
            return
        if not cut and chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
            self._lost(at, _HEAD.size + length, "a chunk's checksum does not match")
            return
        self._unchecked |= not chunk.uncompressed_crc
        yield Passage(at, data, _HEAD.size + length, chunk.compression)

    def _add_loose(self, at: int, record: bytes) -> Iterator[Passage]:
        if not self._loose:
            self._loose_at = at
        self._loose.append(record)
        self._loose_size += len(record)
        self._unchecked = True
        if self._loose_size >= _PART:
            yield from self._flushed()

    def _flushed(self) -> Iterator[Passage]:
        if self._loose:
            yield Passage(self._loose_at, b"".join(self._loose), self._loose_size)
            self._loose, self._loose_size = [], 0

    def _broken(self, at: int, opcode: int) -> Iterator[Passage]:
        """Go on with the next chunk that is known; of a chunk that is cut off read what is there."""
        yield from self._flushed()
        following = next((each for each in self._chunks if each > at), None)
        self._at = self._size if following is None or following >= self._size else following
        if opcode == Opcode.CHUNK and following is None:
            content = self._stream.read(min(self._size - at - _HEAD.size, _LARGEST))
            yield from self._chunk(at, content, len(content), cut=True)
        reason = "a record is cut off" if opcode and following is None else "no record begins here"
        self._lost(at, self._at - at, reason)
        self._whole = False
        self._stream.seek(self._at)

    def _end(self, at: int, opcode: int, length: int) -> None:
        if opcode != Opcode.DATA_END:
            return
        stated = parsed(DataEnd, self._stream.read(length)).data_section_crc
        if stated not in {0, self._crc} and self._whole and self._unchecked:
            self._lost(
                at,
                0,
                "the checksum of its data does not match: what is in no checked chunk may be damaged",
            )

    def _lost(self, at: int, size: int, reason: str) -> None:
        self.losses.append(Loss(at, size, reason))


_MADE_AGAIN = {
    Opcode.HEADER,
    Opcode.MESSAGE_INDEX,
    Opcode.CHUNK_INDEX,
    Opcode.ATTACHMENT_INDEX,
    Opcode.METADATA_INDEX,
    Opcode.STATISTICS,
    Opcode.SUMMARY_OFFSET,
}


def _is_index(opcode: int, content: bytes, *, first: bool) -> bool:
    """Whether a record that is made again may stand among the data: the header, or an index of messages.

    The channel's number, the length of the pairs, and pairs of a time and a place.
    """
    if opcode == Opcode.HEADER:
        return first
    size = int.from_bytes(content[2:6], "little")
    return opcode == Opcode.MESSAGE_INDEX and len(content) == 6 + size and size % 16 == 0


def _chunk_of(content: bytes, *, cut: bool) -> Chunk:
    """A chunk's record; ValueError where its parts do not fill it."""
    chunk = parsed(Chunk, content, cut=cut)
    name = len(chunk.compression.encode())
    stated = int.from_bytes(content[_CHUNK_HEAD - 8 + name : _CHUNK_HEAD + name], "little")
    if not cut and stated + _CHUNK_HEAD + name != len(content):
        raise ValueError("its length is not that of its parts")
    if chunk.uncompressed_size > _LARGEST:
        raise ValueError(f"it has {chunk.uncompressed_size} bytes, expected at most {_LARGEST}")
    return chunk


def _decompressed(chunk: Chunk, *, cut: bool) -> bytes:
    """A chunk's records; ValueError where there are not as many bytes as it states, unless it is `cut`."""
    size = chunk.uncompressed_size
    if chunk.compression == "zstd" and size and zstandard.frame_content_size(chunk.data) == size and not cut:
        data = zstandard.ZstdDecompressor().decompress(chunk.data)  # with half the memory of a stream
    elif chunk.compression == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(BytesIO(chunk.data)) as stream:
            data = stream.read(size)
    elif chunk.compression == "lz4":
        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=max(size, 1))
    elif not chunk.compression:
        data = chunk.data
    else:
        raise ValueError(f"compression {chunk.compression!r}, expected zstd, lz4 or none")
    if len(data) != size and not (cut and len(data) < size):
        raise ValueError(f"it has {len(data)} bytes instead of {size}")
    return data


def _is_attachment(begin: bytes, length: int) -> bool:
    """Whether the parts of an attachment's record fill it; `begin` has all but its data."""
    at = 16
    for _ in range(2):
        at += 4 + int.from_bytes(begin[at : at + 4], "little")
    return at + 8 + int.from_bytes(begin[at : at + 8], "little") + 4 == length
