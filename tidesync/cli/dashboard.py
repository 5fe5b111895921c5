"""`tidesync dashboard`: the page and the interface for programs."""

from __future__ import annotations

import click

from runtime.clock import SystemClock
from runtime.lifecycle import run_agent
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.settings import DashboardSettings
from tidesync.settings import with_settings


@click.command("dashboard")
@with_settings(DashboardSettings)
def command(settings: DashboardSettings) -> int:
    """Serve a page that shows every vehicle's clock offset, and an interface for programs."""
    return run_agent(DashboardAgent(settings, SystemClock()), settings.heartbeat_file)
