"""What the recorder has on disk and what it misses, as it tells Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.metrics import agent_families

if TYPE_CHECKING:
    from runtime.metrics import Families
    from tidesync.sessions.recorder.counts import RecorderCounts, SessionStanding, VehicleStanding

MOST_SESSIONS = 20
MOST_VEHICLES = 500
"""In all sessions together; names come from the network."""


def recorder_families(counts: RecorderCounts) -> Families:
    """All that a recorder tells."""
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


def _session(families: Families, standing: SessionStanding) -> None:
    session = standing.session
    families.gauge(
        "tidesync_recorder_recording",
        "Whether the session's exchanges are being recorded.",
        float(standing.recording),
        session=session,
    )
    families.gauge(
        "tidesync_recorder_alarm",
        "Whether something is wrong with the recording: its state says what.",
        float(standing.alarm),
        session=session,
    )
    families.gauge(
        "tidesync_recorder_waiting_lines",
        "Exchanges and events in memory that the disk has not taken yet.",
        standing.waiting,
        session=session,
    )
    families.counter(
        "tidesync_recorder_write_errors",
        "Times the disk refused.",
        standing.write_errors,
        session=session,
    )


def _vehicle(families: Families, session: SessionStanding, standing: VehicleStanding) -> None:
    labels = {"session": session.session, "vehicle": standing.vehicle}
    families.counter("tidesync_recorder_exchanges", "Exchanges recorded.", standing.exchanges, **labels)
    families.gauge(
        "tidesync_recorder_missing_exchanges",
        "Exchanges known to be missing; most of them come when they are asked for.",
        standing.missing,
        **labels,
    )
    families.counter(
        "tidesync_recorder_lost_exchanges", "Exchanges given up for good.", standing.lost, **labels
    )
    families.counter("tidesync_recorder_gaps", "Stretches of lost exchanges.", standing.gaps, **labels)
    if session.recording:
        families.gauge(
            "tidesync_recorder_last_exchange_age_seconds",
            "Time since an exchange was last recorded, else since the recording began.",
            standing.age_s,
            **labels,
        )
        families.gauge(
            "tidesync_recorder_lag_seconds",
            "How far the newest recorded exchange lies back, by the recorder's wall clock.",
            standing.lag_s,
            **labels,
        )
