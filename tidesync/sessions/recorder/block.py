"""What `sync_metadata.json` says of a session, pure: its block, and an entry for each of its sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.instants import utc_from_ns
from schemas.metadata import SessionBlock, SessionFiles, VehicleBlock, sensor_entry
from tidesync.sessions.folder import EVENTS, EXCHANGES, TIME_SYNC
from tidesync.sessions.recorder.metadata import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidesync.sessions.recorder.ending import Closing, Summary
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.vehicle import VehicleLog


def part_of(
    recording: Recording,
    logs: Mapping[str, VehicleLog],
    missing: Mapping[str, int],
    *,
    closing: Closing | None,
    alarm: str | None,
) -> Part:
    """What we have to say; `logs` and the exchanges `missing` by vehicle, `closing` once it has ended."""
    entries = {
        sensor: sensor_entry(log.measured or log.result)
        for sensor, vehicle in recording.sensors.items()
        if (log := logs.get(vehicle))
    }
    return Part(recording.mission, _block(recording, logs, missing, closing, alarm), entries)


def _block(
    recording: Recording,
    logs: Mapping[str, VehicleLog],
    missing: Mapping[str, int],
    closing: Closing | None,
    alarm: str | None,
) -> SessionBlock:
    summaries = closing.summaries if closing else {}
    stamped = recording.sensors.get("inWater") or next(iter(logs), None)
    return SessionBlock(
        session=recording.session,
        recorder=recording.recorder,
        state="stopped" if closing else "recording",
        started_at=recording.started_at,
        stopped_at=utc_from_ns(closing.stopped_ns) if closing else None,
        sensors=dict(recording.sensors),
        alarm=alarm,
        files=SessionFiles(
            exchanges=f"{TIME_SYNC}/{EXCHANGES}",
            events=f"{TIME_SYNC}/{EVENTS}",
            offsets=closing.offsets if closing else None,
        ),
        drift_model=ends.drift_model if (ends := summaries.get(stamped or "")) else None,
        vehicles={
            vehicle: _vehicle_block(log, missing[vehicle], summaries.get(vehicle))
            for vehicle, log in logs.items()
        },
    )


def _vehicle_block(log: VehicleLog, missing: int, summary: Summary | None) -> VehicleBlock:
    return VehicleBlock(
        topside=log.topside,
        exchanges=log.exchanges,
        missing=missing,
        events=log.events,
        last_exchange_at=None if log.last_exchange_ns is None else utc_from_ns(log.last_exchange_ns),
        result=log.result,
        drift_model=summary.drift_model if summary else None,
        start=summary.start if summary else None,
        end=summary.end if summary else None,
        segments=summary.segments if summary else None,
    )
