"""The MQTT payloads of `docs/topics.md`, one model each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Message, Nanoseconds, NanosecondsDifference
from schemas.exchange import MQTT, Exchange, Identifier, StampKind
from schemas.instants import UtcInstant
from schemas.names import Mission, Session, Topside, Vehicle

Version = Literal[1]
"""Of the message; a new one means that keys have changed, not that some were added."""
Status = Literal["online", "offline"]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""What the pong repeats: 64 random bits, as 16 hexadecimal digits."""
Seq = Annotated[int, Field(ge=0, le=2**53)]
"""The exchange's number: topside's process counts those it has finished, from 0, without holes."""
Milliseconds = float
"""Milliseconds; an offset is Pi − topside, positive when the Pi is ahead."""
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
    """Topside's realtime when it asked, ns since the Unix epoch."""


class Pong(Message):
    """The Pi answers: both stamps are RAW plus this message's own `realtime_minus_raw_ns`."""

    v: Version = 1
    seq: Seq
    nonce: Nonce
    receive_ns: Nanoseconds
    """The Pi's realtime at the ping's arrival, never earlier than that, ns since the Unix epoch."""
    transmit_ns: Nanoseconds
    """The Pi's realtime at the pong's departure, never later than that, ns since the Unix epoch."""
    realtime_minus_raw_ns: NanosecondsDifference
    """What both stamps are more than CLOCK_MONOTONIC_RAW, in ns."""
    boot_id: Identifier
    instance_id: Identifier
    """Of the agent's process."""
    receive_stamp: StampKind
    transmit_stamp: StampKind
    resolution_ns: Annotated[int, Field(ge=0, le=10**9)]
    """The coarsest step of the Pi's clocks plus how far apart they were read, ns."""
    previous_nonce: Nonce | None = None
    previous_transmit_ns: Nanoseconds | None = None


class Info(Message):
    """What a vehicle says of itself, retained."""

    schema_version: Version = 1
    vehicle: Vehicle
    version: str
    """Of the agent's software."""
    boot_id: Identifier
    instance_id: Identifier
    """Of the agent's process: two of one name show two agents."""
    started_at: UtcInstant
    """When the agent started, by the Pi's clock."""
    receive_stamp: StampKind
    clock_synchronized: bool
    """Whether something (NTP) disciplines the Pi's realtime; false means that it runs free, unslewed."""
    http_port: Annotated[int, Field(ge=1, le=65535)] | None
    """Where GET /api/sync/time is served; null where it is not."""
    simulated: bool = False
    """Whether the clock is a pretended one."""


class Event(Message):
    """A step of the wall clock or a suspend, dated and measured by the Pi itself."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["step", "suspend"]
    at: UtcInstant
    """The Pi's realtime at the first reading after it."""
    at_raw_ns: Nanoseconds
    """The Pi's CLOCK_MONOTONIC_RAW then, ns."""
    step_ms: Milliseconds
    """How far realtime − raw moved, positive when the wall clock went forward."""
    boot_id: Identifier


class ExchangeBatch(Message):
    """Finished exchanges of one vehicle: at most a second's worth, or 100."""

    schema_version: Version = 1
    batch: Annotated[int, Field(ge=0, le=2**53)]
    """Its number: topside's process counts those of this vehicle, from 0."""
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
    mission: Mission
    sensors: Annotated[dict[SensorName, Vehicle], Field(max_length=64)]
    """Vehicle by sensor; none means every vehicle."""


class StopCommand(Message):
    """End the session named in the topic."""

    request_id: Identifier
    action: Literal["stop"] = "stop"


class SessionState(Message):
    """What a recorder is doing with a session, retained; also the answer to the command `request_id`."""

    schema_version: Version = 1
    session: Session
    request_id: Identifier | None
    """Of the command that this answers."""
    state: Literal["recording", "stopped", "refused", "failed"]
    """`failed`: nothing can be written, what comes is held in memory. `refused` is not retained."""
    path: str | None
    """The session's folder relative to the recorder's root."""
    mission: str | None
    sensors: dict[str, str]
    exchanges: Annotated[int, Field(ge=0)]
    """Exchanges recorded, of all vehicles."""
    last_exchange_at: UtcInstant | None
    """When the newest recorded exchange finished, by topside's clock."""
    alarm: str | None
    """In words: why nothing is recorded, or not everything."""
    error: str | None
    """In words: why it was refused, or cannot be written."""


State = Literal["acquiring", "locked", "holdover", "stale", "unsynced"]


class OffsetResult(Message):
    """The retained result: how the vehicle's clock stands to topside's at `measured_at`.

    Offsets are Pi − topside, positive when the Pi is ahead. Absent is null, never 0.
    """

    schema_version: Version = 1
    vehicle: Vehicle
    topside: Topside
    method: str = MQTT.name
    """How the newest exchange was made: `mqtt_exchange_v1`, or `ntp_handshake_v1` over HTTP."""
    state: State
    """`acquiring`: too few exchanges, or too wide a bound. `holdover`: no exchange for 3 s. `stale`: max
    error above 25 ms, or no exchange for 15 minutes. `unsynced`: nothing to go on. Limits are settings."""
    offset_ms: Milliseconds | None
    """Pi − topside, positive when the Pi is ahead, in ms."""
    lower_ms: Milliseconds | None
    """The true offset is not below this, ms."""
    upper_ms: Milliseconds | None
    """The true offset is not above this, ms."""
    max_error_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """How wrong `offset_ms` can be at the most, ms."""
    u95_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """Statistical 95 % half-width of `offset_ms`, if both directions share their least delay; ms."""
    drift_ppm: float | None
    """Rate of the offset of the RAW clocks, positive when the Pi's runs fast, ppm."""
    drift_error_ppm: Annotated[float, Field(ge=0)] | None
    """Its 95 % half-width, ppm."""
    delay_min_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """Least round trip, less the Pi's own time, of the window in use; ms."""
    exchanges: Annotated[int, Field(ge=0)]
    """Exchanges in the window in use."""
    rejected: Annotated[int, Field(ge=0)]
    """Exchanges refused since the agent started."""
    segment: Annotated[int, Field(ge=0)]
    """Counts the stretches without a clock step, suspend or reboot, from 0."""
    steps: Annotated[int, Field(ge=0)]
    """Clock steps since the agent started."""
    boot_id: str | None
    """The Pi's."""
    measured_at: UtcInstant | None
    """Topside's realtime at which `offset_ms` holds."""
    measured_unix_ms: int | None
    """The same in ms since the Unix epoch."""
    age_s: Annotated[float, Field(ge=0)] | None
    """How long before `measured_at` the last exchange finished."""
    error: ErrorWord | None


TopsideCommand = Annotated[BurstCommand | ResendCommand, Field(discriminator="action")]
"""What a topside is told."""

SessionCommand = Annotated[StartCommand | StopCommand, Field(discriminator="action")]
"""What a recorder is told."""
