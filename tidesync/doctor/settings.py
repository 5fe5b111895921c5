"""The doctor's settings: the connection's, and what an agent on this machine would be given."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from broker.settings import ConnectionSettings


class DoctorSettings(ConnectionSettings):
    """How to reach the broker, and which folder and port to look at."""

    root: Path | None = Field(None, description="Recorder's folder to look at")
    http_port: int = Field(9150, ge=1, le=65535, description="The Pi agent's HTTP port to look at")
