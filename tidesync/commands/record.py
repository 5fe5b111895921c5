"""`tidesync record`: the recorder in the foreground."""

from __future__ import annotations

import click

from broker.clock import SystemClock
from tidesync.errors import SettingsError
from tidesync.running.lifecycle import run_agent
from tidesync.running.metrics_server import metrics_served
from tidesync.settings import with_settings
from topside_agent.recorder.agent import RecorderAgent
from topside_agent.recorder.errors import UnusableRootError
from topside_agent.recorder.metrics import recorder_families
from topside_agent.recorder.settings import RecorderSettings


@click.command("record")
@with_settings(RecorderSettings)
def command(settings: RecorderSettings) -> int:
    """Record every session that `tidesync session start` begins, below --root."""
    agent = RecorderAgent(settings, SystemClock())
    try:
        with metrics_served(settings, lambda: recorder_families(agent.counts())):
            return run_agent(agent, settings.heartbeat_file)
    except UnusableRootError as error:
        raise SettingsError(f"--root: {error}") from error
