"""How a recorder stands, for who asks from another thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.metrics import AgentCounts


@dataclass(frozen=True, slots=True)
class VehicleStanding:
    """One vehicle in one session."""

    vehicle: str
    exchanges: int
    """Recorded, in this session's earlier lives too."""
    missing: int
    """Known to be missing, lost ones of topside's present run included."""
    lost: int
    """Given up for good."""
    gaps: int
    """Stretches of lost ones."""
    age_s: float
    """Since an exchange was last recorded, else since the session began here."""
    lag_s: float | None
    """How far the newest recorded exchange lies back, by this computer's wall clock."""


@dataclass(frozen=True, slots=True)
class SessionStanding:
    """One session."""

    session: str
    recording: bool
    """Whether exchanges are still taken."""
    alarm: bool
    waiting: int
    """Lines that the disk has not taken yet."""
    write_errors: int
    vehicles: Sequence[VehicleStanding]


@dataclass(frozen=True, slots=True)
class RecorderCounts:
    """The recorder."""

    name: str
    agent: AgentCounts
    free_bytes: int | None
    """Where it writes; None when the disk cannot be asked."""
    sessions: Sequence[SessionStanding]
