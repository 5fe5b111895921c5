"""The recorder's index beside its journals: what a restart must know of the lines, without reading them all.

It is a cache. It counts only for the journals that it was made of: each the same file (device and inode) that
is as long as then, with the same time of modification, or longer, and whose bytes before that length are the
same (a checksum of the last 64 KiB of them); or still none. An earlier line that was changed in place, by
something that has also appended or set the time back, goes unseen. Whatever follows is read as lines.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from array import array
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from runtime.files import replacing
from tidesync.sessions.errors import TornIndexError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

VERSION = 3
_TAIL_BYTES = 64 * 1024
_READ_BYTES = 1024 * 1024
_CHECK_BYTES = 8


class Position(NamedTuple):
    """A journal up to a length, and what tells it from another file."""

    device: int
    inode: int
    size: int
    modified_ns: int
    tail: str
    """SHA-256 of the last 64 KiB before `size`."""


class Parts:
    """The bytes that an index holds, taken from the beginning; TornIndexError where there are fewer."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def take(self, size: int) -> bytes:
        """The next bytes."""
        self._left -= size
        found = self._stream.read(size) if min(size, self._left) >= 0 else b""
        if len(found) != size:
            raise TornIndexError(f"{size} bytes expected, {len(found)} found")
        return found

    def integers(self, count: int) -> array[int]:
        """The next numbers of eight bytes."""
        return array("Q", self.take(8 * count))


class Index(NamedTuple):
    """An index that counts for its journals."""

    sizes: list[int]
    """It says what each journal holds up to this length."""
    state: bytes
    """A line of JSON."""
    parts: Parts


def position(journal: Path, size: int | None = None) -> Position | None:
    """Where `journal` ends, or how it was at an earlier `size`; None without one. OSError."""
    try:
        stream = journal.open("rb")
    except FileNotFoundError:
        return None
    with stream:
        status = os.fstat(stream.fileno())
        size = status.st_size if size is None else size
        start = max(0, size - _TAIL_BYTES)
        stream.seek(start)
        tail = sha256(stream.read(size - start)).hexdigest()
    return Position(status.st_dev, status.st_ino, size, status.st_mtime_ns, tail)


def write(
    path: Path, at: Iterable[Position | None], state: bytes, parts: Iterable[bytes | memoryview]
) -> None:
    """Replace the index by `state` (a line of JSON) and `parts`: what the journals say up to `at`."""
    journals = [each and each._asdict() for each in at]
    head = {"version": VERSION, "byteorder": sys.byteorder, "journals": journals}
    check = 0
    with replacing(path) as stream:
        for part in (json.dumps(head).encode() + b"\n", state + b"\n", *parts):
            check = zlib.crc32(part, check)
            stream.write(part)
        stream.write(check.to_bytes(_CHECK_BYTES, "big"))


@contextmanager
def reading(path: Path, journals: Sequence[Path]) -> Iterator[Index]:
    """Open the index of `journals`: FileNotFoundError without one, TornIndexError if it cannot be used."""
    with path.open("rb") as stream:
        size = _checked_size(stream)
        try:
            at = _positions(json.loads(stream.readline()))
            confirmed = all(_confirms(*each) for each in zip(journals, at, strict=True))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TornIndexError(f"no index: {error}") from error
        if not confirmed:
            raise TornIndexError("a journal is another one, or was changed since")
        state = stream.readline()
        yield Index([each.size if each else 0 for each in at], state, Parts(stream, size - stream.tell()))


def _checked_size(stream: BinaryIO) -> int:
    """The bytes before the checksum, which is right."""
    size = os.fstat(stream.fileno()).st_size - _CHECK_BYTES
    check, left = 0, size
    while left > 0 and (chunk := stream.read(min(left, _READ_BYTES))):
        check = zlib.crc32(chunk, check)
        left -= len(chunk)
    if size <= 0 or left or int.from_bytes(stream.read(_CHECK_BYTES), "big") != check:
        raise TornIndexError("it is torn")
    stream.seek(0)
    return size


def _positions(head: dict[str, Any]) -> list[Position | None]:
    if (head["version"], head["byteorder"]) != (VERSION, sys.byteorder):
        raise TornIndexError(f"version {head['version']}, of a {head['byteorder']}-endian machine")
    return [None if each is None else Position(**each) for each in head["journals"]]


def _confirms(journal: Path, at: Position | None) -> bool:
    """Whether the journal is the one that the index was made of, up to that length; None: there was none."""
    if at is None:
        return True
    status = journal.stat()
    if status.st_size < at.size or (status.st_size == at.size and status.st_mtime_ns != at.modified_ns):
        return False
    found = position(journal, at.size)
    return found is not None and found._replace(modified_ns=at.modified_ns) == at
