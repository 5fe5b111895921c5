"""The sessions that recorders tell of, pure: the newest state of each, a bounded number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.instants import ns_from_utc
from tidesync.dashboard.vehicle import clipped
from tidesync.dashboard.views import SessionView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Reading
    from schemas.messages import SessionState

MOST_SESSIONS = 100
MOST_SENSORS = 64


@dataclass(frozen=True, slots=True)
class _Entry:
    state: SessionState
    told_raw_ns: int | None
    heard_raw_ns: int
    version: int


class Sessions:
    """What each recorder last said of each session; refusals answer one asker and are no session."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def hear(self, state: SessionState, received: Reading, version: int, *, stored: bool) -> int:
        """Take a state; returns how many sessions had to be forgotten for it."""
        if state.state == "refused":
            return 0
        forgotten = 0
        while state.session not in self._entries and len(self._entries) >= MOST_SESSIONS:
            del self._entries[self._least_wanted()]
            forgotten += 1
        told = _told_raw_ns(state, received) if stored else received.raw_ns
        self._entries[state.session] = _Entry(_bounded(state), told, received.raw_ns, version)
        return forgotten

    def forget(self, session: str) -> bool:
        """Drop one; whether it was known."""
        return self._entries.pop(session, None) is not None

    def recording(self, vehicle: str) -> tuple[str, ...]:
        """The sessions that record a vehicle, by name."""
        return tuple(
            name
            for name, entry in sorted(self._entries.items())
            if entry.state.state == "recording"
            and (not entry.state.sensors or vehicle in entry.state.sensors.values())
        )

    def touched(self) -> frozenset[tuple[str, tuple[str, ...]]]:
        """Who is recorded, by session: what rows of vehicles depend on."""
        return frozenset(
            (name, tuple(entry.state.sensors.values()))
            for name, entry in self._entries.items()
            if entry.state.state == "recording"
        )

    def views(self, now_raw_ns: int, after: int = 0) -> Iterator[SessionView]:
        """Those that have changed since version `after`."""
        for entry in self._entries.values():
            if entry.version > after:
                age_s = None if entry.told_raw_ns is None else (now_raw_ns - entry.told_raw_ns) / 1e9
                yield session_view(entry.state, age_s)

    def _least_wanted(self) -> str:
        """A recording is kept before one that has ended, a recent one before an old one."""
        entries = self._entries
        return min(
            entries, key=lambda name: (entries[name].state.state != "stopped", entries[name].heard_raw_ns)
        )


def session_view(state: SessionState, told_s: float | None) -> SessionView:
    """A recorder's state as it is answered and shown."""
    return SessionView(
        **state.model_dump(exclude={"schema_version"}),
        told_s=None if told_s is None else round(max(0.0, told_s), 3),
    )


def _bounded(state: SessionState) -> SessionState:
    return state.model_copy(
        update={
            "path": clipped(state.path, 500) if state.path else None,
            "mission": clipped(state.mission) if state.mission else None,
            "alarm": clipped(state.alarm, 500) if state.alarm else None,
            "error": clipped(state.error, 500) if state.error else None,
            "sensors": {
                clipped(sensor): clipped(vehicle)
                for sensor, vehicle in list(state.sensors.items())[:MOST_SENSORS]
            },
        }
    )


def _told_raw_ns(state: SessionState, received: Reading) -> int | None:
    """For a stored state: its last exchange, by the two wall clocks; that is the latest that it can be of."""
    if state.last_exchange_at is None:
        return None
    return min(received.raw_ns, ns_from_utc(state.last_exchange_at) - received.realtime_minus_raw_ns)
