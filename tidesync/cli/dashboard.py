"""`tidesync dashboard`: the page and the interface for programs, in the foreground."""

from __future__ import annotations

import click

from runtime.clock import SystemClock
from runtime.lifecycle import run_agent
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.errors import DashboardError
from tidesync.dashboard.settings import DashboardSettings
from tidesync.errors import SettingsError
from tidesync.settings import with_settings


@click.command("dashboard")
@with_settings(DashboardSettings)
def command(settings: DashboardSettings) -> int:
    """Serve a page that shows how every vehicle's clock stands, and an interface for programs."""
    try:
        return run_agent(DashboardAgent(settings, SystemClock()), settings.heartbeat_file)
    except DashboardError as error:
        raise SettingsError(str(error)) from error
