"""The sessions of one recorder: opened, found again after a kill, and dropped once they are written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tidesync.sessions import files
from tidesync.sessions.errors import RefusedError
from tidesync.sessions.folder import RECORDING, TIME_SYNC
from tidesync.sessions.recorder.live import LiveSession
from tidesync.sessions.recorder.store import load_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Reading
    from schemas.messages import SessionState
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.settings import RecorderSettings

_log = logging.getLogger(__name__)

_MOST_ENDED = 1000
"""Names come from the network; what is remembered of sessions that have ended is bounded."""


class Sessions:
    """Called in the network thread alone, but for `recover`, which comes before it."""

    def __init__(self, settings: RecorderSettings) -> None:
        self._settings = settings
        self._live: dict[str, LiveSession] = {}
        self._ended: dict[str, SessionState] = {}

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._live.values()))

    def get(self, session: str) -> LiveSession | None:
        """The session while it is recorded; None once it has stopped."""
        live = self._live.get(session)
        return live if live and live.phase != "stopped" else None

    def ended(self, session: str) -> SessionState | None:
        """The last state of a session that this recorder has stopped since it was started."""
        return self._ended.get(session)

    def wanting(self, vehicle: str) -> list[LiveSession]:
        """The sessions that record `vehicle`."""
        return [live for live in self._live.values() if live.wants(vehicle)]

    @property
    def active(self) -> list[Recording]:
        """What is recorded now."""
        return [live.recording for live in self._live.values() if live.active]

    def open(self, recording: Recording, now: Reading) -> LiveSession:
        """Begin, or go on, to record; RefusedError when the folder cannot be used."""
        folder = files.safe_folder(self._settings.root, recording.path)
        live = self._live[recording.session] = LiveSession(recording, folder, self._settings, now)
        _log.info(
            "recording session %s: %s, in %s (%d exchanges are there already)",
            recording.session,
            ", ".join(recording.vehicles) or "every vehicle",
            folder,
            live.session.exchanges,
        )
        return live

    def recover(self, now: Reading) -> None:
        """Go on with what was being recorded when this recorder was killed or stopped."""
        for path in sorted(self._settings.root.glob(f"*/session_*/{TIME_SYNC}/{RECORDING}")):
            recording = load_recording(path)
            if recording is None or recording.recorder != self._settings.name:
                continue
            try:
                self.open(recording, now)
            except RefusedError as error:
                _log.warning("session %s is not gone on with: %s", recording.session, error)

    def note_ended(self, state: SessionState) -> None:
        """Remember how a session ended, for who asks again to stop it."""
        self._ended.pop(state.session, None)
        self._ended[state.session] = state
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def drop_finished(self, now: Reading) -> None:
        """Forget the sessions with nothing left to do."""
        for name, live in list(self._live.items()):
            if live.finished(now):
                del self._live[name]

    def next_turn_ns(self) -> int | None:
        """When the next session is due, by the recorder's RAW; None while there is none."""
        return min((live.next_turn_ns for live in self._live.values()), default=None)
