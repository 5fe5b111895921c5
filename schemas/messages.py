"""The MQTT payloads of `docs/topics.md`, one model each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Message, Nanoseconds, NanosecondsDifference
from schemas.exchange import MQTT_METHOD, Exchange, Identifier, StampKind
from schemas.instants import UtcInstant
from schemas.names import Session, Topside, Vehicle

Version = Literal[1]
Status = Literal["online", "offline"]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Seq = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = float
SensorName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
ErrorWord = Literal[
    "timeout", "network_error", "high_rtt", "invalid_pi_time", "duplicate_vehicle", "not_authorized"
]
"""Why there is no good result: the consumer's words, then ours."""

MAX_BATCH = 100
"""Exchanges in one batch message, at most."""


class Ping(Message):
    """Topside asks; `origin_ns` is topside's realtime when it did."""

    v: Version = 1
    seq: Seq
    nonce: Nonce
    origin_ns: Nanoseconds


class Pong(Message):
    """The Pi answers: both stamps are RAW plus this message's own `realtime_minus_raw_ns`."""

    v: Version = 1
    seq: Seq
    nonce: Nonce
    receive_ns: Nanoseconds
    transmit_ns: Nanoseconds
    realtime_minus_raw_ns: NanosecondsDifference
    boot_id: Identifier
    instance_id: Identifier
    receive_stamp: StampKind
    transmit_stamp: StampKind
    resolution_ns: Annotated[int, Field(ge=0, le=10**9)]
    previous_nonce: Nonce | None = None
    previous_transmit_ns: Nanoseconds | None = None


class Info(Message):
    """What a vehicle says of itself, retained."""

    schema_version: Version = 1
    vehicle: Vehicle
    version: str
    boot_id: Identifier
    instance_id: Identifier
    started_at: UtcInstant
    receive_stamp: StampKind
    clock_synchronized: bool
    """Whether something (NTP) disciplines the Pi's realtime; false means that it runs free, unslewed."""
    http_port: Annotated[int, Field(ge=1, le=65535)] | None
    simulated: bool = False


class Event(Message):
    """A step of the wall clock or a suspend, dated and measured by the Pi itself."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["step", "suspend"]
    at: UtcInstant
    at_raw_ns: Nanoseconds
    step_ms: Milliseconds
    """How far realtime − raw moved, positive when the wall clock went forward."""
    boot_id: Identifier


class ExchangeBatch(Message):
    """Finished exchanges of one vehicle: at most a second's worth, or 100."""

    schema_version: Version = 1
    batch: Annotated[int, Field(ge=0, le=2**53)]
    exchanges: Annotated[tuple[Exchange, ...], Field(max_length=MAX_BATCH)]


class BurstCommand(Message):
    """Measure `vehicle` at once with a burst of exchanges."""

    request_id: Identifier
    action: Literal["burst"] = "burst"
    vehicle: Vehicle


class ResendCommand(Message):
    """Publish the exchanges `from_seq` to `to_seq` (both included) of `vehicle` again."""

    request_id: Identifier
    action: Literal["resend"] = "resend"
    vehicle: Vehicle
    from_seq: Seq
    to_seq: Seq


class StartCommand(Message):
    """Begin recording a session; `sensors` says which vehicle's clock stamps which sensor."""

    request_id: Identifier
    action: Literal["start"] = "start"
    mission: Session
    sensors: Annotated[dict[SensorName, Vehicle], Field(max_length=64)]


class StopCommand(Message):
    """End the session named in the topic."""

    request_id: Identifier
    action: Literal["stop"] = "stop"


class SessionState(Message):
    """What a recorder is doing with a session, retained; also the answer to the command `request_id`."""

    schema_version: Version = 1
    session: Session
    request_id: Identifier | None
    state: Literal["recording", "stopped", "refused", "failed"]
    path: str | None
    """The session's folder relative to the recorder's root."""
    mission: str | None
    sensors: dict[str, str]
    exchanges: Annotated[int, Field(ge=0)]
    last_exchange_at: UtcInstant | None
    alarm: str | None
    error: str | None


State = Literal["acquiring", "locked", "holdover", "stale", "unsynced"]


class OffsetResult(Message):
    """The retained result: how the vehicle's clock stands to topside's at `measured_at`.

    Offsets are Pi − topside, positive when the Pi is ahead. Absent is null, never 0.
    """

    schema_version: Version = 1
    vehicle: Vehicle
    topside: Topside
    method: str = MQTT_METHOD
    state: State
    offset_ms: Milliseconds | None
    lower_ms: Milliseconds | None
    upper_ms: Milliseconds | None
    max_error_ms: Annotated[Milliseconds, Field(ge=0)] | None
    u95_ms: Annotated[Milliseconds, Field(ge=0)] | None
    drift_ppm: float | None
    drift_error_ppm: Annotated[float, Field(ge=0)] | None
    delay_min_ms: Annotated[Milliseconds, Field(ge=0)] | None
    exchanges: Annotated[int, Field(ge=0)]
    """Exchanges in the window in use."""
    rejected: Annotated[int, Field(ge=0)]
    """Exchanges refused since the agent started."""
    segment: Annotated[int, Field(ge=0)]
    steps: Annotated[int, Field(ge=0)]
    boot_id: str | None
    measured_at: UtcInstant | None
    """Topside's realtime at which `offset_ms` holds."""
    measured_unix_ms: int | None
    age_s: Annotated[float, Field(ge=0)] | None
    """How long before `measured_at` the last exchange finished."""
    error: ErrorWord | None


TopsideCommand = Annotated[BurstCommand | ResendCommand, Field(discriminator="action")]
"""What a topside is told."""

SessionCommand = Annotated[StartCommand | StopCommand, Field(discriminator="action")]
"""What a recorder is told."""
