"""The newest state of each session, pure and bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.instants import ns_from_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Reading
    from schemas.messages import SessionState


SILENT_S = 15
"""A recorder that runs reports a session that it records at least every 5 s."""
CLOSING = "its last exchanges and its track are still being written"
"""What `closing` of a stopped session means, in one sentence for every surface."""


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """The newest state of a session, and when it was heard, by this computer's RAW clock."""

    state: SessionState
    heard_raw_ns: int
    state_raw_ns: int | None
    """Of when the state is: of its arrival; or, if retained, of its last exchange at the latest."""
    version: int

    def age_s(self, now: Reading) -> float | None:
        """How old the state is; None where that is unknown."""
        return None if self.state_raw_ns is None else max(0.0, (now.raw_ns - self.state_raw_ns) / 1e9)

    @property
    def lasts(self) -> bool:
        """Whether it is not over: recorded, or still being written."""
        return self.state.state != "stopped" or self.state.closing

    def shown(self, now: Reading) -> SessionState:
        """The state with an alarm where its recorder is silent, which a killed one cannot report."""
        age_s = self.age_s(now)
        if self.state.state != "recording" or self.state.alarm or age_s is None or age_s <= SILENT_S:
            return self.state
        alarm = f"silent: its recorder has reported nothing for {age_s:.0f} s"
        return self.state.model_copy(update={"alarm": alarm})


class Sessions:
    """The newest state of each session. A refusal answers one client; it is no session."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[str, SessionEntry] = {}

    def take(self, state: SessionState, received: Reading, version: int, *, retained: bool) -> list[str]:
        """Take a state; returns the sessions that were dropped to make room for it."""
        dropped: list[str] = []
        if state.state == "refused":
            return dropped
        while state.session not in self._entries and len(self._entries) >= self._most:
            dropped.append(self._least_wanted())
            del self._entries[dropped[-1]]
        state_raw_ns = _last_exchange_raw_ns(state, received) if retained else received.raw_ns
        self._entries[state.session] = SessionEntry(state, received.raw_ns, state_raw_ns, version)
        return dropped

    def get(self, session: str) -> SessionEntry | None:
        """The session of this name, if known."""
        return self._entries.get(session)

    def forget(self, session: str) -> bool:
        """Drop one; whether it was known."""
        return self._entries.pop(session, None) is not None

    def entries(self, after: int = 0) -> Iterator[SessionEntry]:
        """Those that have changed since version `after`."""
        return (entry for entry in self._entries.values() if entry.version > after)

    def recording(self, vehicle: str) -> tuple[str, ...]:
        """The sessions that record a vehicle, by name."""
        return tuple(
            name for name, vehicles in sorted(self.recorded()) if not vehicles or vehicle in vehicles
        )

    def recorded(self) -> set[tuple[str, tuple[str, ...]]]:
        """Sessions in progress, and the vehicles that each records; none: every vehicle."""
        return {
            (name, tuple(entry.state.sensors.values()))
            for name, entry in self._entries.items()
            if entry.state.state == "recording"
        }

    def _least_wanted(self) -> str:
        """A recording is kept before one that has ended, a recent one before an old one."""
        entries = self._entries
        return min(
            entries, key=lambda name: (entries[name].state.state != "stopped", entries[name].heard_raw_ns)
        )


def _last_exchange_raw_ns(state: SessionState, received: Reading) -> int | None:
    """When the last exchange of a retained state finished, by the two wall clocks."""
    if state.last_exchange_at is None:
        return None
    return min(received.raw_ns, ns_from_utc(state.last_exchange_at) - received.realtime_minus_raw_ns)
