"""What we write into the consumer's `sync_metadata.json`: its own keys, and our block `timeSync.tidesync`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from schemas.base import Message
from schemas.instants import UtcInstant
from schemas.messages import ErrorWord, Milliseconds, OffsetResult, SensorName, Version
from schemas.names import Session, Topside, Vehicle

FILE_NAME = "sync_metadata.json"
SCHEMA_VERSION = 1
UNSYNCED = "unsynced"
BLOCK_KEY = "tidesync"
CONSUMER_SENSORS = ("inWater", "surface")
CONSUMER_TOLERANCE_MS = 25.0
"""The consumer pairs readings that are at most this far apart."""
RESERVED_SENSORS = frozenset(
    {"markers", "driftModel", BLOCK_KEY, "method", "offsetMs", "uncertaintyMs", "measuredAt", "error"}
)
"""Keys that mean something else in `timeSync` (the last five in its older layout): no sensor's name."""


def iso_ms(instant: datetime) -> str:
    """`2026-05-01T12:00:00.000Z`, as JavaScript writes an instant: three decimals, cut, and Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


MillisecondInstant = Annotated[
    UtcInstant, PlainSerializer(iso_ms, return_type=str, when_used="json"), Field(strict=True)
]


class _ConsumerPart(Message):
    """Keys in the consumer's camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SensorTimeSync(_ConsumerPart):
    """`timeSync.<sensor>`: the consumer corrects `t_topside = t_pi − offsetMs`."""

    method: str
    offset_ms: Milliseconds | None
    """Pi − topside, positive when the Pi is ahead."""
    uncertainty_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """Our `max_error_ms`: how wrong the offset can be at the most."""
    measured_at: MillisecondInstant | None
    error: ErrorWord | None


class DriftModel(_ConsumerPart):
    """`timeSync.driftModel`: the offset over the session as one straight line."""

    type: Literal["linear"] = "linear"
    start_offset_ms: Milliseconds
    drift_rate_ms_per_min: float
    end_offset_ms: Milliseconds


class TrackEnd(Message):
    """The first or the last sound row of a vehicle's smoothed track."""

    at: UtcInstant
    """Topside's realtime."""
    offset_ms: Milliseconds
    max_error_ms: Annotated[Milliseconds, Field(ge=0)]
    segment: Annotated[int, Field(ge=0)]


class VehicleBlock(Message):
    """What a session knows of one vehicle; `result` is the payload of its retained result as it came."""

    topside: Topside | None
    """Whose result stands in `timeSync`: the first that had one. Exchanges of all are kept."""
    exchanges: Annotated[int, Field(ge=0)]
    """Exchanges recorded, of all topsides."""
    missing: Annotated[int, Field(ge=0)]
    """Exchanges known to be lost or still asked for."""
    events: Annotated[int, Field(ge=0)]
    last_exchange_at: UtcInstant | None
    result: OffsetResult | None
    drift_model: DriftModel | None = None
    """Null also where the clock was stepped: no straight line is right on both sides."""
    start: TrackEnd | None = None
    end: TrackEnd | None = None
    """Both of the smoothed track at the stop; between them lie `segments` stretches without a step."""
    segments: Annotated[int, Field(ge=0)] | None = None


class SessionFiles(Message):
    """Where the session's own files are, relative to its folder; null while not written."""

    exchanges: str
    events: str
    offsets: str | None


class SessionBlock(Message):
    """`timeSync.tidesync`: everything of ours that is not one of the consumer's keys."""

    schema_version: Version = 1
    session: Session
    recorder: str
    state: Literal["recording", "stopped"]
    started_at: UtcInstant
    stopped_at: UtcInstant | None
    sensors: dict[SensorName, Vehicle]
    alarm: str | None
    files: SessionFiles
    drift_model: DriftModel | None
    """What we wrote to `timeSync.driftModel`: tells ours from one that the consumer has put there."""
    vehicles: dict[Vehicle, VehicleBlock]


def sensor_entry(result: OffsetResult | None) -> SensorTimeSync:
    """The consumer's entry for a result; `unsynced` with an error word where there is no offset."""
    if result is None or result.offset_ms is None:
        word = result.error if result else None
        return SensorTimeSync(
            method=UNSYNCED, offset_ms=None, uncertainty_ms=None, measured_at=None, error=word or "timeout"
        )
    return SensorTimeSync(
        method=result.method,
        offset_ms=result.offset_ms,
        uncertainty_ms=result.max_error_ms,
        measured_at=result.measured_at,
        error=result.error,
    )
