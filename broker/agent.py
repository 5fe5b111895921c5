"""The base of every agent: what the process around it asks, answered by the agent's one connection."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.settings import PingSettings
from broker.two_connections import TwoConnections
from runtime.metrics import AgentCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Callbacks, MqttConnection, Outgoing
    from broker.settings import ConnectionSettings
    from runtime.clock import Clock
    from runtime.metrics import Role
    from runtime.watchdog import Loop


class MqttAgent:
    """An agent over one connection; subclasses set `_connection`, and add `start` and `stop`."""

    _connection: MqttConnection

    @property
    def failure(self) -> Exception | None:
        """Why it ended by itself, once it has."""
        return self._connection.failure

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return self._connection.loops

    @property
    def status_text(self) -> str:
        """The state of the connection to the broker, in words."""
        return self._connection.status_text

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`; None waits for ever."""
        return self._connection.wait_until_finished(timeout_s)


def connect_agent(
    settings: ConnectionSettings,
    callbacks: Callbacks,
    clock: Clock,
    *,
    name: str,
    will: Outgoing | None = None,
    persistent: bool = False,
    gather_s: float = 0.0,
) -> MqttConnection:
    """The connection of an agent that pings or answers pings: two where its settings say so."""
    two = isinstance(settings, PingSettings) and settings.ping_connection
    kind = partial(TwoConnections if two else Connection, gather_s=gather_s)
    return kind(settings, callbacks, clock, name=name, will=will, persistent=persistent)


def agent_counts(role: Role, connection: MqttConnection, dropped: Mapping[str, int]) -> AgentCounts:
    """The counts of an agent with this connection; `dropped` is copied, its owner continues to count."""
    refusal = connection.refusal
    refused = len(refusal.filters) + len(refusal.topics) if refusal else 0
    return AgentCounts(
        role, connection.up, connection.reconnects, dict(dropped), refused, str(connection.address)
    )
