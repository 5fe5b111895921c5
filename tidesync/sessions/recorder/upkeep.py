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


STUCK_NS = 10_000_000_000
"""A write that takes longer is an alarm."""


class Upkeep:
    """Of one folder; `metadata_s`: how often the metadata of an unchanged session is written."""

    def __init__(self, store: SessionStore, metadata_s: float) -> None:
        self._store = store
        self._metadata_s = metadata_s
        self._job, self._job_ns = 0, 0
        self.begin()

    def _stuck(self, now: Reading) -> str | None:
        """That the disk has been at one write for long; it is in no fault otherwise, and says nothing."""
        if self._store.jobs != self._job:
            self._job, self._job_ns = self._store.jobs, now.raw_ns
        tens = (now.raw_ns - self._job_ns) // STUCK_NS if self._store.busy else 0
        return f"the disk has not answered for {10 * tens} s: what comes is held in memory" if tens else None

    def is_done(self, log: SessionLog, now: Reading) -> bool:
        """Whether the disk has everything, the metadata as it is now."""
        due = self._metadata_due.due(*_marks(log), len(log.vehicles), now)
        return self._store.settled and not (due or self._store.metadata_changed)

    def begin(self) -> None:
        """The folder is another one, or was just read: its metadata is due."""
        self._metadata_due = MetadataDue(self._metadata_s)

    def write(
        self, log: SessionLog, recording: Recording | None, now: Reading, *, flush: bool = False
    ) -> None:
        """Write what is due, unless the disk is still at the last; `recording`: None once it has ended.

        `flush`: all lines are due.
        """
        log.disk = self._stuck(now)
        if self._store.busy:
            return
        if len(log.vehicles) > MOST_PLAIN:
            self._store.compress()
        index, update, marks, compressed = None, None, _marks(log), self._store.compressed
        if recording and self._store.index_due(log.exchanges, now, soon=log.watches.has_reached_back):
            log.watches.has_reached_back = False
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
