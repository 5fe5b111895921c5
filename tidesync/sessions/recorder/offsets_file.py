"""`offsets.csv` at the end of a session, written track by track; a failure ends the file and nothing else."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from schemas.compat import Self
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.folder import OFFSETS, TIME_SYNC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from tidesync.sessions.folder import AddRows, SessionFolder
    from tidesync.sessions.journal import Stream
    from topside_agent.estimator import Row

_log = logging.getLogger(__name__)


class OffsetsFile:
    """Replaces the file when the block ends, if a track was added and all could be written.

    `may_write`: whether the folder is still the one that was recorded into; asked before the first row and
    before the file is replaced.
    """

    def __init__(self, folder: SessionFolder, may_write: Callable[[], bool]) -> None:
        self._folder, self._may_write = folder, may_write
        self._open = ExitStack()
        self._add: AddRows = _nowhere
        self._begun = False
        self.written: str | None = None
        """The file's name within the session; None where it was not written, which is logged."""

    def add(self, stream: Stream, rows: Sequence[Row]) -> None:
        """Add the rows of a track."""
        try:
            if not self._begun:
                self._begun = True
                self._begin()
            self._add(stream, rows)
        except (UnusableFileError, OSError) as error:
            self._end(error)

    def _begin(self) -> None:
        if self._may_write():
            self._add = self._open.enter_context(self._folder.writing_offsets())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._add is not _nowhere:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Replace the file, or after an `error` leave it as it is; what follows is dropped."""
        self._add = _nowhere
        try:
            with self._open:
                self._check(error)
        except (UnusableFileError, OSError) as fault:
            _log.error("%s", fault)
        else:
            self.written = f"{TIME_SYNC}/{OFFSETS}"

    def _check(self, error: BaseException | None) -> None:
        if error:
            raise error
        if not self._may_write():
            raise UnusableFileError(self._folder.offsets_path, "its folder was moved or replaced")


def _nowhere(_stream: Stream, _rows: Sequence[Row]) -> None:
    """Drops the rows: the file cannot be written, or must not be."""
