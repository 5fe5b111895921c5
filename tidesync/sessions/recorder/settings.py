"""The recorder's settings, each with its unit and range."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from broker.budgets import BudgetSettings
from broker.settings import AgentSettings, MetricsSettings
from schemas.names import topside_name

RecorderName = Annotated[str, AfterValidator(topside_name)]
"""Follows the rule for topsides' names; it becomes part of the MQTT client id."""


class RecorderSettings(BudgetSettings, MetricsSettings, AgentSettings):
    """Where to write, and how patiently."""

    root: Path = Field(description="Folder that holds the missions' folders")
    name: RecorderName = Field("main", description="This recorder's name, stable: the broker keeps for it")
    update_s: float = Field(
        1.0, ge=0.1, le=60, description="Seconds between looks at what is missing, and at the disk"
    )
    metadata_s: float = Field(
        30.0,
        ge=0.1,
        le=3600,
        description="Seconds between writes of sync_metadata.json while nothing but its numbers changes",
    )
    alarm_s: float = Field(
        8.0, ge=0.5, le=3600, description="Seconds without an exchange of a vehicle until the alarm"
    )
    stop_wait_s: float = Field(
        1.5, ge=0, le=30, description="Seconds to wait for the last exchanges at a stop"
    )
    memory_exchanges: int = Field(
        100_000,
        ge=100,
        le=10_000_000,
        description="Lines held in memory while the disk takes none; what comes later is asked for again",
    )
