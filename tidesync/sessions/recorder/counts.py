"""The counts of one session, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.recorder.clock_log import ClockCounts
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
