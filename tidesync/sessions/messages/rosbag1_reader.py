"""Reads the chunks of a ROS 1 bag one after another, with an index or without; what cannot be read is a Loss.

The index of a chunk is compared with its messages: where their times differ, both are in doubt. Where records
do not follow each other, the next chunk is sought.

Assumption: without an index a time is what was written, as bags have no checksums.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from rosbags.rosbag1 import Reader, ReaderError
from rosbags.rosbag1.reader import Chunk, Header, decompressors, read_bytes, read_uint32

from tidesync.figures import counted
from tidesync.sessions.messages.format import Loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from rosbags.interfaces import Connection

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = range(2, 8)
_S = 1_000_000_000
_LONGEST_HEADER = 1 << 20
_NEAR = 256
"""Bytes of a chunk's header in front of its kind."""
BROKEN = (ReaderError, KeyError, ValueError, IndexError, AssertionError, EOFError, RuntimeError, struct.error)
"""What the library raises of damaged parts."""


class Entry(NamedTuple):
    """A message: its time as in its record, ns, and where it is."""

    time: int
    chunk_pos: int
    offset: int
    connection: int
    doubtful: bool = False
    """Whether the chunk's index has another time of it."""


class BagReader(Reader):
    """An open bag, as the library's reader has it, with its messages in the order of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.entries: list[Entry] = []
        self.losses: list[Loss] = []
        self._found: dict[int, Connection] = {}
        self._first_of_chunk = 0

    def open(self) -> None:
        """ReaderError where it is no bag, or encrypted."""
        stream = self.bio = self.path.open("rb")
        try:
            _check_magic(stream.read(len(MAGIC)))
            self._scan(stream, os.fstat(stream.fileno()).st_size)
            self._leave_undefined()
            self.connections = [*self._found.values()]
        except BaseException:
            with suppress(Exception):
                self.close()
            raise

    def messages_of(self, at: int) -> BytesIO:
        """The records of the chunk there."""
        assert self.bio is not None
        chunk = self.chunks[at]
        self.bio.seek(chunk.datapos)
        return BytesIO(chunk.decompressor(read_bytes(self.bio, chunk.datasize)))

    def _scan(self, stream: BinaryIO, size: int) -> None:
        at = len(MAGIC)
        while at < size:
            try:
                stream.seek(at)
                header = _header(stream)
                length = read_uint32(stream)
                begin, kind = stream.tell(), header.get_uint8("op")
                end = begin + length
                if end > size and kind != _CHUNK:
                    raise ReaderError("a record is cut off")
            except BROKEN:
                following = _next_chunk(stream, at + 1, size)
                self.losses.append(Loss(at, following - at, "no record begins here, or it is cut off"))
                at = following
                continue
            if kind == _CHUNK:
                self._chunk(at, header, (begin, min(end, size)))
                if end > size:
                    self.losses.append(Loss(size, 0, "its last chunk is cut off: what is in it is corrected"))
            elif kind == _CONNECTION:
                self._connection(stream, at)
            elif kind == _BAG and at == len(MAGIC):
                self._note_end(header, size)
            elif not (kind == _INDEX and self._compare(header, stream.read(length))) and (
                kind != _CHUNK_INFO or "chunk_pos" not in header
            ):
                self.losses.append(Loss(at, end - at, "a record is not of the kind that it states"))
            at = end

    def _chunk(self, at: int, header: Header, data: tuple[int, int]) -> None:
        """Take the messages of a chunk."""
        begin, end = data
        self._first_of_chunk = len(self.entries)
        try:
            compression = header.get_string("compression")
            self.chunks[at] = Chunk(end - begin, begin, decompressors[compression])
            records = self.messages_of(at)
        except Exception as error:  # noqa: BLE001 - what decompressors raise has no common class
            self.chunks.pop(at, None)
            self.losses.append(Loss(at, end - at, f"a chunk cannot be read: {error}"))
            return
        stop = records.seek(0, os.SEEK_END)
        place = 0
        while place < stop:
            records.seek(place)
            try:
                record = _header(records)
                kind = record.get_uint8("op")
                if kind == _MESSAGE:
                    entry = Entry(record.get_time("time"), at, place, record.get_uint32("conn"))
                    read_bytes(records, read_uint32(records))
                    self.entries.append(entry)
                elif kind == _CONNECTION:
                    self._connection(records, place)
                    records.seek(place)
                    _header(records)
                    read_bytes(records, read_uint32(records))
                else:
                    raise ReaderError(f"a record of kind {kind}")
            except BROKEN as error:
                reason = f"{stop - place} bytes of a chunk cannot be read: {error}"
                self.losses.append(Loss(at, stop - place, reason))
                return
            place = records.tell()

    def _leave_undefined(self) -> None:
        """Leave out the messages of connections that are not defined."""
        undefined = Counter(each.connection for each in self.entries if each.connection not in self._found)
        for connection, count in undefined.items():
            reason = f"{counted(count, 'message')} of connection {connection}, which is not defined"
            self.losses.append(Loss(0, 0, reason))
        self.entries = [each for each in self.entries if each.connection in self._found]

    def _connection(self, stream: BinaryIO, at: int) -> None:
        """Take a connection's record."""
        place, self.bio = self.bio, stream
        try:
            stream.seek(at)
            found = self.read_connection()
            self._found.setdefault(found.id, found)
        except BROKEN as error:
            self.losses.append(Loss(at, 0, f"a connection cannot be read: {error}"))
        finally:
            self.bio = place

    def _compare(self, header: Header, pairs: bytes) -> bool:
        """Mark messages of the last chunk whose times a part of its index has not; whether it is one."""
        count = (len(pairs) // 12).to_bytes(4, "little")
        if header.get("ver") != b"\x01\x00\x00\x00" or header.get("count") != count:
            return False
        whole = pairs[: len(pairs) // 12 * 12]
        times = {offset: seconds * _S + rest for seconds, rest, offset in struct.iter_unpack("<LLL", whole)}
        for place in range(self._first_of_chunk, len(self.entries)):
            entry = self.entries[place]
            if times.get(entry.offset, entry.time) != entry.time:
                self.entries[place] = entry._replace(doubtful=True)
        return len(whole) == len(pairs)

    def _note_end(self, header: Header, size: int) -> None:
        """Take the bag's header, which says where its index begins."""
        if header.get("encryptor"):
            raise ReaderError(f"it is encrypted: {header['encryptor']!r}")
        if not 0 < int.from_bytes(header.get("index_pos", b""), "little") < size:
            self.losses.append(Loss(size, 0, "it has no index: it was cut off, or is being written"))


def _check_magic(begin: bytes) -> None:
    if begin != MAGIC:
        raise ReaderError(f"it begins with {begin!r}" if begin else "it is empty")


def _header(stream: BinaryIO) -> Header:
    """The header of the record that begins there."""
    at = stream.tell()
    if read_uint32(stream) > _LONGEST_HEADER:
        raise ReaderError("no header")
    stream.seek(at)
    return Header.read(stream)


def _next_chunk(stream: BinaryIO, at: int, size: int) -> int:
    """Where the next chunk begins; the size where there is none."""
    for place in _kinds_from(stream, at):
        for begin in range(max(place - _NEAR, at), place - 7):
            stream.seek(begin)
            with suppress(*BROKEN):
                header = _header(stream)
                ends = stream.tell()
                read_uint32(stream)
                if header.get_uint8("op") == _CHUNK and "compression" in header and begin < place < ends:
                    return begin
    return size


def _kinds_from(stream: BinaryIO, at: int) -> Iterator[int]:
    """Where the kind of a chunk may be written, from a place on."""
    wanted, part = b"op=\x05", 1 << 20
    while True:
        stream.seek(at)
        data = stream.read(part + len(wanted))
        place = data.find(wanted)
        while place >= 0:
            yield at + place
            place = data.find(wanted, place + 1)
        if len(data) <= part:
            return
        at += part
