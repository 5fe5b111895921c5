"""`tidesync watch`: results, states and events as they come: a live table, plain lines, or JSON Lines."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import click

from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas.names import vehicle_name
from tidesync.errors import named
from tidesync.fleet.model import Fleet
from tidesync.settings import with_settings
from tidesync.terminal.listener import BrokerChange, Ended, Listener
from tidesync.terminal.text import json_broker_line, json_line, plain_broker_line, plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAIT_S = 0.5


@click.command("watch")
@click.option(
    "--vehicle", "vehicles", multiple=True, metavar="V", help="Watch this vehicle only (repeatable)."
)
@with_settings(ConnectionSettings)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines: one object for each message.")
def command(settings: ConnectionSettings, *, vehicles: Sequence[str], as_json: bool) -> int:
    """Show results, states and events as they come, until interrupted.

    A live table in a terminal; one line each when the output goes elsewhere; times are by this computer's
    clock. A broker that is away is
    reported at once and waited for.
    """
    ended = Ended()
    signal.signal(signal.SIGTERM, ended.set)
    listener = Listener(
        settings, "tidesync-watch", [named("--vehicle", vehicle_name, name) for name in vehicles]
    )
    with listener.listening():
        if as_json or not sys.stdout.isatty():
            _lines(listener, ended, as_json=as_json)
        else:
            from tidesync.terminal.screen import show  # noqa: PLC0415 - rich is not everywhere

            show(listener, ended)
    return 0


def _lines(listener: Listener, ended: Ended, *, as_json: bool) -> None:
    fleet, clock = Fleet(), SystemClock()
    while not ended.is_set():
        if listener.failure:
            raise listener.failure
        heard = listener.next(_WAIT_S)
        if isinstance(heard, BrokerChange):
            at_ns, address = clock.realtime_ns(), listener.connection.address
            line = json_broker_line(heard, at_ns) if as_json else plain_broker_line(heard, address, at_ns)
            print(line, flush=True)
        elif heard is not None and fleet.take(heard) == "new":
            print(json_line(heard) if as_json else plain_line(fleet.as_known(heard)), flush=True)
