"""Whether a session's folder is still the one that is recorded into: the same folder, below the root.

It is asked before every write. A folder that is exchanged between the question and the write goes unseen
until the next question; files themselves are opened without following links.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

from tidesync.sessions.frames import parts_of
from tidesync.sessions.recorder import files

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.folder import SessionFolder

MOVED = "its folder was moved or replaced: what it lacks is asked for, and a gap where it cannot be had"
MOVED_AT_END = "its folder was moved or replaced before all was written: it lacks its track or its summary"

_Identity = tuple[int, int]
"""Device and inode."""
FolderState = Literal["same", "new", "other"]


class FolderClaim:
    """Remembers the folder and its journal of exchanges from the first write on."""

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        self._home = folder.path.parent.parent.resolve()
        self._claimed: tuple[_Identity, _Identity] | None = None
        self._journals: dict[Path, tuple[_Identity, int]] = {}

    def state(self) -> FolderState:
        """Whether it is the `same`, not claimed yet (`new`), or gone, replaced or cut short (`other`).

        OSError when a link leads out of the root.
        """
        self._check_links()
        if self._claimed is None:
            return "new"
        return "same" if self._claimed == self._folders() and self._has_journal() else "other"

    def take(self) -> None:
        """Make the folder, if it is not there, and remember it from now on. OSError."""
        self._check_links()
        files.make_folder(self._folder.time_sync_path)
        self._check_links()
        self._claimed = self._folders()
        self._journals = {}
        self.note_appended()

    def note_appended(self) -> None:
        """The files of the journal of exchanges are those that they are now, and no shorter."""
        for path in parts_of(self._folder.exchanges_path):
            status = _status(path)
            if status is not None:
                self._journals[path] = (status.st_dev, status.st_ino), status.st_size

    def _check_links(self) -> None:
        place = self._folder.time_sync_path
        if not place.resolve().is_relative_to(self._home):
            reason = "it leads outside of the recorder's root, and nothing is written there"
            raise OSError(errno.ELOOP, reason, str(place))

    def _folders(self) -> tuple[_Identity, _Identity] | None:
        found = [_status(path) for path in (self._folder.path, self._folder.time_sync_path)]
        session, time_sync = found
        if session is None or time_sync is None:
            return None
        return (session.st_dev, session.st_ino), (time_sync.st_dev, time_sync.st_ino)

    def _has_journal(self) -> bool:
        for path, (journal, size) in self._journals.items():
            status = _status(path)
            if status is None or (status.st_dev, status.st_ino) != journal or status.st_size < size:
                return False
        return True


def _status(path: Path) -> os.stat_result | None:
    """Of what has this name, links followed; None where there is nothing."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
