"""`tidesync forget`: clear what the broker has retained of a vehicle, and look whether it is gone."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from runtime.clock import SystemClock, read
from schemas.names import vehicle_name
from tidesync.client import connected
from tidesync.errors import NotSoError
from tidesync.fleet.forgetting import ForgetSettings, Sweep, presence
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTLE_S = 1.5
"""A topside that goes on measuring publishes again within a second."""
_CONNECT_S = 5.0


@click.command("forget")
@click.argument("vehicle")
@click.option("--force", is_flag=True, help="Even while the vehicle is online or being measured.")
@with_settings(ForgetSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(settings: ForgetSettings, *, vehicle: str, force: bool, as_json: bool) -> int:
    """Clear VEHICLE's retained status, info and results, and its device in Home Assistant.

    Exit code 1 when the vehicle is still about, or when something is still there afterwards.
    """
    sweep = Sweep(settings, vehicle_name(vehicle))
    with connected(sweep.connection, settings, _CONNECT_S):
        kept = sweep.kept()
        about = presence(settings.topic_root, vehicle, kept, read(SystemClock()))
        if about and not force:
            raise NotSoError(f"{about}, or forget it with --force")
        sweep.clear([*kept])
        if kept:
            time.sleep(_SETTLE_S)
        left = sweep.kept()
    cleared = [topic for topic in kept if topic not in left]
    if as_json:
        click.echo(json.dumps({"vehicle": vehicle, "cleared": cleared, "left": [*left]}))
    elif not kept:
        click.echo(f"nothing is retained of {vehicle} at broker {settings.address}")
    for topic in () if as_json else cleared:
        click.echo(f"cleared {topic}")
    if left:
        raise NotSoError(_complaint(vehicle, about, kept, left))
    return 0


def _complaint(
    vehicle: str, about: str | None, before: Mapping[str, bytes], left: Mapping[str, bytes]
) -> str:
    same = [topic for topic, payload in left.items() if before.get(topic) == payload]
    anew = [topic for topic in left if topic not in same]
    parts = []
    if same:
        parts.append(
            f"still there: {', '.join(same)}; may this account clear them?"
            " (`tidesync broker add-operator NAME --may-forget` makes one that may)"
        )
    if anew:
        parts.append(f"published again: {', '.join(anew)}; {about or _who(anew, vehicle)}")
    return "; ".join(parts)


def _who(topics: list[str], vehicle: str) -> str:
    topsides = [topic.rpartition("/")[2] for topic in topics if "/offset/" in topic]
    if topsides:
        return (
            f"{', '.join(topsides)} still measures {vehicle}: end it there, or restart it without --vehicle"
        )
    return f"{vehicle}'s agent runs: stop it first"
