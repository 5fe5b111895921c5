"""`tidesync dashboard`: the page and the interface for programs, in the foreground."""

from __future__ import annotations

import click

from broker.clock import SystemClock
from tidesync.errors import SettingsError
from tidesync.running.lifecycle import run_agent
from tidesync.settings import with_settings
from topside_agent.dashboard.agent import DashboardAgent
from topside_agent.dashboard.errors import DashboardError
from topside_agent.dashboard.settings import DashboardSettings


@click.command("dashboard")
@with_settings(DashboardSettings)
def command(settings: DashboardSettings) -> int:
    """Serve a page that shows how every vehicle's clock stands, and an interface for programs."""
    try:
        return run_agent(DashboardAgent(settings, SystemClock()), settings.heartbeat_file)
    except DashboardError as error:
        raise SettingsError(str(error)) from error
