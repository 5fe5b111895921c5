"""The doctor's settings: the connection's, and the folder and the port of agents on this computer."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from broker.settings import ConnectionSettings


class DoctorSettings(ConnectionSettings):
    """How to reach the broker, and which folder and port to check."""

    root: Path | None = Field(None, description="Recorder's folder to check")
    hardware_stamps: bool = Field(
        default=False, description="Warn if this computer's network hardware cannot stamp datagrams"
    )
    http_port: int = Field(9150, ge=1, le=65535, description="The Pi agent's HTTP port to check")
