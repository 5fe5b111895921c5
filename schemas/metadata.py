"""Our part of the consumer's `sync_metadata.json`: its own keys, and the block `timeSync.tidesync`."""

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
"""The consumer's tolerance: it pairs readings whose timestamps differ by at most this, ms."""
RESERVED_SENSORS = frozenset(
    {"markers", "driftModel", BLOCK_KEY, "method", "offsetMs", "uncertaintyMs", "measuredAt", "error"}
)
"""Keys with another meaning in `timeSync` (the last five in its older layout): not for sensors."""


def iso_ms(instant: datetime) -> str:
    """`2026-05-01T12:00:00.000Z`, as JavaScript writes an instant: three decimals, truncated, and Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


MillisecondInstant = Annotated[
    UtcInstant, PlainSerializer(iso_ms, return_type=str, when_used="json"), Field(strict=True)
]


class _ConsumerPart(Message):
    """Keys in camelCase, as the consumer's."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SensorTimeSync(_ConsumerPart):
    """`timeSync.<sensor>`: the consumer corrects `t_topside = t_pi − offsetMs`."""

    method: str
    offset_ms: Milliseconds | None
    """Pi − topside, positive when the Pi is ahead."""
    uncertainty_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """Our `max_error_ms`: the largest possible error of the offset."""
    measured_at: MillisecondInstant | None
    error: ErrorWord | None


class DriftModel(_ConsumerPart):
    """`timeSync.driftModel`: the offset over the session as a straight line."""

    type: Literal["linear"] = "linear"
    start_offset_ms: Milliseconds
    drift_rate_ms_per_min: float
    end_offset_ms: Milliseconds


class TrackEnd(Message):
    """The first or the last valid row of a vehicle's smoothed track."""

    at: UtcInstant
    """Topside's realtime."""
    offset_ms: Milliseconds
    max_error_ms: Annotated[Milliseconds, Field(ge=0)]
    segment: Annotated[int, Field(ge=0)]


class VehicleBlock(Message):
    """A session's data about one vehicle; `result` is the payload of its retained result, unchanged."""

    topside: Topside | None
    """The topside whose result is in `timeSync`: the first with a result. Exchanges of all are kept."""
    exchanges: Annotated[int, Field(ge=0)]
    """Exchanges recorded, of all topsides."""
    missing: Annotated[int, Field(ge=0)]
    """Exchanges that are lost, or still requested."""
    events: Annotated[int, Field(ge=0)]
    last_exchange_at: UtcInstant | None
    result: OffsetResult | None
    drift_model: DriftModel | None = None
    """Null also if the clock was stepped: no straight line fits both sides of a step."""
    start: TrackEnd | None = None
    end: TrackEnd | None = None
    """`start` and `end` are of the smoothed track at the stop, which has `segments` segments."""
    segments: Annotated[int, Field(ge=0)] | None = None


class ClockBlock(Message):
    """What `clock.jsonl` has of one machine's clock history."""

    machine: Literal["vehicle", "topside"]
    name: str
    processes: Annotated[int, Field(ge=0)]
    """Processes that kept the history, each with a count of its own."""
    pieces: Annotated[int, Field(ge=0)]
    missing: Annotated[int, Field(ge=0)]
    """Pieces that are lost, or still requested: their numbers are missing in the file."""


class SessionFiles(Message):
    """Our files in the session's folder, relative to it; null if not written."""

    exchanges: str
    events: str
    offsets: str | None
    clock: str | None = None
    """Null as long as no machine has published its clock history."""


class SessionBlock(Message):
    """`timeSync.tidesync`: all our data that the consumer has no key for."""

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
    """What we wrote to `timeSync.driftModel`: another value there is the consumer's."""
    vehicles: dict[Vehicle, VehicleBlock]
    clocks: list[ClockBlock] = Field(default_factory=list)
    """By machine; empty if none has published its clock history."""


def sensor_entry(result: OffsetResult | None) -> SensorTimeSync:
    """The consumer's entry for a result; `unsynced` with an error word if there is no offset."""
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
