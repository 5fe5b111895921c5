"""A recorder's root folder, and the sessions recorded below it: opened, resumed, and dropped once written."""

from __future__ import annotations

import errno
import logging
import tempfile
from time import monotonic
from typing import TYPE_CHECKING

from runtime.file_lock import lock_folder
from schemas.base import InvalidMessageError
from tidesync.sessions.errors import RefusedError, UnusableRootError
from tidesync.sessions.folder import RECORDING, TIME_SYNC
from tidesync.sessions.recorder.background import at_once
from tidesync.sessions.recorder.recording import Recording
from tidesync.sessions.recorder.session_recorder import SessionRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.messages import SessionState
    from tidesync.sessions.recorder.background import Background
    from tidesync.sessions.recorder.reach import Reach
    from tidesync.sessions.recorder.settings import RecorderSettings

_log = logging.getLogger(__name__)

MOST_SESSIONS = 100
"""Recorded at a time."""
_IDLE_S = 0.5
_LONGEST_WAIT_S = 1.0
"""Updates may be a minute apart; whether a state must be published again is checked this often."""
_LAST_S = 3.0
"""For what the disk has to take at the end of the process."""
_MOST_ENDED = 1000
"""Names come from the network; what is remembered of sessions that have ended is bounded."""


class Sessions:
    """Called in the network thread alone, but for `recover`, which comes before it."""

    def __init__(self, settings: RecorderSettings, background: Background = at_once) -> None:
        """`background`: does what touches the disk."""
        self._settings = settings
        self._background = background
        self._sessions: dict[str, SessionRecorder] = {}
        self._ended: dict[str, SessionState] = {}

    def __iter__(self) -> Iterator[SessionRecorder]:
        return iter(list(self._sessions.values()))

    def get(self, session: str) -> SessionRecorder | None:
        """The session while it is recorded; None once it has stopped."""
        found = self._sessions.get(session)
        return found if found and found.phase != "stopped" else None

    def ended(self, session: str) -> SessionState | None:
        """The last state of a session that this process has stopped."""
        return self._ended.get(session)

    def including(self, vehicle: str) -> list[SessionRecorder]:
        """The sessions that record `vehicle`."""
        return [session for session in self._sessions.values() if session.includes(vehicle)]

    @property
    def active(self) -> list[Recording]:
        """What is recorded now."""
        return [session.recording for session in self._sessions.values() if session.active]

    def suspend(self, now: Reading, reach: Reach) -> Iterator[SessionRecorder]:
        """The process is about to end: have the disk begin; those that are still active."""
        for session in self:
            session.update(now, reach)
            if session.active:
                yield session

    def finish(self) -> None:
        """No message comes any more: have the disk take what there is, and name what it has not taken."""
        until_s = monotonic() + _LAST_S
        for session in self:
            session.store.finish(max(0.0, until_s - monotonic()))
            if waiting := session.store.waiting:
                lost = "the disk has not taken the last %d lines, they are lost with this process"
                _log.error(f"session %s: {lost}", session.recording.session, waiting)

    def open(self, recording: Recording, now: Reading) -> SessionRecorder:
        """Begin or resume a recording; RefusedError when the folder cannot be used, or there are too many."""
        if len(self._sessions) >= MOST_SESSIONS:
            raise RefusedError(f"{len(self._sessions)} sessions are being recorded, and no more can be")
        folder = safe_folder(self._settings.root, recording.path)
        session = SessionRecorder(recording, folder, self._settings, now, self._background)
        self._sessions[recording.session] = session
        _log.info(
            "recording session %s: %s, in %s (%d exchanges recorded so far)",
            recording.session,
            ", ".join(recording.vehicles) or "every vehicle",
            folder,
            session.log.exchanges,
        )
        return session

    def recover(self, now: Reading) -> None:
        """Resume what was being recorded when this recorder was killed or stopped."""
        for path in sorted(self._settings.root.glob(f"*/session_*/{TIME_SYNC}/{RECORDING}")):
            try:
                recording = Recording.decode(path.read_bytes())
                if recording.recorder == self._settings.name:
                    self.open(recording, now)
            except (OSError, InvalidMessageError, RefusedError) as error:
                _log.warning("%s: %s; this session is not resumed", path, error)

    def note_ended(self, state: SessionState) -> None:
        """Remember how a session ended, to answer a repeated stop."""
        self._ended.pop(state.session, None)
        self._ended[state.session] = state
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def drop_finished(self, now: Reading) -> None:
        """Forget the sessions with nothing left to do."""
        for name, session in list(self._sessions.items()):
            if session.finished(now):
                del self._sessions[name]

    def wait_s(self, now_ns: int) -> float:
        """Seconds until a session is due, by the recorder's RAW, or is to be looked at."""
        if not self._sessions:
            return _IDLE_S
        due_ns = min(session.next_update_ns for session in self._sessions.values())
        return min(_LONGEST_WAIT_S, max(0.0, (due_ns - now_ns) / 1e9))


def claim_root(root: Path) -> int:
    """Claim `root` until the returned descriptor is closed; UnusableRootError says why it cannot."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:  # a full disk may have space later; each session reports it
            raise UnusableRootError(f"{root} cannot be written: {error.strerror}") from error
    return _lock(root)


def safe_folder(root: Path, path: str) -> Path:
    """The folder `path` below `root`; RefusedError when a link leads elsewhere or a file is in the way."""
    home = root.resolve()
    folder = home
    for level in (*path.split("/"), TIME_SYNC):
        folder /= level
        if not folder.resolve().is_relative_to(home):
            raise RefusedError(f"{folder} leads outside of {root}")
        if folder.exists() and not folder.is_dir():
            raise RefusedError(f"{folder} is not a folder")
    return folder.parent


def _lock(root: Path) -> int:
    """Keep other recorders out: two would write every exchange twice."""
    descriptor = lock_folder(root)
    if descriptor is None:
        raise UnusableRootError(f"{root} is in use by another recorder")
    return descriptor
