"""Whether the recorder that a command is for is there, pure: by its status and its states."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.messages import SessionState

SILENT_NS = 15_000_000_000
"""A recorder publishes the state of a session that it records every five seconds."""
SETTLED_NS = 1_000_000_000
"""After subscribing: by then what is retained has come, and a recorder that was just started is online."""
_MOST = 1000
"""Names come from the network."""


class RecorderPresence:
    """Of the recorder of one session, which the session's state names; `now_ns` is the RAW clock."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._recorder: str | None = None
        self._online: dict[str, bool] = {}
        self._since_ns: int | None = None
        self._heard_ns: int | None = None

    def subscribed(self, now_ns: int) -> None:
        """The connection is new."""
        self._since_ns = self._heard_ns = now_ns

    def status(self, recorder: str, *, online: bool) -> None:
        """A recorder's status."""
        if recorder in self._online or len(self._online) < _MOST:
            self._online[recorder] = online

    def state(self, state: SessionState, now_ns: int, *, retained: bool) -> None:
        """A state of the session."""
        self._recorder = state.recorder if state.state in {"recording", "failed"} else None
        if not retained:
            self._heard_ns = now_ns

    def absence(self, now_ns: int) -> str | None:
        """Why no answer will come; None while one may."""
        if self._since_ns is None or self._heard_ns is None or now_ns - self._since_ns < SETTLED_NS:
            return None
        if self._recorder is None:
            if self._online and not any(self._online.values()):
                return f"no recorder is online ({', '.join(sorted(self._online))}: offline)"
            return None
        of_whom = f"recorder {self._recorder!r}, which records session {self._session},"
        if self._online.get(self._recorder) is False:
            return f"{of_whom} is offline: nothing is being recorded"
        if self._recorder in self._online and now_ns - self._heard_ns > SILENT_NS:
            return f"{of_whom} has been silent for {SILENT_NS / 1e9:.0f} s"
        return None


def offline_recorder(state: SessionState, online: Mapping[str, bool]) -> str | None:
    """The name of the recorder that is to record a session, or to finish it, and is offline."""
    lasting = (state.state in {"recording", "failed"} or state.closing) and state.recorder is not None
    return state.recorder if lasting and online.get(state.recorder or "") is False else None
