"""The topside agent's settings, each with its unit and range."""

from __future__ import annotations

from pydantic import Field

from broker.settings import ConnectionSettings
from schemas.names import Topside, Vehicle


class TopsideSettings(ConnectionSettings):
    """Whom to measure, how often, and when a result counts as what."""

    topside: Topside = Field("topside", description="This surface station's name in topics")
    vehicle: tuple[Vehicle, ...] = Field(
        (), description="Measure this vehicle only (repeatable); else all online"
    )
    rate: float = Field(4.0, ge=0.05, le=50, description="Exchanges a second with each vehicle")
    burst: int = Field(16, ge=8, le=200, description="Exchanges in a burst, when a vehicle appears")
    burst_interval_s: float = Field(0.02, ge=0.001, le=1, description="Seconds between them, at least")
    timeout_s: float = Field(
        2.0, ge=0.05, le=30, description="Seconds after which an unanswered ping is given up"
    )
    max_error_ms: float = Field(
        10.0, gt=0, le=10_000, description="`locked` asks for a max error below this, ms; else `acquiring`"
    )
    holdover_after_s: float = Field(
        3.0, ge=0.1, le=3600, description="Seconds without an exchange until the state is `holdover`"
    )
    stale_error_ms: float = Field(
        25.0,
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
    publish_interval_s: float = Field(1.0, ge=0.1, le=60, description="Seconds between results of a vehicle")
    backlog_s: float = Field(
        1800.0,
        ge=10,
        le=86_400,
        description="Seconds of finished exchanges kept for recorders that missed them",
    )
