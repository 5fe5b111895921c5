"""`tidesync record`: the recorder in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runtime.lifecycle import run_agent
from runtime.metrics_server import metrics_served
from tidesync.cli.simulation import with_simulation
from tidesync.errors import SettingsError
from tidesync.sessions.errors import UnusableRootError
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.metrics import recorder_families
from tidesync.sessions.recorder.settings import RecorderSettings
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from runtime.clock import Clock


@click.command("record")
@with_simulation
@with_settings(RecorderSettings)
def command(settings: RecorderSettings, *, clock: Clock) -> int:
    """Record every session that `tidesync session start` begins, below --root."""
    agent = RecorderAgent(settings, clock)
    try:
        with metrics_served(
            settings.metrics_host, settings.metrics_port, lambda: recorder_families(agent.counts())
        ):
            return run_agent(agent, settings.heartbeat_file)
    except UnusableRootError as error:
        raise SettingsError(f"--root: {error}") from error
