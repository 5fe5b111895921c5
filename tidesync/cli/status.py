"""`tidesync status`: every vehicle's newest result, and the sessions, once."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from broker.settings import ConnectionSettings
from runtime.clock import SystemClock, read
from schemas.compat import UTC
from schemas.doubtful import for_people, is_doubtful
from schemas.messages import OffsetResult
from schemas.names import vehicle_name
from tidesync.cli.session import documents, listing
from tidesync.client import retained
from tidesync.errors import NotSoError, named
from tidesync.figures import ago, in_columns
from tidesync.fleet.duplicates import sentence
from tidesync.fleet.model import KINDS, Fleet
from tidesync.fleet.order import worst_first
from tidesync.fleet.vehicle import path_of, topsides_twice
from tidesync.sessions.client import recorders_online
from tidesync.settings import with_settings
from tidesync.terminal.folding import MANY, Folded, folded
from tidesync.terminal.text import drift_figures, offset_figures, remarks_of, state_of, tracking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.base import Message
    from schemas.messages import SessionState
    from tidesync.fleet.vehicle import Row

_SENTENCES = 5
"""Results in doubt that are described; more are counted."""


@click.command("status")
@click.argument("vehicle", required=False)
@with_settings(ConnectionSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--all", "show_all", is_flag=True, help="List each vehicle, also of a large fleet those that are locked."
)
def command(settings: ConnectionSettings, *, vehicle: str | None, as_json: bool, show_all: bool) -> int:
    """Show what the broker has retained of every vehicle, topside and session; of VEHICLE in full.

    Of more than 20 results those that need a look are listed, the worst first, and the others counted.

    Exit code 1 when that could not be found out, when nothing is known of VEHICLE, or when two vehicles or
    two topsides have one name now.
    """
    wanted = named("VEHICLE", vehicle_name, vehicle) if vehicle else None
    found, now = retained(settings, KINDS), read(SystemClock())
    fleet, several, settings = Fleet.of(found.letters), settings.has_several, found.settings
    rows = [row for row in fleet.rows(now) if wanted in {None, row.vehicle}]
    if wanted and not rows:
        raise NotSoError(f"nothing is known of vehicle {wanted} at broker {settings.address}")
    if as_json:
        click.echo(json.dumps(_document(fleet, rows, settings)))
    elif wanted:
        click.echo("\n\n".join(tracking(row) for row in rows))
    else:
        click.echo(_overview(fleet, rows, settings, show_all=show_all))
        click.echo(f"\nBroker: {settings.address}" if several else "", nl=several)
    current = [row.result for row in rows if row.result and row.fresh]
    if doubtful := [result for result in current if is_doubtful(result.error)]:
        sentences = [*dict.fromkeys(map(sentence, doubtful))]
        more = len(sentences) - _SENTENCES
        raise NotSoError("; ".join(sentences[:_SENTENCES] + ([f"and {more} more"] if more > 0 else [])))
    return 0


def _document(fleet: Fleet, rows: Sequence[Row], settings: ConnectionSettings) -> dict[str, object]:
    return {
        "broker": str(settings.address),
        "vehicles": [_vehicle(row) for row in rows],
        "topsides": [{"topside": name, "status": status} for name, status in sorted(fleet.topsides.items())],
        "sessions": documents(*_sessions(fleet, settings)),
    }


def _vehicle(row: Row) -> dict[str, Any]:
    """The result's keys, null where nobody measures it; then what else is known."""
    result = _plain(row.result) if row.result else dict.fromkeys(OffsetResult.model_fields)
    known = {
        "status": row.status,
        "info": _plain(row.info) if row.info else None,
        "in_use": row.in_use and row.fresh,
    }
    age_s = None if row.age_s is None else round(row.age_s, 3)
    return result | {"vehicle": row.vehicle, "measured_ago_s": age_s} | known


def _plain(payload: Message) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(payload.encode())
    return plain


def _overview(fleet: Fleet, rows: Sequence[Row], settings: ConnectionSettings, *, show_all: bool) -> str:
    listed = Folded(worst_first(rows) if len(rows) > MANY else rows, ()) if show_all else folded(rows)
    nobody = f"no vehicle is known at broker {settings.address}"
    parts = [_table(listed.rows, listed.lines) if rows else nobody]
    if fleet.topsides or rows:
        parts.append(_topsides(fleet, rows))
    states, now, online = _sessions(fleet, settings)
    if states:
        parts.append(listing(states, now, online))
    return "\n\n".join(parts)


def _sessions(
    fleet: Fleet, settings: ConnectionSettings
) -> tuple[list[SessionState], datetime, dict[str, bool]]:
    """Every session's state, this instant, and which recorders are online."""
    states = [entry.state for entry in fleet.sessions()]
    return states, datetime.now(UTC), recorders_online(settings) if states else {}


def _table(rows: Sequence[Row], lines: Sequence[str] = ()) -> str:
    heads = (
        "VEHICLE",
        "STATUS",
        "BY",
        "STATE",
        "PATH",
        "OFFSET MS",
        "MAX ERROR",
        "95 % ERROR",
        "DRIFT PPM",
        "STEPS",
    )
    cells, remarks = [_columns(row) for row in rows], [remarks_of(row) for row in rows]
    table = in_columns((*heads, "MEASURED"), cells, remarks)
    table = "\n".join([*([table] if rows else []), *lines])
    return f"{table}\n\nAges are by this computer's clock."


def _columns(row: Row) -> tuple[str, ...]:
    known, result = (row.vehicle, row.status or "-"), row.result
    if result is None:
        return (*known, "nobody", "-", "-", "-", "-", "-", "-", "-", "never")
    result = for_people(result)
    figures, steps = offset_figures(result, 4), str(result.steps)
    drift, _ = drift_figures(result)
    state = state_of(result, old=row.old)
    return (*known, result.topside, state, path_of(result), *figures, drift, steps, ago(row.age_s))


def _topsides(fleet: Fleet, rows: Sequence[Row]) -> str:
    twice = topsides_twice(rows)
    statuses = ", ".join(
        f"{name} {status}{' (two of this name)' if name in twice else ''}"
        for name, status in sorted(fleet.topsides.items())
    )
    return f"Topsides: {statuses or 'none known'}"
