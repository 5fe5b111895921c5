"""`tidesync status`: how every vehicle's clock stands and what is being recorded, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from broker.settings import ConnectionSettings
from schemas import topics
from schemas.messages import OffsetResult, SessionState
from tidesync.columns import in_columns
from tidesync.commands.session import listing
from tidesync.one_shot import retained
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.base import Message

_OLD_S = 5.0
"""A topside that runs publishes every second."""


@click.command("status")
@with_settings(ConnectionSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(settings: ConnectionSettings, *, as_json: bool) -> int:
    """Show every vehicle's last result and every session's state, as the broker has retained them."""
    letters = retained(settings, [topics.OFFSET, topics.SESSION_STATE])
    results = [letter.body for letter in letters if isinstance(letter.body, OffsetResult)]
    states = [letter.body for letter in letters if isinstance(letter.body, SessionState)]
    if as_json:
        click.echo(json.dumps({"vehicles": _plain(results), "sessions": _plain(states)}))
        return 0
    now = datetime.now(UTC)
    click.echo(_vehicles(results, now) if results else f"no vehicle is known at broker {settings.address}")
    if states:
        click.echo("\n" + listing(states, now))
    return 0


def _plain(payloads: Sequence[Message]) -> list[object]:
    return [json.loads(payload.encode()) for payload in payloads]


def _vehicles(results: Sequence[OffsetResult], now: datetime) -> str:
    heads = ("VEHICLE", "BY", "STATE", "OFFSET MS", "MAX ERROR", "U95", "DRIFT PPM", "STEPS", "MEASURED")
    return in_columns(heads, [_columns(result, now) for result in results])


def _columns(result: OffsetResult, now: datetime) -> tuple[str, ...]:
    state = f"{result.state} ({result.error})" if result.error else result.state
    figures = (_figure(result.offset_ms, 4), _figure(result.max_error_ms, 4), _figure(result.u95_ms, 4))
    drift = _figure(result.drift_ppm, 2)
    return (result.vehicle, result.topside, state, *figures, drift, str(result.steps), _age(result, now))


def _figure(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _age(result: OffsetResult, now: datetime) -> str:
    """How long ago, by this computer's clock; a result that nobody renews is said to be old."""
    if result.measured_at is None:
        return "never"
    age_s = (now - result.measured_at).total_seconds()
    return f"{age_s:.1f} s ago" + (": OLD, does its topside run?" if age_s > _OLD_S else "")
