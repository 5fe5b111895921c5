"""`tidesync dashboard`: the page and the interface for programs."""

from __future__ import annotations

import click

from runtime.clock import SystemClock
from runtime.lifecycle import run_agent
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.settings import DashboardError, DashboardSettings
from tidesync.errors import SettingsError
from tidesync.settings import with_settings


@click.command("dashboard")
@with_settings(DashboardSettings)
def command(settings: DashboardSettings) -> int:
    """Serve a page that shows every vehicle's clock offset, and an interface for programs."""
    try:
        return run_agent(DashboardAgent(settings, SystemClock()), settings.heartbeat_file)
    except DashboardError as error:
        raise SettingsError(str(error)) from error
