"""`tidesync forget`: clear what the broker retains of a vehicle or topside, and check that it is gone."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from runtime.clock import SystemClock, read
from schemas.names import topside_name, vehicle_name
from tidesync.client import connected
from tidesync.errors import NotSoError, named
from tidesync.fleet.forgetting import ForgetSettings, RetainedMessages, presence
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTLE_S = 1.5
"""A topside that still measures publishes again within a second."""
_CONNECT_S = 10.0


@click.command("forget")
@click.argument("vehicle", required=False)
@click.option("--topside", metavar="NAME", help="A topside that is gone for good, instead of a vehicle.")
@click.option("--force", is_flag=True, help="Clear it even while it is online, measured or measuring.")
@with_settings(ForgetSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    settings: ForgetSettings, *, vehicle: str | None, topside: str | None, force: bool, as_json: bool
) -> int:
    """Clear VEHICLE's retained status, info and results, and its device in Home Assistant.

    With --topside, what a topside has left: its status, its place in a group, its results of every vehicle.

    Exit code 1 when the vehicle is online or being measured, the topside online or measuring, when something
    is still there afterwards, or when it could not be found out whether anything is.
    """
    if (vehicle is None) == (topside is None):
        raise click.UsageError("give a VEHICLE, or --topside NAME")
    if vehicle is not None:
        name = named("VEHICLE", vehicle_name, vehicle)
        messages = RetainedMessages(settings, vehicle=name)
    else:
        name = named("--topside", topside_name, topside or "")
        messages = RetainedMessages(settings, topside=name)
    with connected(messages.connection, _CONNECT_S):
        before = messages.read()
        present = presence(settings.topic_root, name, before, read(SystemClock()))
        if present and not force:
            raise NotSoError(f"{present}, or forget it with --force")
        messages.clear([*before])
        if before:
            time.sleep(_SETTLE_S + 2 * messages.round_trip_s)
        left = messages.read()
    cleared = [topic for topic in before if topic not in left]
    if as_json:
        click.echo(
            json.dumps({"vehicle" if vehicle else "topside": name, "cleared": cleared, "left": [*left]})
        )
    elif not before:
        click.echo(f"nothing is retained of {name} at broker {messages.connection.address}")
    for topic in () if as_json else cleared:
        click.echo(f"cleared {topic}")
    if left:
        raise NotSoError(_complaint(name, present, before, left))
    return 0


def _complaint(name: str, present: str | None, before: Mapping[str, bytes], left: Mapping[str, bytes]) -> str:
    own = ("/status", "/info", "/member") if present else ()  # one that runs publishes the same again
    same = [
        topic for topic, payload in left.items() if before.get(topic) == payload and not topic.endswith(own)
    ]
    again = [topic for topic in left if topic not in same]
    parts = []
    if same:
        parts.append(
            f"still there: {', '.join(same)}; may this account clear them?"
            " (`tidesync broker add-operator NAME --may-forget` makes one that may)"
        )
    if again:
        parts.append(f"published again: {', '.join(again)}; {present or _publisher(again, name)}")
    return "; ".join(parts)


def _publisher(topics: list[str], name: str) -> str:
    topsides = [topic.rpartition("/")[2] for topic in topics if "/offset/" in topic]
    if topsides and name not in topsides:
        return f"{', '.join(topsides)} still measures {name}: stop it there, or restart it without --vehicle"
    return f"{name}'s agent runs: stop it first"
