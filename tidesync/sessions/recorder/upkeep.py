"""Has the disk take what is due of a session: its lines, the metadata, the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.recorder.metadata import in_frames
from tidesync.sessions.recorder.metadata_due import MetadataDue

if TYPE_CHECKING:
    from collections.abc import Hashable

    from runtime.clock import Reading
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.session_log import SessionLog
    from tidesync.sessions.recorder.store import SessionStore


MOST_PLAIN = 50
"""Vehicles whose journals are plain: any tool reads them, and each line as soon as it has come."""


MOST_URGENT = 50
"""Vehicles of sensors of which every change is written at once."""


class Upkeep:
    """Of one folder; `metadata_s`: how often the metadata of an unchanged session is written."""

    def __init__(self, store: SessionStore, metadata_s: float) -> None:
        self._store = store
        self._metadata_s = metadata_s
        self.begin()

    def begin(self) -> None:
        """The folder is another one, or was just read: its metadata is due."""
        self._metadata_due = MetadataDue(self._metadata_s)

    def write(
        self, log: SessionLog, recording: Recording | None, now: Reading, *, flush: bool = False
    ) -> None:
        """Write what is due, unless the disk is still at the last; `recording`: None once it has ended.

        `flush`: all lines are due.
        """
        if self._store.busy:
            return
        if len(log.vehicles) > MOST_PLAIN:
            self._store.compress()
        index, update, marks, compressed = None, None, _marks(log), self._store.compressed
        if recording and self._store.index_due(log.exchanges, now):
            snapshot, parts = log.snapshot()
            index = snapshot.encode(), parts
        if self._store.metadata_changed or self._metadata_due.due(*marks, len(log.vehicles), now):
            update = log.metadata_update()
            update = in_frames(update) if compressed else update
            self._metadata_due.note_written(*marks, now)
        self._store.write(update, recording, now, index, flush=flush)


def _marks(log: SessionLog) -> tuple[Hashable, Hashable]:
    """Change when the metadata must be written at once, and when it should be before long."""
    wanted, logs = log.recording.vehicles, log.vehicles
    sensors = wanted if len(wanted) <= MOST_URGENT else ()
    urgent = (log.closing is None, log.alarm is None, log.notice, log.recording.stop_request_id)
    others = (log.alarm, tuple(each.mark for each in logs.values()))
    return (*urgent, *(logs[name].mark for name in sensors)), others
