"""Our part of the consumer's `sync_metadata.json`: its own keys, and the block `timeSync.tidesync`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from schemas.base import Message, Milliseconds, OtherWord
from schemas.compat import UTC
from schemas.doubtful import is_doubtful
from schemas.exchange import Identifier
from schemas.instants import UtcInstant
from schemas.messages import Count, ErrorWord, OffsetResult, SensorName, Version
from schemas.names import Session, Topside, Vehicle

FILE_NAME = "sync_metadata.json"
FOLDER_NAME = "time_sync"
"""Beside it: the folder of everything else."""
EXCHANGES_NAME = "exchanges.jsonl"
"""In that: every exchange."""
SCHEMA_VERSION = 1
UNSYNCED = "unsynced"
BLOCK_KEY = "tidesync"
CORRECTED = "corrected"
"""Key of our block; true where the session's tables have topside's times."""
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
    """How far `offsetMs` may be from the offset at any measured instant of the session, bounds included.

    For a steady clock that is our `max_error_ms`; after a step or with drift it is as large as they are.
    """
    measured_at: MillisecondInstant | None
    error: ErrorWord | OtherWord | None


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
    segment: Count


class OffsetRange(Message):
    """A session's offsets and their max errors: none was measured outside `lowest_ms` to `highest_ms`."""

    lowest_ms: Milliseconds
    highest_ms: Milliseconds

    def including(self, other: OffsetRange | None) -> OffsetRange:
        """The range of both."""
        if other is None:
            return self
        return OffsetRange(
            lowest_ms=min(self.lowest_ms, other.lowest_ms), highest_ms=max(self.highest_ms, other.highest_ms)
        )

    def farthest_ms(self, offset_ms: float) -> float:
        """How far `offset_ms` may be from an offset of the session."""
        return max(self.highest_ms - offset_ms, offset_ms - self.lowest_ms)


class ProcessBlock(Message):
    """What one process of a topside has of a vehicle, where several of its name measured in the session."""

    topside: Topside
    instance_id: Identifier | None
    """Null: an earlier version's, which stated none."""
    missing: Count
    """Exchanges of it that are lost, or still requested."""


class VehicleBlock(Message):
    """A session's data about one vehicle; `result` is the payload of its retained result, unchanged."""

    topside: Topside | None
    """The topside whose result is in `timeSync`: the first with one, while it measures."""
    topsides: Annotated[list[Topside], Field(max_length=64)] = Field(default_factory=list)
    """All whose results were used, one after another; `offset_range` has those of each, to its own clock."""
    exchanges: Count
    """Exchanges recorded, of all topsides."""
    missing: Count
    """Exchanges that are lost, or still requested; of all processes."""
    processes: Annotated[list[ProcessBlock], Field(max_length=100)] = Field(default_factory=list)
    """Of topsides that restarted, or of which two had one name; empty if each was one process."""
    events: Count
    last_exchange_at: UtcInstant | None
    result: OffsetResult | None
    drift_model: DriftModel | None = None
    """Null also if the clock was stepped: no straight line fits both sides of a step."""
    start: TrackEnd | None = None
    end: TrackEnd | None = None
    """`start` and `end` are of the smoothed track at the stop, which has `segments` segments."""
    segments: Count | None = None
    track_error: str | None = None
    """Why the stop made no smoothed track of it, a sentence; null: it made one, or is still to come."""
    offset_range: OffsetRange | None = None
    """Of the smoothed track at the stop, before that of the results so far; null without an offset."""


class ClockBlock(Message):
    """What `clock.jsonl` has of one machine's clock history."""

    machine: Literal["vehicle", "topside"]
    name: str
    processes: Count
    """Processes that kept the history, each with a count of its own."""
    pieces: Count
    missing: Count
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


def sensor_entry(result: OffsetResult | None, session: OffsetRange | None = None) -> SensorTimeSync:
    """The consumer's entry for a result; `unsynced` with an error word if there is no offset.

    The consumer applies one offset to the whole session, so `uncertaintyMs` covers all of `session`: it is
    where its reader looks for how wrong that may be. `error` stays null beside an offset, because to the
    consumer a word there means that there is no offset.
    """
    if result is None or result.offset_ms is None or is_doubtful(result.error):
        word = result.error if result else None
        return SensorTimeSync(
            method=UNSYNCED, offset_ms=None, uncertainty_ms=None, measured_at=None, error=word or "timeout"
        )
    return SensorTimeSync(
        method=result.method,
        offset_ms=result.offset_ms,
        uncertainty_ms=_uncertainty_ms(result, session),
        measured_at=result.measured_at,
        error=None,
    )


def range_of(result: OffsetResult) -> OffsetRange | None:
    """The offset of a result with its max error; None without one."""
    if result.offset_ms is None or result.max_error_ms is None:
        return None
    return OffsetRange(
        lowest_ms=result.offset_ms - result.max_error_ms, highest_ms=result.offset_ms + result.max_error_ms
    )


def _uncertainty_ms(result: OffsetResult, session: OffsetRange | None) -> float | None:
    if result.offset_ms is None or result.max_error_ms is None or session is None:
        return result.max_error_ms
    return max(result.max_error_ms, session.farthest_ms(result.offset_ms))
