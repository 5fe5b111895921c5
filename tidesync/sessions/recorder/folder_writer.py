"""Writes a session's folder beside the network thread: journals appended, metadata merged, job by job."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.files import replace
from tidesync.sessions.clock_pieces import is_clock_line
from tidesync.sessions.frames import frame_of, frames_exist, parts_of
from tidesync.sessions.journal import is_event, is_exchange, lines_of
from tidesync.sessions.recorder import files, index_file
from tidesync.sessions.recorder.claim import FolderClaim
from tidesync.sessions.recorder.metadata_file import MetadataFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import ClockLine
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.folder import SessionFolder
    from tidesync.sessions.recorder.metadata import MetadataUpdate
    from tidesync.sessions.recorder.recording import Recording

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lines:
    """What is to be appended."""

    exchanges: list[Exchange] = field(default_factory=list)
    events: list[EventLine] = field(default_factory=list)
    clock: list[ClockLine] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.exchanges) + len(self.events) + len(self.clock)

    def take(self, other: Lines) -> None:
        """Have the lines of `other` too, which then has none."""
        self.take_events(other)
        self.exchanges += other.exchanges
        self.clock += other.clock
        other.exchanges, other.clock = [], []

    def take_events(self, other: Lines) -> None:
        """Have its events alone."""
        self.events += other.events
        other.events = []


@dataclass(frozen=True, slots=True)
class Job:
    """What to write besides the lines; metadata and index are left out where they are None."""

    recording: Recording | None = None
    """For a restart; None: it has ended, and a restart does not resume it."""
    metadata: tuple[MetadataUpdate, Reading] | None = None
    index: tuple[bytes, list[bytes]] | None = None
    """Of all lines up to now, and the lines with them: the state and the parts."""


class FolderWriter:
    """A disk that is full or away raises nothing: `problem` names it, and what it did not take stays.

    Only one thread writes at a time; its attributes may be read by any.
    """

    def __init__(self, folder: SessionFolder) -> None:
        self.folder = folder
        self.claim = FolderClaim(folder)
        self.lines = Lines()
        """Not appended yet."""
        self.problem: str | None = None
        self.write_errors = 0
        self.moved = False
        """The folder, or its journal, is not the one that was recorded into: nothing is written into it."""
        self.metadata_changed = False
        """Somebody else has written the metadata since we did, or it could not be written."""
        self.compressed = frames_exist(folder.exchanges_path)
        """Exchanges and pieces are appended in frames."""
        self._ends: dict[Path, files.FileEnd] = {}
        self._found: str | None = None
        self._metadata = MetadataFile(folder.metadata_path)
        self.saved: Recording | None = None
        """What a restart would go on with."""
        self._logged: str | None = None
        self._unsynced: set[Path] = set()

    def append(self) -> None:
        """Append the lines."""
        self._found = None
        self._attempt(self._append)
        self.problem = self._found

    def write(self, job: Job) -> None:
        """Append the lines, have them survive a power cut, and do the job."""
        self._found = None
        self.metadata_changed = self.metadata_changed or job.metadata is not None
        if job.recording is None:
            self._attempt(self._forget)
        if self._attempt(self.may_write) and not self.moved:
            self._write(job)
        self._end()

    def _end(self) -> None:
        """Tell the other threads what has become of it."""
        self.problem = self._found
        if self._logged and not (self._found or self.moved):
            self._logged = None
            _log.info("%s can be written again; nothing is held back", self.folder.path)

    def claim_again(self) -> None:
        """Record into the folder that is there now, or a new one; what waits is appended first."""
        self._found = self.saved = None
        self._unsynced.clear()
        self._metadata = MetadataFile(self.folder.metadata_path)
        self.moved = not self._attempt(self.claim.take)
        if not self.moved:
            self._attempt(self._append)
        self.problem = self._found

    def may_write(self) -> bool:
        """Whether the folder is the one that is recorded into; claims it at first. OSError for a link."""
        state = self.claim.state()
        if state == "new":
            self.claim.take()
        self.moved = state == "other"
        return not self.moved

    def write_index(self, state: bytes, parts: Iterable[bytes | memoryview]) -> None:
        """Write the index of all lines; without it a restart takes longer, so a failure is no problem."""
        try:
            at = [index_file.position(path) for path in self.folder.growing_paths]
            index_file.write(self.folder.index_path, at, state, parts)
        except OSError as error:
            _log.warning("cannot write %s: %s", error.filename or self.folder.index_path, error.strerror)

    def _write(self, job: Job) -> None:
        recording, metadata = job.recording, job.metadata
        if recording:
            self._attempt(lambda: self._save(recording))
        self._attempt(self._append)
        self._attempt(self._sync)
        if metadata is None or self._attempt(lambda: self._metadata.merge(*metadata)):
            self._attempt(self._look)
        if job.index and not self._found and not self.lines:
            self.write_index(*job.index)

    def _look(self) -> None:
        self.metadata_changed = self._metadata.changed()

    def _forget(self) -> None:
        if self.may_write():
            files.remove(self.folder.recording_path)
            files.remove(self.folder.index_path)

    def _append(self) -> None:
        if not self.may_write():
            return
        lines = self.lines
        if lines.exchanges:
            self._append_lines(self.folder.exchanges_path, lines_of(lines.exchanges), is_exchange, grows=True)
            self.claim.note_appended()
            lines.exchanges = []
        if lines.events:
            self._append_lines(self.folder.events_path, lines_of(lines.events), is_event)
            lines.events = []
        if lines.clock:
            self._append_lines(self.folder.clock_path, lines_of(lines.clock), is_clock_line, grows=True)
            lines.clock = []

    def _append_lines(
        self, path: Path, lines: bytes, is_whole: Callable[[bytes], bool], *, grows: bool = False
    ) -> None:
        if grows and self.compressed:
            path = parts_of(path)[1]
            self._ends[path] = files.append_frame(path, frame_of(lines), self._ends.get(path))
        else:
            files.append(path, lines, is_whole)
        self._unsynced.add(path)

    def _sync(self) -> None:
        for path in tuple(self._unsynced):
            files.sync(path)
            self._unsynced.discard(path)

    def _save(self, recording: Recording) -> None:
        if recording != self.saved or not self.folder.recording_path.exists():
            replace(self.folder.recording_path, recording.encode())
            self.saved = recording

    def _attempt(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except OSError as error:
            self.write_errors += 1
            sentence = f"cannot write {error.filename or self.folder.path}: {error.strerror}"
            self._found = self._found or sentence
            if self._logged is None:
                _log.warning("%s; what is to be recorded is held in memory", sentence)
            self._logged = self._logged or sentence
            return False
        return True
