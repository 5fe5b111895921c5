"""`tidesync pi`: the vehicle's agent, on this machine's clock or a simulated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from broker.settings import warn_of_other_name
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.lifecycle import run_agent
from tidesync.cli.simulation import with_simulation
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from runtime.clock import Clock


@click.command(help="Run the vehicle's agent: answer pings, serve GET /api/sync/time.")
@with_simulation
@with_settings(PiSettings)
def command(settings: PiSettings, *, clock: Clock) -> int:
    """Run the agent until SIGTERM or SIGINT."""
    warn_of_other_name(settings.account, "vehicle", settings.vehicle)
    return run_agent(PiAgent(settings, clock), settings.heartbeat_file)
