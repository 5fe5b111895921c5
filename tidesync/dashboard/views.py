"""What the dashboard's HTTP interface answers and takes: the models of its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import OtherWord
from schemas.exchange import Identifier
from schemas.instants import UtcInstant
from schemas.messages import ErrorWord, SensorName, SessionWord, State
from schemas.names import Mission, Session, Topside, Vehicle
from tidesync.fleet.history import HistoryState


class View(BaseModel):
    """An answer. Absent is null, never 0. Ages are in s, by the dashboard's own clock."""

    model_config = ConfigDict(frozen=True)


class RequestBody(BaseModel):
    """A request; unknown keys are refused, so that a misspelt one is not ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LastEvent(View):
    """The newest clock step or suspend that a vehicle has reported."""

    kind: Literal["step", "suspend"]
    step_ms: float
    age_s: float


class VehicleView(View):
    """A vehicle as one topside measures it; a vehicle that two topsides measure is listed twice."""

    vehicle: str
    topside: str | None = Field(description="The topside that measures it; null if none does")
    state: State | OtherWord | None = Field(
        description="Null when there is no current result: then only `last_state` is known"
    )
    last_state: State | OtherWord | None = Field(
        description="The last state that was reported, however long ago"
    )
    fresh: bool = Field(description="Whether the numbers are current; else they are the last known ones")
    fresh_s: float | None = Field(description="The result counts as old when it is older than this")
    error: ErrorWord | OtherWord | None = Field(
        description="Of a word that is not in the list, as of a duplicate, no number is to be relied on"
    )
    offset_ms: float | None = Field(description="Pi − topside at `measured_at`; positive: the Pi is ahead")
    lower_ms: float | None
    upper_ms: float | None
    max_error_ms: float | None
    u95_ms: float | None
    conditional: bool | None = Field(
        description="Whether it holds only unless the vehicle's clock was set or slewed since its last answer"
    )
    drift_ppm: float | None
    drift_error_ppm: float | None
    delay_min_ms: float | None
    exchanges: int | None
    rejected: int | None
    segment: int | None
    steps: int | None = Field(description="Since topside's agent started")
    steps_listed: int | None = Field(
        description="Those among the incidents of its history: since the dashboard started"
    )
    method: str | None
    path: str | None = Field(description="The way of its exchanges: `mqtt`, directly by `udp`, `http`")
    boot_id: str | None
    measured_at: UtcInstant | None = Field(description="By topside's clock")
    measured_unix_ms: int | None
    result_age_s: float | None = Field(
        description="Since the result arrived; null if only a retained one did"
    )
    last_seen_s: float | None = Field(description="Since the vehicle last answered")
    state_for_s: float | None = Field(description="How long `last_state` has lasted")
    state_for_at_least: bool = Field(description="`last_state` was there already when the dashboard started")
    online: bool | None = Field(description="The vehicle's own status, a hint; null if it has reported none")
    topside_online: bool | None
    group: str | None = Field(None, description="Of topsides that share vehicles; null: it shares none")
    in_use: bool = Field(
        False,
        description="Whether of the vehicle's results this one is to be used while it is `fresh`: of several"
        " topsides' results the one with the least bound that is not in doubt",
    )
    recording: tuple[str, ...] = Field(description="Sessions that record it")
    last_event: LastEvent | None
    simulated: bool | None
    clock_synchronized: bool | None
    clock_free: bool | None = Field(description="Whether nothing disciplines the vehicle's clock")
    clock: str | None = Field(description="Who disciplines it and how fast it may move, for people")
    version: str | None = Field(description="Of the vehicle's agent")


class SessionView(View):
    """A session as its recorder last reported it."""

    session: str
    state: SessionWord | OtherWord
    request_id: str | None
    path: str | None = Field(description="The session's folder relative to the recorder's root")
    mission: str | None
    sensors: dict[str, str] = Field(description="Which vehicle's clock stamps a sensor; empty: every vehicle")
    exchanges: int
    last_exchange_at: UtcInstant | None
    alarm: str | None
    error: str | None
    started_at: UtcInstant | None = Field(description="By the recorder's clock; null: not known")
    closing: bool = Field(
        False, description="Of a stopped session: its last exchanges and its track are still being written"
    )
    told_s: float | None = Field(
        description="Since its recorder reported it; a running one does so at least every 5 s"
    )


class StartedView(SessionView):
    """A session that has just begun."""

    warnings: tuple[str, ...] = Field(description="What is unusual about the request; it is recorded anyway")


class BrokerView(View):
    """The dashboard's connection to the broker."""

    connected: bool
    address: str
    problem: str | None = Field(
        description="Why there is no connection, or what the broker refuses to this account over it"
    )
    silent_s: float | None = Field(description="Since anything arrived; null if nothing has yet")


class ComputerView(View):
    """The dashboard's own computer, which on a boat is topside's as well."""

    unix_ms: int = Field(description="Its time of day, ms since the Unix epoch")
    clock: str | None = Field(
        description="Who disciplines its clock and how fast it may move, for people; null: not known"
    )
    clock_free: bool | None = Field(description="Whether nothing disciplines it")
    free_bytes: int | None = Field(description="Free space where sessions are written; null without `--root`")


class FleetView(View):
    """Every vehicle, and the connection that it was heard over."""

    broker: BrokerView
    computer: ComputerView
    vehicles: tuple[VehicleView, ...]
    not_shown: int = Field(0, description="Vehicles there is no room for: they are not in the list")


class SessionsView(View):
    """Every session that the broker knows of."""

    broker: BrokerView
    sessions: tuple[SessionView, ...]


class IncidentView(View):
    """Something that happened to a vehicle, for people to read."""

    at_unix_ms: float
    kind: Literal["step", "suspend", "state", "reboot", "online", "offline"]
    text: str


class HistoryView(View):
    """The last hours in columns of one length; instants, of the results, in ms by the dashboard's clock."""

    vehicle: str
    topside: str
    instance: str = Field(description="If it differs, the dashboard was restarted: ask without `after`")
    last: int = Field(description="Give this as `after` to get only what is newer")
    now_unix_ms: float
    at_unix_ms: list[float]
    offset_ms: list[float | None]
    lower_ms: list[float | None]
    upper_ms: list[float | None]
    max_error_ms: list[float | None]
    drift_ppm: list[float | None]
    delay_min_ms: list[float | None]
    segment: list[int]
    state: list[HistoryState]
    incidents: list[IncidentView]


class AboutView(View):
    """What this dashboard is, and whether it takes commands."""

    version: str
    instance: str = Field(description="One for each start of the dashboard")
    may_command: bool
    products: bool = Field(description="Whether reports and tables of stopped sessions can be made here")
    fresh_s: float = Field(
        description="Seconds after which a result counts as old, at least; see `fresh_s` of a vehicle"
    )


class CockpitView(View):
    """Where Cockpit's data lake is fed from."""

    websocket: str = Field(description="Address of the WebSocket, relative to the page's; with its token")


class HealthView(View):
    """Whether the dashboard serves, and whether it has its broker."""

    status: Literal["ok"]
    broker_connected: bool


Problem = Literal[
    "invalid",
    "unauthorized",
    "forbidden",
    "read_only",
    "not_found",
    "method_not_allowed",
    "refused",
    "too_large",
    "length_required",
    "not_json",
    "broker_unreachable",
    "recorder_failed",
    "too_many",
    "no_answer",
]


class ProblemView(View):
    """Why it was not done: a word for programs, a sentence for people."""

    error: Problem
    detail: str


class StartSession(RequestBody):
    """Begin recording a session."""

    mission: Mission = Field(description="The folder of its sessions")
    sensors: Annotated[dict[SensorName, Vehicle], Field(max_length=64)] = Field(
        default={},
        description='Which vehicle\'s clock stamps a sensor, as {"inWater": "rov1"}; empty: every vehicle',
    )
    session: Session | None = Field(
        None,
        description="Its name; else the time, as 2026-05-01T12-00-00Z; -2 is added when that is taken",
    )
    request_id: Identifier | None = Field(
        None, description="Give it, and `session`, to repeat a request safely: the recorder does it once"
    )
    timeout_s: float = Field(5.0, ge=0.1, le=60, description="Seconds to wait for the recorder's answer")


class StopSession(RequestBody):
    """End the recording of a session; its track is computed and written first."""

    request_id: Identifier | None = Field(None, description="Give it to repeat a request safely")
    timeout_s: float = Field(90.0, ge=0.1, le=300, description="Seconds to wait for the recorder's answer")


class Measure(RequestBody):
    """Measure a vehicle at once with a burst of exchanges."""

    topside: Topside | None = Field(None, description="By this topside; else by all that measure it")


class Measuring(View):
    """The topsides that were asked. They do not answer: the next results show it."""

    vehicle: str
    topsides: tuple[str, ...]


class Login(RequestBody):
    """The token, once; the browser keeps a cookie instead."""

    token: Annotated[str, Field(min_length=1, max_length=1024)]
