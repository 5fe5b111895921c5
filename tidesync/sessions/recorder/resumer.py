"""Has sessions' folders read in the background, so that neither SIGTERM nor the watchdog waits for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runtime.clock import Clock, read
from runtime.files import unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidesync.sessions.recorder.background import Background
    from tidesync.sessions.recorder.resumption import Resumed
    from tidesync.sessions.recorder.session_recorder import SessionRecorder

_log = logging.getLogger(__name__)


class Resumer:
    """Called in the network thread; `background` runs what reads, `post` brings its result back."""

    def __init__(
        self,
        clock: Clock,
        background: Background,
        post: Callable[[Callable[[], object]], None],
        publish: Callable[[SessionRecorder], None],
    ) -> None:
        self._clock = clock
        self._background = background
        self._post = post
        self._publish = publish

    def look(self, session: SessionRecorder) -> None:
        """Begin to read the folder of `session`, if that is due."""
        if session.begin_to_resume(read(self._clock)):
            self._background(lambda: self._read(session), f"resume-{session.recording.session}")

    def _read(self, session: SessionRecorder) -> None:
        """In the background."""
        try:
            found = session.read_folder(read(self._clock))
        except (OSError, MemoryError) as error:
            reason = unusable(session.store.folder.path, error)
            self._post(lambda: self._failed(session, reason))
        else:
            self._post(lambda: self._resumed(session, found))

    def _failed(self, session: SessionRecorder, reason: str) -> None:
        session.resume_failed(reason, read(self._clock))
        self._publish(session)

    def _resumed(self, session: SessionRecorder, found: Resumed) -> None:
        dropped = session.resumed(found, read(self._clock))
        name = session.recording.session
        _log.info("session %s: resumed with %d exchanges", name, session.log.exchanges)
        if dropped:
            _log.warning("session %s: there was no memory for %d lines meanwhile", name, dropped)
