"""The recorder's part of `sync_metadata.json`, pure: made from a session, and merged without losing a key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from schemas.instants import utc_from_ns
from schemas.metadata import (
    BLOCK_KEY,
    CONSUMER_SENSORS,
    SCHEMA_VERSION,
    ClockBlock,
    SensorTimeSync,
    SessionBlock,
    SessionFiles,
    VehicleBlock,
    iso_ms,
    sensor_entry,
)
from tidesync.sessions.document import Document, block_of, same
from tidesync.sessions.folder import CLOCK, EVENTS, EXCHANGES, TIME_SYNC
from tidesync.sessions.frames import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from schemas.base import Message
    from schemas.metadata import DriftModel, OffsetRange, ProcessBlock
    from tidesync.sessions.recorder.clock_log import ClockCounts
    from tidesync.sessions.recorder.closing import Closing, Summary
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.vehicle_log import VehicleLog


@dataclass(frozen=True, slots=True)
class MetadataUpdate:
    """What the recorder writes about a session: its block, and the sensors' entries."""

    mission: str
    block: SessionBlock
    entries: Mapping[str, SensorTimeSync] = field(default_factory=dict)


def update_of(
    recording: Recording,
    logs: Mapping[str, VehicleLog],
    missing: Mapping[str, int],
    clocks: Sequence[ClockCounts] = (),
    processes: Mapping[str, list[ProcessBlock]] = MappingProxyType({}),
    *,
    closing: Closing | None,
    alarm: str | None,
) -> MetadataUpdate:
    """The update now; `logs` and the exchanges `missing` by vehicle, `closing` once the session has ended.

    `processes` of a vehicle's topsides that had several.
    """
    summaries = closing.summaries if closing else {}
    entries = {
        sensor: sensor_entry(log.measured or log.result, _range(log, summaries.get(vehicle)))
        for sensor, vehicle in recording.sensors.items()
        if (log := logs.get(vehicle))
    }
    block = _block(recording, logs, missing, closing, alarm)
    vehicles = {
        name: each.model_copy(update={"processes": processes.get(name, [])})
        for name, each in block.vehicles.items()
    }
    block = block.model_copy(update={"vehicles": vehicles})
    return MetadataUpdate(recording.mission, _with_clocks(block, clocks), entries)


def in_frames(update: MetadataUpdate) -> MetadataUpdate:
    """The same of a session whose journals are compressed."""
    files = update.block.files
    clock = files.clock and files.clock + SUFFIX
    changed = files.model_copy(update={"exchanges": files.exchanges + SUFFIX, "clock": clock})
    return replace(update, block=update.block.model_copy(update={"files": changed}))


def merge(existing: Document | None, update: MetadataUpdate, now: datetime) -> Document | None:
    """`existing` with our part in it, or None when there is nothing to write.

    Unknown keys stay as they are, in their order; `updatedAt` moves only with something else.
    """
    merged = dict(existing or {})
    merged |= {key: value for key, value in _required(update, now).items() if merged.get(key) is None}
    merged["timeSync"] = _time_sync(merged["timeSync"], update)
    if existing is not None and same(merged, existing):
        return None
    merged["updatedAt"] = iso_ms(now)
    return merged


def _block(
    recording: Recording,
    logs: Mapping[str, VehicleLog],
    missing: Mapping[str, int],
    closing: Closing | None,
    alarm: str | None,
) -> SessionBlock:
    summaries = closing.summaries if closing else {}
    failed = closing.failed if closing else {}
    in_water = recording.sensors.get("inWater") or next(iter(logs), "")
    summary = summaries.get(in_water)
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
        drift_model=_drift_model(logs[in_water], summary) if in_water in logs else None,
        vehicles={
            vehicle: _vehicle_block(log, missing[vehicle], summaries.get(vehicle), failed.get(vehicle))
            for vehicle, log in logs.items()
        },
    )


def _with_clocks(block: SessionBlock, clocks: Sequence[ClockCounts]) -> SessionBlock:
    if not clocks:
        return block
    blocks = [
        ClockBlock(
            machine=counts.owner[0],
            name=counts.owner[1],
            processes=counts.processes,
            pieces=counts.pieces,
            missing=counts.missing,
        )
        for counts in clocks
    ]
    files = block.files.model_copy(update={"clock": f"{TIME_SYNC}/{CLOCK}"})
    return block.model_copy(update={"clocks": blocks, "files": files})


def _vehicle_block(
    log: VehicleLog, missing: int, summary: Summary | None, failed: str | None
) -> VehicleBlock:
    return VehicleBlock(
        topside=log.topside,
        topsides=list(log.topsides),
        exchanges=log.exchanges,
        missing=missing,
        events=log.events,
        last_exchange_at=None if log.last_exchange_ns is None else utc_from_ns(log.last_exchange_ns),
        result=log.result,
        drift_model=_drift_model(log, summary),
        start=summary.start if summary else None,
        end=summary.end if summary else None,
        segments=summary.segments if summary else None,
        track_error=failed,
        offset_range=_range(log, summary),
    )


def _drift_model(log: VehicleLog, summary: Summary | None) -> DriftModel | None:
    """The track's; none where several topsides measured, as no line of one is that of the session."""
    return summary.drift_model if summary and len(log.topsides) <= 1 else None


def _range(log: VehicleLog, summary: Summary | None) -> OffsetRange | None:
    """The smoothed track's, else the results'; both where several topsides measured: a track is of one."""
    if summary is None or summary.offset_range is None:
        return log.offset_range
    return summary.offset_range.including(log.offset_range if len(log.topsides) > 1 else None)


def _required(update: MetadataUpdate, now: datetime) -> Document:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "mission": update.mission,
        "unifiedSessionTimestamp": update.block.session,
        "createdAt": iso_ms(now),
        "updatedAt": iso_ms(now),
        "sensors": dict.fromkeys(CONSUMER_SENSORS),
        "timeSync": {},
    }


def _time_sync(found: object, update: MetadataUpdate) -> Document:
    existing: Document = found if isinstance(found, dict) else {}
    merged = dict.fromkeys(CONSUMER_SENSORS) | {"markers": [], "driftModel": None}
    merged = dict(existing) | {key: value for key, value in merged.items() if key not in existing}
    for sensor, entry in update.entries.items():
        merged[sensor] = _entry(merged.get(sensor), entry)
    block, ours = block_of({"timeSync": existing}), _json(update.block)
    before = block.get("drift_model")
    if ours["drift_model"] is None:
        ours["drift_model"] = before  # of an earlier stop
    elif merged["driftModel"] in (None, before):
        merged["driftModel"] = ours["drift_model"]
    merged[BLOCK_KEY] = block | ours
    if found is not None and not isinstance(found, dict):
        merged[BLOCK_KEY]["replaced_time_sync"] = found
    return merged


def _entry(found: object, entry: SensorTimeSync) -> Document:
    """Our keys over the existing ones; but no null replaces a measurement, also not one of the consumer."""
    existing: Document = found if isinstance(found, dict) else {}
    if entry.offset_ms is None and existing.get("offsetMs") is not None:
        return existing
    return existing | _json(entry)


def _json(model: Message) -> Document:
    return model.model_dump(mode="json", by_alias=True)
