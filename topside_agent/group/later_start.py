"""Two processes of one topside's name in a group: which of them is the later one and stops, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import TidesyncError

if TYPE_CHECKING:
    from schemas.presence import Heartbeat

_ALIVE_NS = 500_000_000
"""Between two heartbeats of a process that is alive; one alone may have been under way when it ended."""
_SILENT_NS = 3_000_000_000
_TIE_S = 1.0
"""Heartbeats do not show which of two closer starts was first: then the greater instance id stops."""
_UNDECIDED_NS = 5_000_000_000
"""If both are still there after so long, they took each other for the later one: the greater id stops."""


class NameTakenError(TidesyncError):
    """Another process of this topside's name was there before."""

    def __init__(self, topside: str, instance_id: str) -> None:
        super().__init__(
            f"topside {topside!r} is running already (process {instance_id}): give this one a name of its own"
            " (--topside NAME)"
        )


class LaterStart:
    """Hears the heartbeats on this topside's own topic; times are its RAW, in ns."""

    def __init__(self, instance_id: str, started_ns: int) -> None:
        self._instance_id, self._started_ns = instance_id, started_ns
        self._other: str | None = None
        self._first_ns = self._last_ns = 0

    def later(self, heartbeat: Heartbeat, now_ns: int) -> bool:
        """Whether this process is to stop, now that `heartbeat` came, live.

        Never for one of an earlier version, which does not say how long it has been running.
        """
        other = heartbeat.instance_id
        if other == self._instance_id or heartbeat.uptime_s is None:
            return False
        if other != self._other or now_ns - self._last_ns >= _SILENT_NS:
            self._other, self._first_ns = other, now_ns
        self._last_ns = now_ns
        if now_ns - self._first_ns < _ALIVE_NS:
            return False
        ahead_s = heartbeat.uptime_s - (now_ns - self._started_ns) / 1e9
        if abs(ahead_s) <= _TIE_S or now_ns - self._first_ns >= _UNDECIDED_NS:
            return self._instance_id > other
        return ahead_s > 0
