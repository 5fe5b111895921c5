"""Writes a session's folder: lines wait in memory until the disk takes them, the metadata is merged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runtime.files import replace
from schemas.events import EventLine
from tidesync.sessions.clock_pieces import is_clock_line
from tidesync.sessions.document import Document, NotMetadataError, block_of
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import is_event, is_exchange, lines_of
from tidesync.sessions.recorder import files, index_file
from tidesync.sessions.recorder.claim import FolderClaim
from tidesync.sessions.recorder.metadata_file import MetadataFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import ClockLine
    from schemas.exchange import Exchange
    from tidesync.sessions.recorder.metadata import MetadataUpdate
    from tidesync.sessions.recorder.recording import Recording

_log = logging.getLogger(__name__)

_INDEX_LINES = 5000
_INDEX_SHARE = 200


class SessionStore:
    """Writes one session; a disk that is full or away raises nothing.

    `problem` names it, what could not be written waits in memory, and each `write` tries again.
    """

    def __init__(self, folder: Path, memory_exchanges: int) -> None:
        self.folder = SessionFolder(folder)
        self._metadata = MetadataFile(self.folder.metadata_path)
        self.problem: str | None = None
        self.write_errors = 0
        self._memory_exchanges = memory_exchanges
        self._exchanges: list[Exchange] = []
        self._events: list[EventLine] = []
        self._clock: list[ClockLine] = []
        self._unsynced: set[Path] = set()
        self._saved: Recording | None = None
        self._logged: str | None = None
        self._unindexed = 0
        self._claim = FolderClaim(self.folder)
        self.moved = False
        """The folder, or its journal, is not the one that was recorded into: nothing is written into it."""

    @property
    def full(self) -> bool:
        """Whether the memory holds as much as it may; what comes later must be requested again."""
        return self.waiting >= self._memory_exchanges

    @property
    def waiting(self) -> int:
        """Lines that the disk has not taken yet."""
        return len(self._exchanges) + len(self._events) + len(self._clock)

    @property
    def resumes(self) -> bool:
        """Whether an earlier process has recorded something here, or may have."""
        here = self.folder
        try:
            return any(path.exists() for path in (here.exchanges_path, here.events_path, here.clock_path))
        except OSError:
            return True

    def load_block(self) -> Document:
        """Our block in the metadata file, or an empty one."""
        try:
            return block_of(self.folder.read_metadata())
        except (OSError, NotMetadataError):
            return {}

    def note_resumed(self, unindexed: int) -> None:
        """So many lines of the journals follow their index."""
        self._unindexed = unindexed

    def index_due(self, exchanges: int) -> bool:
        """Whether enough lines follow the index, of `exchanges` in all, to write it again.

        A restart reads them, and an index of a long journal is large: four bytes an exchange.
        """
        return self._unindexed >= max(_INDEX_LINES, exchanges // _INDEX_SHARE) and not self.waiting

    def write_index(self, state: bytes, parts: Iterable[bytes | memoryview]) -> None:
        """Write the index of all lines; without it a restart takes longer, so a failure is no problem."""
        self._unindexed = 0
        try:
            at = [index_file.position(path) for path in self.folder.indexed_paths]
            index_file.write(self.folder.index_path, at, state, parts)
        except OSError as error:
            _log.warning("cannot write %s: %s", error.filename or self.folder.index_path, error.strerror)

    def add(
        self,
        exchanges: Sequence[Exchange] = (),
        events: Sequence[EventLine] = (),
        clock: Sequence[ClockLine] = (),
    ) -> None:
        """Append; in memory, when the disk does not take it."""
        self._exchanges.extend(exchanges)
        self._events.extend(events)
        self._clock.extend(clock)
        if self.problem is None and not self.moved:
            self._attempt(self._append)

    def claim_again(self) -> None:
        """Record into the folder that is there now, or a new one; what waits is appended first."""
        self.problem, self._saved = None, None
        self._unsynced.clear()
        self._metadata = MetadataFile(self.folder.metadata_path)
        self.moved = not self._attempt(self._claim.take)
        if not self.moved:
            self._attempt(self._append)

    def is_claimed(self) -> bool:
        """Whether the folder is the one that was recorded into; any thread may ask."""
        try:
            return self._claim.state() == "same"
        except OSError:
            return False

    def may_write(self) -> bool:
        """Whether the folder is the one that is recorded into; claims it at first. OSError for a link."""
        state = self._claim.state()
        if state == "new":
            self._claim.take()
        self.moved = state == "other"
        return not self.moved

    def write(self, update: MetadataUpdate, recording: Recording | None, now: Reading) -> None:
        """Append what waits, save `recording` for a restart (None: nothing to resume), merge the metadata."""
        self.problem = None
        if not self._attempt(self.may_write) or self.moved:
            return
        if recording:
            self._attempt(lambda: self._save(recording))
        self._attempt(self._append)
        self._attempt(self._sync)
        self._attempt(lambda: self._metadata.merge(update, now))
        if self._logged and not self.problem:
            self._logged = None
            _log.info("%s can be written again; nothing is held back", self.folder.path)

    def forget(self) -> None:
        """The recording has ended: a restart does not resume it."""
        self._attempt(self._forget)

    def _forget(self) -> None:
        if self.may_write():
            files.remove(self.folder.recording_path)
            files.remove(self.folder.index_path)

    def _append(self) -> None:
        if not self.may_write():
            return
        if self._exchanges:
            self._append_lines(self.folder.exchanges_path, lines_of(self._exchanges), is_exchange)
            self._claim.note_appended()
            self._unindexed += len(self._exchanges)
            self._exchanges.clear()
        if self._events:
            self._append_lines(self.folder.events_path, lines_of(self._events), is_event)
            self._events.clear()
        if self._clock:
            self._append_lines(self.folder.clock_path, lines_of(self._clock), is_clock_line)
            self._unindexed += len(self._clock)
            self._clock.clear()

    def _append_lines(self, path: Path, lines: bytes, is_whole: Callable[[bytes], bool]) -> None:
        files.append(path, lines, is_whole)
        self._unsynced.add(path)

    def _sync(self) -> None:
        for path in tuple(self._unsynced):
            files.sync(path)
            self._unsynced.discard(path)

    def _save(self, recording: Recording) -> None:
        if recording != self._saved or not self.folder.recording_path.exists():
            replace(self.folder.recording_path, recording.encode())
            self._saved = recording

    def _attempt(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except OSError as error:
            self.write_errors += 1
            sentence = f"cannot write {error.filename or self.folder.path}: {error.strerror}"
            self.problem = self.problem or sentence
            if self._logged is None:
                _log.warning("%s; what is to be recorded is held in memory", sentence)
            self._logged = self._logged or sentence
            return False
        return True
