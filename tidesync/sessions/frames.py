"""Journals in zstd frames: each is whole lines, and one that is torn or damaged costs its own lines alone.

A journal is a file of lines, followed by the lines of a file of frames beside it: either may be missing.
"""

from __future__ import annotations

import contextlib
import io
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".zst"
_LEVEL = 3
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPED = b"\x2a\x4d\x18"
"""Of a frame that holds no data: three bytes after one of sixteen."""
_HEADER_BYTES = 18
_BLOCK_HEADER_BYTES = 3
_CHECKSUM_BYTES = 4
_RUN = 1
"""A block that is one byte, repeated."""
_READ_BYTES = 2048
"""Read at a time: a block of four bytes may stand for 128 KiB."""
_SEARCH_BYTES = 1 << 20


def frame_of(lines: bytes) -> bytes:
    """The lines as one frame, with a checksum."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(lines)


def frame_end(stream: BinaryIO, start: int) -> int | None:
    """Where the frame ends that begins at `start`, by the lengths in it; None where there is no whole one."""
    stream.seek(start)
    head = stream.read(_HEADER_BYTES)
    if head[1:4] == _SKIPPED and head[0] >> 4 == 5:  # noqa: PLR2004 - 0x184D2A50 to 0x184D2A5F
        end = start + 8 + int.from_bytes(head[4:8], "little")
        return end if end <= stream.seek(0, io.SEEK_END) else None
    try:
        checked = zstandard.get_frame_parameters(head).has_checksum
        at = start + zstandard.frame_header_size(head)
    except zstandard.ZstdError:
        return None
    last = False
    while not last:
        stream.seek(at)
        header = stream.read(_BLOCK_HEADER_BYTES)
        if len(header) < _BLOCK_HEADER_BYTES:
            return None
        bits = int.from_bytes(header, "little")
        last, kind, size = bool(bits & 1), bits >> 1 & 3, bits >> 3
        at += _BLOCK_HEADER_BYTES + (1 if kind == _RUN else size)
    at += _CHECKSUM_BYTES if checked else 0
    return at if at <= stream.seek(0, io.SEEK_END) else None


def next_frame(stream: BinaryIO, start: int) -> int | None:
    """Where the next whole frame begins, at `start` or later."""
    begin = start
    while True:
        stream.seek(begin)
        data = stream.read(_SEARCH_BYTES)
        at = data.find(_MAGIC)
        if at >= 0:
            if frame_end(stream, begin + at) is not None:
                return begin + at
            begin += at + 1
        elif len(data) < _SEARCH_BYTES:
            return None
        else:
            begin += len(data) - len(_MAGIC) + 1


def whole_end(stream: BinaryIO) -> int:
    """Where the last sound frame ends; what follows is torn."""
    end, last = 0, None
    while (begin := next_frame(stream, end)) is not None:
        found = frame_end(stream, begin)
        assert found is not None
        last, end = begin, found
    if last is not None and not _is_sound(stream, last, end):
        return last
    return end


def _is_sound(stream: BinaryIO, begin: int, end: int) -> bool:
    stream.seek(begin)
    left, unpack = end - begin, zstandard.ZstdDecompressor().decompressobj()
    try:
        while left and not unpack.eof:
            left -= len(data := stream.read(min(left, _READ_BYTES)))
            unpack.decompress(data)
    except zstandard.ZstdError:
        return False
    return bool(unpack.eof)


class FrameStream(io.RawIOBase):
    """The lines in the frames of a file, from byte `start`, which begins one; closes `stream` with itself.

    Bytes that are no sound frame are one line, which says so and is no message.
    """

    def __init__(self, stream: BinaryIO, start: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._parts = self._unpacked(start)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer, 0 at the end."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        """Close the file too."""
        self._stream.close()
        super().close()

    def _unpacked(self, start: int) -> Iterator[bytes]:
        begin, size = start, self._stream.seek(0, io.SEEK_END)
        while begin < size:
            try:  # its checksum is at its end: none of its lines is believed before that
                ((end, _),) = deque(self._frame(begin), maxlen=1)
                for _, part in self._frame(begin):
                    yield part
                begin = end
            except zstandard.ZstdError as error:
                following = next_frame(self._stream, begin + 1)
                end = size if following is None else following
                yield f"\nno zstd frame in bytes {begin} to {end}: {error}\n".encode()
                begin = end

    def _frame(self, begin: int) -> Iterator[tuple[int, bytes]]:
        """Its content in parts, each with where the frame ends, as far as it is known; ZstdError."""
        unpack, at = zstandard.ZstdDecompressor().decompressobj(), begin
        while not unpack.eof:
            self._stream.seek(at)
            data = self._stream.read(_READ_BYTES)
            if not data:
                raise zstandard.ZstdError("it is cut short")
            part = unpack.decompress(data)
            at += len(data)
            yield at - len(unpack.unused_data), part


def parts_of(journal: Path) -> tuple[Path, Path]:
    """The plain file of a journal, and the compressed one that goes on where that ends."""
    return journal, journal.with_name(journal.name + SUFFIX)


def exists(journal: Path) -> bool:
    """Whether there is either of its files."""
    return any(part.is_file() for part in parts_of(journal))


def frames_exist(journal: Path) -> bool:
    """Whether it has a compressed file, as far as the disk can be asked."""
    with contextlib.suppress(OSError):
        return parts_of(journal)[1].exists()
    return False


def open_lines(path: Path, start: int = 0) -> BinaryIO:
    """The lines of one file from byte `start`, which begins a line or a frame; OSError."""
    stream = path.open("rb")
    if path.suffix == SUFFIX:
        return io.BufferedReader(FrameStream(stream, start), _READ_BYTES * 32)
    stream.seek(start)
    return stream
