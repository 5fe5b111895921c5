"""The MQTT payloads of `docs/topics.md`, one model each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from schemas.base import LATEST_NS, Message, Milliseconds, Nanoseconds, NanosecondsDifference, OtherWord, Ppm
from schemas.clock_history import ClockResendCommand
from schemas.duplicate_span import MAX_DUPLICATES, DuplicateSpan
from schemas.exchange import MQTT, AnyStampKind, Exchange, Identifier, MethodName
from schemas.instants import UtcInstant
from schemas.names import Mission, Session, Topside, Vehicle

Version = Literal[1]
"""Of the message. It changes when the meaning of keys changes, not when keys are added."""
Status = Literal["online", "offline"]
Count = Annotated[int, Field(ge=0, le=2**53)]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""The pong repeats it: 64 random bits, as 16 hexadecimal digits."""
Seq = Annotated[int, Field(ge=0, le=2**53)]
"""The exchange's number: topside's process counts those it has finished, from 0, without gaps."""
SensorName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
ProgramName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""A daemon's, as `chronyd`."""
TopicFilter = Annotated[str, Field(min_length=1, max_length=1000)]
"""An MQTT topic, or a filter with `+`."""
ErrorWord = Literal[
    "timeout",
    "network_error",
    "high_rtt",
    "invalid_pi_time",
    "duplicate_vehicle",
    "duplicate_topside",
    "clock_rate",
    "not_authorized",
]
"""Why there is no good result: the consumer's error words, then ours."""
DUPLICATES: frozenset[ErrorWord] = frozenset({"duplicate_vehicle", "duplicate_topside"})
"""Two processes use the name: whose clock a result is of is in doubt, so that it is never `locked`."""


MAX_BATCH = 100
"""Exchanges in one batch message, at most."""


class Ping(Message):
    """Topside's request for timestamps."""

    v: Version = 1
    seq: Seq
    nonce: Nonce
    origin_ns: Nanoseconds
    """Topside's realtime when it sent the ping, ns since the Unix epoch."""


class Pong(Message):
    """The Pi's answer. Both timestamps are RAW plus this message's own `realtime_minus_raw_ns`."""

    v: Version = 1
    seq: Seq
    nonce: Nonce
    receive_ns: Nanoseconds
    """The Pi's realtime at the ping's arrival, never earlier than that, ns since the Unix epoch."""
    transmit_ns: Nanoseconds
    """The Pi's realtime at the pong's departure, never later than that, ns since the Unix epoch."""
    realtime_minus_raw_ns: NanosecondsDifference
    """Both timestamps less the Pi's CLOCK_MONOTONIC_RAW, ns."""
    boot_id: Identifier
    instance_id: Identifier
    """Of the agent's process."""
    receive_stamp: AnyStampKind
    transmit_stamp: AnyStampKind
    resolution_ns: Annotated[int, Field(ge=0, le=10**9)]
    """The coarsest step of the Pi's clocks plus the time between reading them, ns."""


class Info(Message):
    """A vehicle's description of itself, retained."""

    schema_version: Version = 1
    vehicle: Vehicle
    version: Annotated[str, Field(max_length=128)]
    """Of the agent's software."""
    boot_id: Identifier
    instance_id: Identifier
    """Of the agent's process. Two instance ids of one vehicle show that two agents run."""
    started_at: UtcInstant
    """When the agent started, by the Pi's clock."""
    receive_stamp: AnyStampKind
    clock_synchronized: bool
    """Whether the Pi's kernel calls its realtime synchronized. That proves nothing about slewing."""
    clock_daemons: Annotated[tuple[ProgramName, ...], Field(max_length=20)] = ()
    """Running programs that discipline the Pi's realtime, as `chronyd`; not those in other containers."""
    clock_max_slew_ppm: Annotated[Ppm, Field(ge=0)] | None = None
    """How fast they may slew it, ppm; 0 for a free clock; the kernel's limit for an unknown program."""
    clock_free: bool | None = None
    """Whether nothing moves the Pi's realtime: nominal tick and frequency, no offset pending, no daemon, and
    realtime − RAW has rested for a minute. Null: not known."""
    http_port: Annotated[int, Field(ge=1, le=65535)] | None
    """The port of GET /api/sync/time; null if it is not served."""
    udp: Annotated[int, Field(ge=1, le=255)] | None = None
    """The version of the datagrams by which it is measured directly, on request; null: not at all."""
    udp_key_public: bool | None = None
    """Whether anybody at the broker may read the keys of those: the agent has no account. Null: not known."""
    simulated: bool = False
    """Whether the clock is simulated."""
    topics_refused: Annotated[tuple[TopicFilter, ...], Field(max_length=20)] = ()
    """What the broker refuses to the agent's account: topics it may not subscribe to, or of which nothing
    comes back that it publishes. While the filter of its pings is among them it is not reached."""


class Event(Message):
    """A step of realtime or a suspend, dated and measured by the Pi itself."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["step", "suspend"]
    at: UtcInstant
    """The Pi's realtime at the first reading after it."""
    at_raw_ns: Nanoseconds
    """The Pi's CLOCK_MONOTONIC_RAW at the same reading, ns."""
    step_ms: Milliseconds
    """By how much realtime − raw changed, positive when realtime moved forward."""
    boot_id: Identifier


class ExchangeBatch(Message):
    """Finished exchanges of one vehicle: at most those since the last result, or 100."""

    schema_version: Version = 1
    batch: Annotated[int, Field(ge=0, le=2**53)]
    """Its number: topside's process counts those of this vehicle, from 0."""
    exchanges: Annotated[tuple[Exchange, ...], Field(max_length=MAX_BATCH)]


class BurstCommand(Message):
    """Measure `vehicle` immediately with a burst of exchanges."""

    request_id: Identifier
    action: Literal["burst"] = "burst"
    vehicle: Vehicle


class ResendCommand(Message):
    """Publish the exchanges `from_seq` to `to_seq` (both included) of `vehicle` again."""

    request_id: Identifier
    action: Literal["resend"] = "resend"
    what: Literal["exchanges"] = "exchanges"
    vehicle: Vehicle
    from_seq: Seq
    to_seq: Seq
    instance_id: Identifier | None = None
    """Of the topside's process that counted them: another one of its name does not answer. Null: any."""


class StartCommand(Message):
    """Start recording a session; `sensors` maps each sensor to the vehicle whose clock stamps it."""

    request_id: Identifier
    action: Literal["start"] = "start"
    mission: Mission
    sensors: Annotated[dict[SensorName, Vehicle], Field(max_length=64)]
    """Vehicle by sensor; none means every vehicle."""


class StopCommand(Message):
    """Stop the session named in the topic."""

    request_id: Identifier
    action: Literal["stop"] = "stop"


SessionWord = Literal["recording", "stopped", "refused", "failed"]


class SessionState(Message):
    """The state of a session at its recorder, retained; also the answer to the command `request_id`."""

    schema_version: Version = 1
    session: Session
    request_id: Identifier | None
    """Of the command that this answers."""
    state: SessionWord | OtherWord
    """`failed`: nothing can be written, arriving data is kept in memory. `refused` is not retained. Any
    other word is of a later version: it is neither of these."""
    path: str | None
    """The session's folder relative to the recorder's root."""
    mission: str | None
    sensors: dict[str, str]
    exchanges: Count
    """Exchanges recorded, of all vehicles."""
    last_exchange_at: UtcInstant | None
    """When the newest recorded exchange finished, by topside's clock."""
    alarm: str | None
    """A sentence: why nothing is recorded, or not everything."""
    error: str | None
    """A sentence: why the command was refused, or the session cannot be written."""
    recorder: Annotated[str, Field(max_length=63)] | None = None
    """Its name: `recorder/{recorder}/status` says whether it is there. Null: not known."""
    started_at: UtcInstant | None = None
    """When it was started, by the recorder's clock. Null: not known."""
    closing: bool = False
    """Of a stopped session: whether exchanges are still awaited, or its track is being computed."""


Path = Literal["mqtt", "udp", "http"]
"""The way of the exchanges between topside and vehicle."""
State = Literal["acquiring", "locked", "holdover", "stale", "unsynced"]


class OffsetResult(Message):
    """The retained result: the offset of the vehicle's clock to topside's at `measured_at`.

    Offsets are Pi − topside, positive when the Pi is ahead. Absent is null, never 0.
    """

    schema_version: Version = 1
    vehicle: Vehicle
    topside: Topside
    method: MethodName = MQTT.name
    """How the newest exchange was made: `mqtt_exchange_v1`, `udp_exchange_v1`, `ntp_handshake_v1` (HTTP)."""
    path: Path | OtherWord | None = None
    """The way of exchanges: directly by `udp` while those come, else `mqtt` or `http`. Null: not known."""
    state: State | OtherWord
    """`acquiring`: too few exchanges, or too wide a bound. `holdover`: no exchange for 3 s. `stale`: max
    error above 25 ms, or no exchange for 15 minutes. `unsynced`: no estimate. Limits are settings. Any other
    word is of a later version, and is as little trusted as these."""
    offset_ms: Milliseconds | None
    """Pi − topside, positive when the Pi is ahead, in ms."""
    lower_ms: Milliseconds | None
    """The true offset is not below this, ms."""
    upper_ms: Milliseconds | None
    """The true offset is not above this, ms."""
    max_error_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """The largest possible error of `offset_ms`, ms."""
    u95_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """95 % half-width of `offset_ms`, ms: `precision_ms` and what the path's asymmetry may be."""
    precision_ms: Annotated[Milliseconds, Field(ge=0)] | None = None
    """Statistical 95 % half-width of `offset_ms`, if both directions have the same minimum delay; ms."""
    drift_ppm: Ppm | None
    """Rate of the offset of the RAW clocks, positive when the Pi's runs fast, ppm."""
    drift_error_ppm: Annotated[Ppm, Field(ge=0)] | None
    """Its 95 % half-width, ppm."""
    delay_min_ms: Annotated[Milliseconds, Field(ge=0)] | None
    """Minimum round trip in the window in use, less the Pi's processing time; ms."""
    exchanges: Count
    """Exchanges in the window in use."""
    rejected: Count
    """Exchanges refused since the agent started."""
    segment: Count
    """The number of this segment, from 0: a segment has no clock step, suspend or reboot."""
    steps: Count
    """Clock steps since the agent started."""
    boot_id: Identifier | None
    """The Pi's."""
    measured_at: UtcInstant | None
    """Topside's realtime at which `offset_ms` holds."""
    measured_unix_ms: Annotated[int, Field(ge=0, le=LATEST_NS // 10**6)] | None
    """The same in ms since the Unix epoch."""
    age_s: Annotated[float, Field(ge=0, le=LATEST_NS // 10**9)] | None
    """Seconds from the end of the last exchange to `measured_at`."""
    conditional: bool = False
    """Whether `measured_at` is later than the Pi's last reading: then it holds unless the Pi's clock was set
    or slewed since."""
    interval_s: Annotated[float, Field(gt=0, le=600)] | None = None
    """The next result is due within this many seconds; null: not known."""
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Exchanges a second with each vehicle at present: fewer than set while topside has more to do than time.
    Null over HTTP, and where it is not known."""
    instance_id: Identifier | None = None
    """Of topside's process. Two at a time are two topsides of one name; null: not known."""
    duplicates: Annotated[tuple[DuplicateSpan, ...], Field(max_length=MAX_DUPLICATES)] | None = None
    """When two vehicles answered to this name, since this process of topside began, oldest first; null: at no
    time that is known."""
    error: ErrorWord | OtherWord | None


def _command_tag(command: object) -> str:
    """`burst`, `exchanges` or `clock`: what a command asks for."""
    keys = command if isinstance(command, dict) else getattr(command, "__dict__", {})
    return str(keys.get("what", "exchanges") if keys.get("action") == "resend" else keys.get("action"))


TopsideCommand = Annotated[
    Annotated[BurstCommand, Tag("burst")]
    | Annotated[ResendCommand, Tag("exchanges")]
    | Annotated[ClockResendCommand, Tag("clock")],
    Discriminator(_command_tag),
]
"""A command to a topside."""

VehicleCommand = ClockResendCommand
"""A command to a vehicle's agent."""

SessionCommand = Annotated[StartCommand | StopCommand, Field(discriminator="action")]
"""A command to a recorder."""
