"""Walks folders that others wrote: an entry at a time, no link followed, what cannot be read is named.

Of a folder its names are in memory, of a tree no more: however many files it has.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.metadata import EXCHANGES_NAME, FILE_NAME, FOLDER_NAME
from tidesync.sessions.frames import exists

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["file", "folder", "link", "other", "unreadable"]
CRATE_METADATA = "ro-crate-metadata.json"
"""In the folder of a crate: what is published, and not changed any more."""
IN_CRATE = "it is a published crate: correct the session that it was made from, or a copy outside of it"
_DATASET = ("_SUCCESS", "_metadata", "_common_metadata")
"""Files in a folder that is one table, as Spark writes them."""


class Entry(NamedTuple):
    """What a folder holds; `reason` is why it is `unreadable`."""

    path: Path
    kind: Kind
    reason: str = ""

    @property
    def hidden(self) -> bool:
        """Whether it is not shown by most programs."""
        return self.path.name.startswith(".")


def entries_of(folder: Path) -> list[Entry]:
    """What is in `folder`, in the order of the names; of one that cannot be read itself alone."""
    try:
        with os.scandir(folder) as found:
            kinds = sorted((each.name, _kind(each)) for each in found)
    except OSError as error:
        return [Entry(folder, "unreadable", error.strerror or str(error))]
    return [Entry(folder / name, kind) for name, kind in kinds]


def files_below(folder: Path) -> Iterator[Entry]:
    """Every entry of `folder` that is no folder, at any depth; none of hidden folders, sessions and crates.

    Such a session's or crate's folder is an entry itself.
    """
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        if place != folder and apart(place):
            yield Entry(place, "folder")
            continue
        for entry in entries_of(place):
            if entry.kind != "folder":
                yield entry
            elif not entry.hidden and entry.path.name != FOLDER_NAME:
                waiting.append(entry.path)


def is_session(folder: Path) -> bool:
    """Whether a folder has what was measured in a session, or a session's metadata."""
    return exists(folder / FOLDER_NAME / EXCHANGES_NAME) or (folder / FILE_NAME).is_file()


def apart(folder: Path) -> tuple[str, str] | None:
    """Why a folder within another one is not that one's: `why` for programs and a sentence; None: it is."""
    if (folder / CRATE_METADATA).is_file():
        return "crate", IN_CRATE
    return ("session", "it is another session's folder") if is_session(folder) else None


def crate_of(path: Path) -> Path | None:
    """The folder of the crate that `path` is or lies in; None: it is in none."""
    placed = path.resolve()
    return next((each for each in (placed, *placed.parents) if (each / CRATE_METADATA).is_file()), None)


def is_in_parts(folder: Path) -> bool:
    """Whether a folder is one table in parts, by what Spark leaves in it or calls it."""
    return "=" in folder.name or any((folder / each).exists() for each in _DATASET)


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"
