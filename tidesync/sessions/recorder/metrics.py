"""A recorder's counts, and what Prometheus shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.metrics import agent_families

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.metrics import AgentCounts, Families
    from tidesync.sessions.recorder.counts import SessionCounts
    from tidesync.sessions.recorder.vehicle_log import VehicleCounts

MOST_SESSIONS = 20
MOST_VEHICLES = 500
"""In all sessions together; names come from the network."""


@dataclass(frozen=True, slots=True)
class RecorderCounts:
    """A recorder at an instant."""

    name: str
    agent: AgentCounts
    free_bytes: int | None
    """Where it writes; None when the disk cannot be asked."""
    sessions: Sequence[SessionCounts]


def recorder_families(counts: RecorderCounts) -> Families:
    """All families of a recorder."""
    families = agent_families(counts.agent)
    families.gauge(
        "tidesync_recorder_free_bytes", "Free space where sessions are written.", counts.free_bytes
    )
    families.gauge(
        "tidesync_recorder_sessions",
        "Sessions that are being recorded.",
        sum(session.recording for session in counts.sessions),
    )
    room = MOST_VEHICLES
    for session in counts.sessions[:MOST_SESSIONS]:
        _session(families, session)
        for vehicle in session.vehicles[:room]:
            _vehicle(families, session, vehicle)
        room = max(0, room - len(session.vehicles))
    return families


def _session(families: Families, counts: SessionCounts) -> None:
    session = counts.session
    families.gauge(
        "tidesync_recorder_recording",
        "Whether the session's exchanges are being recorded.",
        float(counts.recording),
        session=session,
    )
    families.gauge(
        "tidesync_recorder_alarm",
        "Whether something is wrong with the recording: its state says what.",
        float(counts.alarm),
        session=session,
    )
    families.gauge(
        "tidesync_recorder_waiting_lines",
        "Lines in memory that the disk has not taken yet.",
        counts.waiting,
        session=session,
    )
    families.gauge(
        "tidesync_recorder_behind_seconds",
        "How long the newest exchanges waited, at topside, the broker or here, before they were recorded.",
        counts.behind_s,
        session=session,
    )
    families.gauge(
        "tidesync_recorder_clock_pieces",
        "Pieces of clock histories recorded; merged ones count once.",
        sum(clock.pieces for clock in counts.clocks),
        session=session,
    )
    families.gauge(
        "tidesync_recorder_missing_clock_pieces",
        "Pieces of clock histories known to be missing; most of them come when they are asked for.",
        sum(clock.missing for clock in counts.clocks),
        session=session,
    )
    families.counter(
        "tidesync_recorder_write_errors",
        "Times the disk refused.",
        counts.write_errors,
        session=session,
    )
    families.counter(
        "tidesync_recorder_refused_lines",
        "Exchanges, events and pieces of clock histories for which there was no room.",
        counts.refused,
        session=session,
    )


def _vehicle(families: Families, session: SessionCounts, counts: VehicleCounts) -> None:
    labels = {"session": session.session, "vehicle": counts.vehicle}
    families.counter("tidesync_recorder_exchanges", "Exchanges recorded.", counts.exchanges, **labels)
    families.gauge(
        "tidesync_recorder_missing_exchanges",
        "Exchanges known to be missing; most of them come when they are asked for.",
        counts.missing,
        **labels,
    )
    families.counter(
        "tidesync_recorder_lost_exchanges", "Exchanges given up for good.", counts.lost, **labels
    )
    families.counter("tidesync_recorder_gaps", "Ranges of lost exchanges.", counts.gaps, **labels)
    if session.recording:
        families.gauge(
            "tidesync_recorder_last_exchange_age_seconds",
            "Time since an exchange was last recorded, else since the recording began.",
            counts.age_s,
            **labels,
        )
        families.gauge(
            "tidesync_recorder_lag_seconds",
            "Age of the newest recorded exchange, by the recorder's wall clock.",
            counts.lag_s,
            **labels,
        )
