"""The demo's settings, and its vehicles' simulated clocks."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from broker.settings import BrokerUrl
from runtime.clock import Clock, SimulatedClock, Step


class DemoSettings(BaseModel):
    """The demo's duration, vehicles, broker, dashboard and folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: float = Field(15.0, ge=3, le=86_400, description="Seconds to run")
    vehicles: int = Field(2, ge=1, le=100, description="Simulated vehicles, named rov1, rov2, …")
    broker: BrokerUrl | None = Field(None, description="Use this broker, not an embedded one")
    dashboard: bool = Field(default=False, description="Serve the dashboard too, and run until Ctrl-C")
    dashboard_port: int = Field(
        8780, ge=0, le=65535, description="Its port; another one when this is taken, 0 takes a free one"
    )
    root: Path | None = Field(None, description="Recorder's folder; else a new one in the data folder")


def demo_clock(number: int, base: Clock, duration_s: float) -> SimulatedClock:
    """The clock of vehicle `number` (from 1): each has its own offset and drift; every second one steps.

    The first two are −1.234567 s with +18 ppm, and +42 s with −35 ppm and a step of 3 s midway.
    """
    if number % 2:
        return SimulatedClock(base, offset_ns=-1_234_567_000 * number, drift_ppm=18.0 / number)
    midway = Step(after_s=duration_s / 2, step_ns=3_000_000_000)
    return SimulatedClock(base, 21_000_000_000 * number, -70.0 / number, steps=(midway,))
