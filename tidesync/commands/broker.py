"""`tidesync broker`: the embedded broker in the foreground."""

from __future__ import annotations

import click

from broker.embedded import EmbeddedBroker
from broker.settings import EmbeddedBrokerSettings
from tidesync.lifecycle import run_until_stopped
from tidesync.settings import with_settings


@click.command("broker")
@with_settings(EmbeddedBrokerSettings)
def command(settings: EmbeddedBrokerSettings) -> int:
    """Run the embedded broker, on loopback only: for the demo, tests and benches. Boats run mosquitto."""
    return run_until_stopped(EmbeddedBroker(settings))
