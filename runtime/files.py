"""Files that are written completely or not at all, with the owner and the mode that their readers need."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from runtime.system_modules import pwd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Owner = tuple[int, int]
"""User and group, by number."""
SAFE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Do not follow a link, do not leave the file open in child processes, do not translate newlines."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE_FLAGS
_PRIVATE = 0o600
_BROKER_USER = "mosquitto"
_TRIES = 40 if sys.platform == "win32" else 1
_AGAIN_S = 0.025
_pause = threading.Event()
"""Never set."""


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """What to write; without an owner the file belongs to the user who writes it."""

    content: bytes
    owner: Owner | None = None
    mode: int = _PRIVATE


def read(path: Path) -> bytes | None:
    """The file's content, or None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path`; readers see the old content or the new, also after a power cut."""
    with _temporary(path) as new:
        _write_like(new, path, content)
        _rename(new, path)
    sync_folder(path.parent)


def replace_unchanged(path: Path, content: bytes, instead_of: bytes | None) -> bool:
    """Do as `replace`, unless the file does not hold `instead_of` (None: is not there): False.

    Another program that has opened the file by then, to write it, has its file back: its writing begins with
    an empty file, which is seen after the rename. On a file system without hard links that one is lost.
    """
    with _temporary(path) as new, _temporary(path, "old") as old:
        _write_like(new, path, content)
        if read(path) != instead_of:
            return False
        if instead_of is None:
            if not rename_new(new, path):
                return False
        else:
            with contextlib.suppress(OSError):
                old.hardlink_to(path)
            _rename(new, path)
            if old.exists() and read(old) != instead_of:
                _rename(old, path)
                return False
    sync_folder(path.parent)
    return True


def rename_new(path: Path, new: Path) -> bool:
    """Rename `path` to `new`; False if there is a file of that name."""
    try:
        new.hardlink_to(path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if new.exists():
            return False
        path.rename(new)
        return True
    path.unlink()
    return True


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a stream that replaces `path` when the block ends; an exception leaves `path` as it is.

    OSError where another program began to replace `path` meanwhile: its file is the one that counts.
    """
    new, opened = _temporary_name(path), None
    new.unlink(missing_ok=True)
    try:
        with _open_like(new, path) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as stream:
            opened = os.fstat(descriptor)
            yield stream
            stream.flush()
            os.fsync(descriptor)
            if not _is(new, opened):  # while it is open: some file systems number a closed file again
                raise OSError(errno.EBUSY, "another program began to write it", str(path))
        _rename(new, path)
    finally:
        with contextlib.suppress(OSError):
            if opened and _is(new, opened):
                new.unlink()
    sync_folder(path.parent)


def replace_all(folder: Path, files: Mapping[str, PrivateFile]) -> None:
    """Replace files in `folder`, all written before the first is renamed: a full disk changes nothing.

    They are renamed in the order of `files`, so that the last one can serve as the marker of a complete set.
    """
    with contextlib.ExitStack() as stack:
        new = {name: stack.enter_context(_temporary(folder / name)) for name in files}
        for name, file in files.items():
            write_new(new[name], file)
        for name in files:
            _rename(new[name], folder / name)
    sync_folder(folder)


def write_new(path: Path, file: PrivateFile) -> None:
    """Write a file that must not exist yet, and sync it; a failure leaves no file."""
    with _open(path, _PRIVATE) as descriptor:
        try:
            write_all(descriptor, file.content)
            give(descriptor, file.owner, file.mode)  # by descriptor: another file may have taken the name
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write the whole of `content`, in several calls where the system takes only a part."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power cut, on systems that can sync a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_private_folder(folder: Path, mode: int) -> None:
    """Make `folder`, owned by the broker's user, if it does not exist."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        give(folder, broker_owner(folder), mode)


def checkout_of(path: Path) -> Path | None:
    """The checkout of git that `path` is, or would be, in."""
    return next((folder for folder in path.absolute().parents if (folder / ".git").exists()), None)


def is_root() -> bool:
    """Whether this process may do all; never on Windows, which has no such user."""
    user = getattr(os, "geteuid", None)
    return user is not None and user() == 0


def folder_owner(folder: Path) -> Owner | None:
    """The owner that root gives to new files in another user's `folder`."""
    if not is_root():
        return None
    status = folder.stat()
    return (status.st_uid, status.st_gid) if status.st_uid else None


def broker_owner(folder: Path) -> Owner | None:
    """The owner that root gives to files the broker reads: the folder's owner, else the user mosquitto."""
    if not is_root():
        return None
    if owner := folder_owner(folder):
        return owner
    try:
        user = pwd.getpwnam(_BROKER_USER)
    except KeyError:
        return None
    return int(user.pw_uid), int(user.pw_gid)


def give(file: Path | int, owner: Owner | None, mode: int) -> None:
    """Set the mode of a path or open file, and its owner if one is given; Windows has neither."""
    if hasattr(os, "fchmod"):
        os.chmod(file, mode)  # noqa: PTH101 - of a descriptor
    if owner and hasattr(os, "chown"):
        os.chown(file, *owner)


def unusable(path: Path, error: Exception) -> str:
    """The sentence about a file or folder that cannot be read or written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "; run it as root or as the folder's owner" if isinstance(error, PermissionError) else ""
    return f"{path}: {reason}{hint}"


def _rename(new: Path, path: Path) -> None:
    """Rename over `path`; Windows refuses that while any program has it open, so it is tried for a second."""
    for left in reversed(range(_TRIES)):
        try:
            new.replace(path)
        except PermissionError:
            if not left:
                raise
            _pause.wait(_AGAIN_S)
        else:
            return


def _temporary_name(path: Path, suffix: str = "new") -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def _is(path: Path, opened: os.stat_result) -> bool:
    """Whether `path` is still the file that was opened."""
    try:
        return os.path.samestat(path.stat(), opened)
    except FileNotFoundError:
        return False


@contextmanager
def _temporary(path: Path, suffix: str = "new") -> Iterator[Path]:
    """A free name beside `path`, whose file is removed unless it was renamed."""
    new = _temporary_name(path, suffix)
    new.unlink(missing_ok=True)
    try:
        yield new
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextmanager
def _open(path: Path, mode: int) -> Iterator[int]:
    descriptor = os.open(path, _NEW, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_like(new: Path, existing: Path, content: bytes) -> None:
    with _open_like(new, existing) as descriptor:
        write_all(descriptor, content)
        os.fsync(descriptor)


@contextmanager
def _open_like(new: Path, existing: Path) -> Iterator[int]:
    """Open the file `new` with the mode of `existing`, or the user's default mode if that does not exist."""
    with _open(new, 0o666) as descriptor:
        with contextlib.suppress(FileNotFoundError):
            new.chmod(existing.stat().st_mode & 0o777)
        yield descriptor


def free_bytes(folder: Path) -> int | None:
    """How much may still be written there; None when the disk cannot be asked."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
