"""The counts of one session, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.clock import Reading
    from tidesync.sessions.recorder.clock_log import ClockCounts
    from tidesync.sessions.recorder.session_log import SessionLog
    from tidesync.sessions.recorder.store import SessionStore
    from tidesync.sessions.recorder.vehicle_log import VehicleCounts


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """One session, for metrics."""

    session: str
    recording: bool
    """Whether exchanges are still taken."""
    alarm: bool
    waiting: int
    """Lines that the disk has not taken yet."""
    write_errors: int
    vehicles: Sequence[VehicleCounts]
    refused: int = 0
    """Exchanges, events and pieces without room: a name too many, or a disk that takes nothing."""
    clocks: Sequence[ClockCounts] = ()
    behind_s: float = 0.0
    """How long the newest exchanges waited before they were recorded."""


def counts_of(log: SessionLog, store: SessionStore, now: Reading, *, recording: bool) -> SessionCounts:
    """The counts of a session now; any thread may ask."""
    return SessionCounts(
        session=log.recording.session,
        recording=recording,
        alarm=(store.problem or log.alarm) is not None,
        waiting=store.waiting,
        write_errors=store.write_errors,
        refused=log.refused + log.clock.refused,
        vehicles=log.counts(now),
        clocks=log.clock.counts(),
        behind_s=log.behind.behind_ns / 1e9,
    )
