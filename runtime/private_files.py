"""Files for the broker's eyes: written whole or not at all, and readable by whom they are meant for."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Owner = tuple[int, int]
"""User and group, by number."""
_BROKERS_USER = "mosquitto"


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """What to write; without an owner it belongs to who writes it."""

    content: bytes
    owner: Owner | None = None
    mode: int = 0o600


def replace_all(folder: Path, files: Mapping[str, PrivateFile]) -> None:
    """Write files in `folder`; each is put aside first, so that a full disk changes nothing.

    They are put in place in their order, so that the last can stand for all of them.
    """
    aside = {name: folder / f".{name}.new" for name in files}
    try:
        for name, file in files.items():
            aside[name].unlink(missing_ok=True)
            write_new(aside[name], file)
        for name in files:
            aside[name].replace(folder / name)
    finally:
        for path in aside.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    _sync(folder)


def write_new(path: Path, file: PrivateFile) -> None:
    """Write a file that must not be there yet, down to the disk; nothing is left of one that failed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "wb") as opened:  # noqa: PTH123 - of a descriptor
        try:
            opened.write(file.content)
            opened.flush()
            give(opened.fileno(), file.owner, file.mode)  # not what may stand under its name by now
            os.fsync(opened.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def make_folder(folder: Path, mode: int) -> None:
    """Make `folder`, the broker's own, where it is not there yet."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        give(folder, broker_owner(folder), mode)


def folder_owner(folder: Path) -> Owner | None:
    """Whom root gives files in somebody else's `folder` to."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    status = folder.stat()
    return (status.st_uid, status.st_gid) if status.st_uid else None


def broker_owner(folder: Path) -> Owner | None:
    """Whom root gives files in `folder` to, so that the broker can read them: its owner, else mosquitto."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    if owner := folder_owner(folder):
        return owner
    try:
        user = pwd.getpwnam(_BROKERS_USER)
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid


def give(file: Path | int, owner: Owner | None, mode: int) -> None:
    """Set the mode of a path or open file, and its owner where one is given."""
    if sys.platform != "win32":
        os.chmod(file, mode)  # noqa: PTH101 - of a descriptor
        if owner:
            os.chown(file, *owner)


def unusable(path: Path, error: Exception) -> str:
    """The sentence about a file or folder that cannot be read or written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "; run it as root or as the folder's owner" if isinstance(error, PermissionError) else ""
    return f"{path}: {reason}{hint}"


def _sync(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
