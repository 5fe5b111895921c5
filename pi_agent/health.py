"""The state of the vehicle's agent: what `/health` answers."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.names import Topside, Vehicle


class Health(BaseModel):
    """The agent's state at one moment; the process answers, so `status` is `ok` without a broker too."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok"] = "ok"
    vehicle: Vehicle
    version: str
    broker: str
    broker_connected: bool
    broker_problem: str | None
    """Why there is no connection, or what the broker refuses to this account over it."""
    topics_refused: tuple[str, ...] = ()
    """Topics that the broker refuses to this account, or of which nothing comes back that it publishes."""
    uptime_s: float
    reconnects: int
    """Times the connection to the broker came back."""
    pings_answered: int
    messages_dropped: dict[str, int]
    """By reason: `invalid`, `flood`, `retained`, `unrepresentable`, …"""
    last_ping_topside: Topside | None
    last_ping_age_s: float | None
    clock_changes: dict[str, int]
    """By kind: `step`, `suspend`."""
    clock_synchronized: bool
    """Whether the kernel calls the clock synchronized."""
    clock: str = "not known who disciplines it"
    """Who disciplines it and how fast it may move, for people."""
    udp_port: int | None = None
    """Where it is measured directly; null: nowhere."""
    datagrams_answered: int = 0
    datagrams_dropped: dict[str, int] = {}
    """Datagrams that were not answered, by reason."""
    simulated: bool


class HealthSource(Protocol):
    """Gives its state to any thread."""

    def health(self) -> Health:
        """The state now."""
