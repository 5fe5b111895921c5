"""How the vehicle's agent is doing, as it tells Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.metrics import AgentCounts, agent_families

if TYPE_CHECKING:
    from pi_agent.health import Health
    from runtime.metrics import Families


def pi_families(health: Health) -> Families:
    """All that a vehicle tells."""
    families = agent_families(
        AgentCounts("pi", health.broker_connected, health.reconnects, health.messages_dropped)
    )
    vehicle = health.vehicle
    families.counter(
        "tidesync_pings_answered", "Pings that were answered.", health.pings_answered, vehicle=vehicle
    )
    families.gauge(
        "tidesync_last_ping_age_seconds",
        "Time since the last answered ping; absent before the first.",
        health.last_ping_age_s,
        vehicle=vehicle,
    )
    families.counters(
        "tidesync_clock_changes",
        "Times the wall clock was stepped or the machine slept, by kind.",
        "kind",
        health.clock_changes,
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_clock_synchronized",
        "Whether something (NTP) disciplines this machine's wall clock.",
        float(health.clock_synchronized),
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_clock_simulated",
        "Whether the clock is a pretended one.",
        float(health.simulated),
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_uptime_seconds", "Time since the agent started.", health.uptime_s, vehicle=vehicle
    )
    return families
