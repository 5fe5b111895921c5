"""`tidesync broker`: the embedded broker in the foreground; accounts and certificates for mosquitto."""

from __future__ import annotations

import click

from broker.accounts.folder import AccountSettings
from broker.settings import EmbeddedBrokerSettings
from runtime.lifecycle import run_until_stopped
from tidesync.cli.broker_accounts import commands
from tidesync.cli.broker_certificates import make_certs
from tidesync.settings import with_settings


class BrokerSettings(EmbeddedBrokerSettings, AccountSettings):
    """Every setting of the command and its subcommands: what `[broker]` of the file may hold."""


@click.group("broker", invoke_without_command=True)
@with_settings(EmbeddedBrokerSettings)
def command(settings: EmbeddedBrokerSettings) -> int:
    """Run the embedded broker, on loopback only: for the demo, tests and benchmarks. Boats run mosquitto.

    The subcommands make accounts and certificates for mosquitto.
    """
    if click.get_current_context().invoked_subcommand:
        return 0
    from broker.embedded import EmbeddedBroker  # noqa: PLC0415 - accounts do not need amqtt

    return run_until_stopped(EmbeddedBroker(settings))


for _command in (*commands(), make_certs):
    command.add_command(_command)
