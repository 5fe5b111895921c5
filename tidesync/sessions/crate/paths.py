"""Paths within a crate: relative, in POSIX's form. A crate may be a stranger's, so that each one is checked.

In the metadata a path is an `@id`, a URI reference: all but letters, digits and `/-._~` in percent encoding.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote

from runtime.files import SAFE_FLAGS
from schemas.names import InvalidNameError, session_name

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 4096
_LONGEST_PART = 255
_NOWHERE = frozenset({"", ".", ".."})


def checked(path: str) -> str:
    """`path`; ValueError unless it is one of a file within a folder on this system."""
    shown = repr(path[:100])
    if not path.isprintable() or "\\" in path:
        raise ValueError(f"expected a path without backslashes and control characters, received {shown}")
    parts = path.split("/")
    if _NOWHERE & {*parts}:
        raise ValueError(f"expected a path within the folder, received {shown}")
    if len(path) > _LONGEST or any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise ValueError(f"expected a shorter path, received {shown}")
    if sys.platform == "win32":
        try:
            [session_name(part) for part in parts]
        except InvalidNameError as error:
            raise ValueError(f"expected a path that Windows can have, received {shown}") from error
    return path


def id_of(path: str) -> str:
    """The `@id` of a path."""
    return quote(path, safe="/-._~")


def path_of(identifier: str) -> str:
    """The path of an `@id`; ValueError as `checked`."""
    try:
        return checked(unquote(identifier, errors="strict"))
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8 in percent encoding, received {identifier[:100]!r}") from error


def open_within(root: Path, path: str) -> BinaryIO:
    """The regular file at `path` below `root`, open; no link is followed below that.

    FileNotFoundError where there is none, ValueError where it is something else, OSError.
    """
    place, parts = root, path.split("/")
    for number, part in enumerate(parts, 1):
        place /= part
        mode = place.lstat().st_mode
        if not (stat.S_ISREG(mode) if number == len(parts) else stat.S_ISDIR(mode)):
            what = (
                "a link" if stat.S_ISLNK(mode) else "no regular file" if number == len(parts) else "no folder"
            )
            raise ValueError(f"{'/'.join(parts[:number])} is {what}")
    return os.fdopen(os.open(place, os.O_RDONLY | SAFE_FLAGS), "rb")
