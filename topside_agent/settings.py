"""The topside agent's settings, each with its unit and range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from broker.address import parse_addresses
from broker.budgets import BudgetSettings
from broker.settings import ClockHistorySettings, MetricsSettings, PingSettings
from runtime import host
from schemas.compat import Self
from schemas.metadata import CONSUMER_TOLERANCE_MS
from schemas.names import Group, Topside, made_valid, vehicle_name
from topside_agent.http_fallback.http_get import parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topside_agent.estimator import EstimatorSettings


def _split(choice: str) -> tuple[str, str | None]:
    name, equals, url = choice.partition("=")
    return name, url if equals else None


def _checked(choice: str) -> str:
    name, url = _split(choice)
    vehicle_name(name)
    if url is not None:
        parse_url(url)
    return choice


VehicleChoice = Annotated[str, AfterValidator(_checked)]
"""`rov1`, or `rov1=http://192.168.2.2:9150` to fall back on that address."""


def _account(settings: Mapping[str, Any]) -> str | None:
    """The account's name among settings that are valid so far."""
    broker = settings.get("broker")
    return settings.get("username") or (parse_addresses(broker)[0].username if broker else None)


def own_name(account: str | None) -> str:
    """The name of a topside that was given none; ValueError where two could come by the same.

    A name that changes leaves old retained results at the broker.
    """
    if account is not None and (name := made_valid(account)):
        return name
    if host.in_container():
        raise ValueError("it must be given in a container, whose host name changes: --topside NAME")
    name = made_valid(host.host_name())
    if name in {None, "localhost"}:
        raise ValueError(
            f"it must be given: --topside NAME, since {host.host_name()!r} is no name of this computer alone"
        )
    return str(name)


class TopsideSettings(BudgetSettings, MetricsSettings, ClockHistorySettings, PingSettings):
    """Which vehicles to measure, how often, and when a result is in which state."""

    topside: Topside = Field(
        None,
        validate_default=True,
        description="This surface station's name in topics, its own  [default: its account's, else this "
        "computer's name; in a container it must be given]",
    )
    vehicle: tuple[VehicleChoice, ...] = Field(
        (),
        description="Measure this vehicle only (repeatable); else all online. As rov1=http://HOST:9150 it is "
        "measured over HTTP while MQTT does not reach it",
    )
    rate: float = Field(
        4.0,
        ge=0.05,
        le=50,
        description="Exchanges a second with each vehicle; fewer while this computer cannot do so many, as "
        "each result says",
    )
    group: Group | None = Field(
        None,
        description="Share the vehicles with the other topsides that are given this name: each vehicle is "
        "measured by one of them, and by another if that one fails",
    )
    for_pair: bool = Field(
        default=False,
        description="On a vehicle's computer, for `tidesync pair`: measure the vehicles that are named, and "
        "publish exchanges without results, which others would take for the surface's",
    )
    weight: float = Field(
        1.0,
        ge=0.01,
        le=1000,
        description="This topside's part in its group: its share is its weight over the sum of all weights",
    )
    burst: int = Field(16, ge=8, le=200, description="Exchanges in a burst, when a vehicle appears")
    burst_interval_s: float = Field(0.02, ge=0.001, le=1, description="Seconds between them, at least")
    timeout_s: float = Field(
        2.0, ge=0.05, le=30, description="Seconds after which an unanswered ping is given up"
    )
    max_error_ms: float = Field(
        10.0, gt=0, le=10_000, description="`locked` asks for a max error below this, ms; else `acquiring`"
    )
    lock_exchanges: int = Field(
        8,
        ge=2,
        le=1000,
        description="Exchanges since a reboot or clock fault until `locked`: fewer leave the drift vague",
    )
    holdover_after_s: float = Field(
        3.0, ge=0.1, le=3600, description="Seconds without an exchange until the state is `holdover`"
    )
    stale_error_ms: float = Field(
        CONSUMER_TOLERANCE_MS,
        gt=0,
        le=100_000,
        description="`stale` once the max error has grown above this, ms: the consumer's limit",
    )
    stale_after_s: float = Field(
        900.0,
        ge=0.1,
        le=86_400,
        description="`stale` at the latest after so many seconds without an exchange",
    )
    publish_interval_s: float = Field(
        1.0,
        ge=0.1,
        le=60,
        description="Seconds between results of a vehicle; five of over 200, while it is locked and rests",
    )
    backlog_s: float = Field(
        1800.0,
        ge=10,
        le=86_400,
        description="Seconds of finished exchanges kept for recorders that missed them",
    )
    handshake_interval_s: float = Field(
        2.0,
        ge=0.2,
        le=3600,
        description="Seconds between handshakes over HTTP with a vehicle that MQTT does not reach",
    )

    rate_limit_ppm: float = Field(
        100_000.0,
        gt=0,
        le=100_000,
        description="Promise that no vehicle's RAW clock runs faster apart from this one's, ppm: a smaller "
        "one narrows the first seconds",
    )
    asymmetry_share: float = Field(
        0.05, ge=0, le=1, description="Share of half the least round trip that u95 includes for unequal ways"
    )
    asymmetry_ms: float = Field(
        0.0,
        ge=-10_000,
        le=10_000,
        description="Least delay out less that back, if known, ms: half of it is taken off the offset",
    )
    no_udp: bool = Field(
        default=False,
        description="Measure over the broker alone, not directly by UDP where vehicles answer it",
    )
    hardware_stamps: bool = Field(
        default=False,
        description="Have the network hardware stamp vehicles' datagrams, where it can stamp every one;"
        " turning that on needs CAP_NET_ADMIN",
    )
    shared_state: Path | None = Field(
        None,
        description="File in memory for tidesync.interval() in this computer's programs, or off  [default: "
        "state in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/tidesync or /run/tidesync]",
    )

    homeassistant_discovery: bool = Field(
        default=False, description="Have Home Assistant discover each vehicle as a device"
    )
    homeassistant_prefix: str = Field(
        "homeassistant",
        pattern=r"^[^+#\s\x00]{1,100}$",
        description="Home Assistant's discovery prefix",
    )
    blueos_mirror: bool = Field(
        default=False,
        description="Each second publish the newest results as one flat message too, for BlueOS's "
        "telemetry: blueos/ext/tidesync-TOPSIDE/json",
    )

    @field_validator("topside", mode="before")
    @classmethod
    def _of_its_own(cls, given: object, info: ValidationInfo) -> object:
        return own_name(_account(info.data)) if given is None else given

    @field_validator("vehicle")
    @classmethod
    def _each_once(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        seen: set[str] = set()
        for choice in choices:
            name = _split(choice)[0]
            if name in seen:
                raise ValueError(f"vehicle {name} is given twice, received {choice!r}")
            seen.add(name)
        return choices

    @model_validator(mode="after")
    def _group_measures_all(self) -> Self:
        if self.group is not None and self.vehicle:
            raise ValueError(
                f"group {self.group} is given with vehicle {', '.join(self.vehicle)}: the topsides of a group"
                " share all vehicles that are online"
            )
        return self

    @model_validator(mode="after")
    def _pairs_what_is_named(self) -> Self:
        if not self.for_pair:
            return self
        if not self.vehicle:
            raise ValueError("for_pair names no vehicle to measure: --vehicle NAME")
        for name in ("homeassistant_discovery", "blueos_mirror"):
            if getattr(self, name):
                raise ValueError(f"for_pair is given with {name}, and publishes no results")
        return self

    @property
    def estimator(self) -> EstimatorSettings:
        """What the estimators are set to."""
        from topside_agent.estimator import EstimatorSettings  # noqa: PLC0415 - a Pi has no numpy

        return EstimatorSettings(
            rate_limit_ppm=self.rate_limit_ppm,
            asymmetry_share=self.asymmetry_share,
            asymmetry_ms=self.asymmetry_ms,
        )

    @property
    def vehicles(self) -> tuple[str, ...]:
        """The names of the vehicles to measure; empty means all that are online."""
        return tuple(_split(choice)[0] for choice in self.vehicle)

    @property
    def http_urls(self) -> dict[str, str]:
        """The URLs for HTTP, by vehicle."""
        return {name: url for name, url in map(_split, self.vehicle) if url is not None}
