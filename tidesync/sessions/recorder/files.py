"""A session's files: appended with repair, renamed or removed so that a power cut keeps the change."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from runtime.files import SAFE_FLAGS, read, rename_new, sync_folder, write_all
from tidesync.sessions.frames import whole_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from io import FileIO
    from pathlib import Path
    from typing import BinaryIO

_log = logging.getLogger(__name__)

_BLOCK_BYTES = 64 * 1024
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFE_FLAGS


class FileEnd(NamedTuple):
    """Where a file ended: device, inode and size."""

    device: int
    inode: int
    size: int


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, so that they survive a power cut."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for level in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
            sync_folder(level)


def set_aside(path: Path, now: datetime, content: bytes) -> Path | None:
    """Rename a file that cannot be used to a dated name beside it; returns the name.

    None, and the file stays, if it does not hold `content` any more.
    """
    aside = path.with_name(f"{path.stem}.unreadable-{now:%Y-%m-%dT%H-%M-%S.%fZ}{path.suffix}")
    path.rename(aside)
    if read(aside) != content and rename_new(aside, path):
        return None
    sync_folder(path.parent)
    return aside


def append(path: Path, lines: bytes, is_whole: Callable[[bytes], bool]) -> int:
    """Append whole lines, all or (OSError) none of them; returns how many torn bytes were kept aside.

    A last line that a kill or a full disk has torn (it is not whole) is moved to `<name>.torn` first, and
    that is logged.
    """
    descriptor = os.open(path, _APPEND, 0o666)
    try:
        size, missing_newline, torn = _repair(descriptor, path, is_whole)
        try:
            write_all(descriptor, missing_newline + lines)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if torn:
        _log.warning("%s: its last line was torn; %d bytes are kept in %s.torn", path, torn, path.name)
    return torn


def append_frame(path: Path, frame: bytes, known: FileEnd | None) -> FileEnd:
    """Append a frame, all or (OSError) nothing of it; returns where the file ends then.

    `known`: where it ended by the last call. Where that is not so any more, what a kill or a power cut has
    torn is moved to `<name>.torn` first, and that is logged.
    """
    with os.fdopen(os.open(path, _APPEND, 0o666), "r+b", buffering=0) as stream:
        size = _end(stream).size if known == _end(stream) else _repair_frames(stream, path)
        try:
            write_all(stream.fileno(), frame)
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(size)
            raise
        return _end(stream)


def _end(stream: BinaryIO | FileIO) -> FileEnd:
    status = os.fstat(stream.fileno())
    return FileEnd(status.st_dev, status.st_ino, status.st_size)


def _repair_frames(stream: FileIO, path: Path) -> int:
    size = whole_end(stream)
    torn = os.fstat(stream.fileno()).st_size - size
    if torn:
        stream.seek(size)
        _keep(path, stream.read())
        stream.truncate(size)
        _log.warning("%s: its last frame was torn; %d bytes are kept in %s.torn", path, torn, path.name)
    return size


def _keep(path: Path, torn: bytes) -> None:
    """Keep what is torn aside."""
    aside = os.open(path.with_name(f"{path.name}.torn"), _APPEND, 0o666)
    try:
        write_all(aside, torn)
        os.fsync(aside)
    finally:
        os.close(aside)


def sync(path: Path) -> None:
    """Have what was appended survive a power cut."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _repair(descriptor: int, path: Path, is_whole: Callable[[bytes], bool]) -> tuple[int, bytes, int]:
    """The size to append at, a newline if only that is missing, and how many bytes were torn."""
    size = os.fstat(descriptor).st_size
    last = _last_line(descriptor, size)
    if not last:
        return size, b"", 0
    if is_whole(last):
        return size, b"\n", 0
    _keep(path, last + b"\n")
    os.ftruncate(descriptor, size - len(last))
    return size - len(last), b"", len(last)


def _last_line(descriptor: int, size: int) -> bytes:
    """The bytes after the last newline."""
    tail = b""
    while size > 0 and b"\n" not in tail:
        start = max(0, size - _BLOCK_BYTES)
        os.lseek(descriptor, start, os.SEEK_SET)
        tail = os.read(descriptor, size - start) + tail
        size = start
    return tail.rpartition(b"\n")[2]
