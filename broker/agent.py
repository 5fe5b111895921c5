"""The base of every agent: what the process around it asks, answered by the agent's one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.metrics import AgentCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import MqttConnection
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
        return (self._connection.loop,)

    @property
    def status_text(self) -> str:
        """The state of the connection to the broker, in words."""
        return self._connection.status_text

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`; None waits for ever."""
        return self._connection.wait_until_finished(timeout_s)


def agent_counts(role: Role, connection: MqttConnection, dropped: Mapping[str, int]) -> AgentCounts:
    """The counts of an agent with this connection; `dropped` is copied, its owner continues to count."""
    refusal = connection.refusal
    refused = len(refusal.filters) + len(refusal.topics) if refusal else 0
    return AgentCounts(
        role, connection.up, connection.reconnects, dict(dropped), refused, str(connection.address)
    )
