"""Has the disk take what is due of a session: its lines, the metadata, the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.recorder.metadata_due import MetadataDue

if TYPE_CHECKING:
    from runtime.clock import Reading
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.session_log import SessionLog
    from tidesync.sessions.recorder.store import SessionStore


class Upkeep:
    """Of one folder; `metadata_s`: how often the metadata of an unchanged session is written."""

    def __init__(self, store: SessionStore, metadata_s: float) -> None:
        self._store = store
        self._metadata_s = metadata_s
        self.begin()

    def begin(self) -> None:
        """The folder is another one, or was just read: its metadata is due."""
        self._metadata_due = MetadataDue(self._metadata_s)

    def write(self, log: SessionLog, recording: Recording | None, now: Reading) -> None:
        """Write what is due, unless the disk is still at the last; `recording`: None once it has ended."""
        if self._store.busy:
            return
        index, update, marks = None, None, log.marks
        if recording and self._store.index_due(log.exchanges, now):
            snapshot, parts = log.snapshot()
            index = snapshot.encode(), parts
        if self._store.metadata_changed or self._metadata_due.due(*marks, log.vehicles, now):
            update = log.metadata_update()
            self._metadata_due.note_written(*marks, now)
        self._store.write(update, recording, now, index)
