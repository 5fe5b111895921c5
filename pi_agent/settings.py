"""The settings of the vehicle's agent."""

from __future__ import annotations

from pydantic import Field

from broker.settings import AgentSettings, ClockHistorySettings
from schemas.names import Vehicle


class PiSettings(ClockHistorySettings, AgentSettings):
    """Which vehicle this is, how to reach the broker, and whether to serve HTTP beside MQTT."""

    vehicle: Vehicle = Field(description="This vehicle's name: small letters, digits, '_', '-'")
    http_host: str = Field(
        "0.0.0.0",  # noqa: S104 - topside asks over the tether; the clock is all that can be read
        min_length=1,
        max_length=255,
        description="Address to serve GET /api/sync/time on",
    )
    http_port: int = Field(
        9150,
        ge=1,
        le=65535,
        description="TCP port of GET /api/sync/time; taken: an error when set, else MQTT alone",
    )
    no_http: bool = Field(default=False, description="Answer over MQTT alone")

    @property
    def http_port_wanted(self) -> bool:
        """Whether somebody set the port: then it must be had; the default may be taken."""
        return "http_port" in self.model_fields_set
