"""`tidesync topside`: the surface agent in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from broker.settings import warn_of_other_name
from runtime.clock import SystemClock
from runtime.lifecycle import run_agent
from runtime.memory import collect_rarely
from runtime.metrics_server import metrics_served
from tidesync.cli.simulation import with_simulation
from tidesync.settings import with_settings
from topside_agent.group.agent import GroupAgent
from topside_agent.metrics import topside_families
from topside_agent.settings import TopsideSettings
from topside_agent.shared_state.agent import SharingAgent
from topside_agent.shared_state.writer import shared_file

if TYPE_CHECKING:
    from runtime.clock import Clock


@click.command("topside")
@with_simulation
@with_settings(TopsideSettings)
def command(settings: TopsideSettings, *, clock: Clock) -> int:
    """Measure every vehicle that is online, or those given, and publish the results."""
    warn_of_other_name(settings.account, "topside", settings.topside)
    shared = shared_file(settings.shared_state) if isinstance(clock, SystemClock) else None
    agent = GroupAgent(settings, clock) if shared is None else SharingAgent(settings, clock, shared)
    collect_rarely()
    with metrics_served(
        settings.metrics_host, settings.metrics_port, lambda: topside_families(agent.counts())
    ):
        return run_agent(agent, settings.heartbeat_file)
