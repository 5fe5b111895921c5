"""Files that survive a kill: atomic replace, and append with repair."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

_BLOCK_BYTES = 64 * 1024
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, so that they survive a power cut."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for level in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
            _sync_folder(level)


def read(path: Path) -> bytes | None:
    """The file's content, or None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def replace(path: Path, content: bytes, *, instead_of: bytes | None = None) -> bool:
    """Have `path` hold `content`: readers see the old or the new, and so does who looks after a power cut.

    False, and nothing done, if the file no longer holds `instead_of`: another program has written meanwhile.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(new, _WRITE, 0o666)
        try:
            with contextlib.suppress(FileNotFoundError):
                new.chmod(path.stat().st_mode & 0o777)
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if instead_of is not None and read(path) != instead_of:
            new.unlink()
            return False
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    _sync_folder(path.parent)
    return True


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a file that cannot be used to a dated name beside it; returns the name."""
    aside = path.with_name(f"{path.stem}.unreadable-{now:%Y-%m-%dT%H-%M-%S.%fZ}{path.suffix}")
    path.rename(aside)
    _sync_folder(path.parent)
    return aside


def append(path: Path, lines: bytes, is_whole: Callable[[bytes], bool]) -> int:
    """Append whole lines, all or (OSError) none of them; returns how many torn bytes were kept aside.

    A last line that a kill or a full disk has torn (it is not whole) is moved to `<name>.torn` first.
    """
    descriptor = os.open(path, _APPEND, 0o666)
    try:
        size, missing_newline, torn = _repair(descriptor, path, is_whole)
        try:
            _write_all(descriptor, missing_newline + lines)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    return torn


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
    _sync_folder(path.parent)


def _repair(descriptor: int, path: Path, is_whole: Callable[[bytes], bool]) -> tuple[int, bytes, int]:
    """The size to append at, a newline if only that is missing, and how many bytes were torn."""
    size = os.fstat(descriptor).st_size
    last = _last_line(descriptor, size)
    if not last:
        return size, b"", 0
    if is_whole(last):
        return size, b"\n", 0
    with path.with_name(f"{path.name}.torn").open("ab") as aside:
        aside.write(last + b"\n")
        aside.flush()
        os.fsync(aside.fileno())
    os.ftruncate(descriptor, size - len(last))
    return size - len(last), b"", len(last)


def _last_line(descriptor: int, size: int) -> bytes:
    """What stands after the last newline."""
    tail = b""
    while size > 0 and b"\n" not in tail:
        start = max(0, size - _BLOCK_BYTES)
        os.lseek(descriptor, start, os.SEEK_SET)
        tail = os.read(descriptor, size - start) + tail
        size = start
    return tail.rpartition(b"\n")[2]


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
