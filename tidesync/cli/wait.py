"""`tidesync wait`: exit 0 once vehicles are measured well enough, 1 if they are not in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas.messages import OffsetResult
from schemas.names import vehicle_name
from tidesync.client import unheard
from tidesync.errors import NotSoError, named
from tidesync.fleet.waiting import WaitCondition
from tidesync.settings import with_settings
from tidesync.terminal.listener import BrokerChange, Listener
from tidesync.terminal.text import offset_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter


@click.command("wait")
@click.option(
    "--vehicle",
    "vehicles",
    multiple=True,
    required=True,
    metavar="V",
    help="Wait for this vehicle (repeatable).",
)
@click.option(
    "--max-error-ms",
    type=click.FloatRange(0, min_open=True),
    metavar="MS",
    help="Wait until the max error is no larger; by default `locked` is enough.",
)
@click.option(
    "--timeout", default=30.0, show_default=True, type=click.FloatRange(0.1, 86_400), help="Seconds."
)
@with_settings(ConnectionSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    settings: ConnectionSettings,
    *,
    vehicles: Sequence[str],
    max_error_ms: float | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Wait until every vehicle named is locked, within its max error, by a result made just now.

    Exit code 0 then; 1 at the timeout, with the reason in one sentence.
    """
    conditions = {
        named("--vehicle", vehicle_name, name): WaitCondition(name, max_error_ms) for name in vehicles
    }
    found, problem = _wait(settings, conditions, timeout)
    missing = [condition for vehicle, condition in conditions.items() if vehicle not in found]
    sentence = problem or "; ".join(condition.why_not() for condition in missing)
    if as_json:
        results = [json.loads(result.encode()) for result in found.values()]
        click.echo(
            json.dumps({"ok": not missing, "vehicles": results, "error": sentence if missing else None})
        )
    if missing:
        raise NotSoError(f"not within {timeout:g} s: {sentence}")
    if not as_json:
        for result in found.values():
            offset, max_error, _ = offset_figures(result, 4)
            click.echo(f"{result.vehicle} is locked: {offset} ms, max error {max_error} ms")
    return 0


def _wait(
    settings: ConnectionSettings, conditions: dict[str, WaitCondition], timeout_s: float
) -> tuple[dict[str, OffsetResult], str | None]:
    """The results that fulfil the conditions, by vehicle, and why the broker is away if it is."""
    found: dict[str, OffsetResult] = {}
    problem: str | None = f"broker {settings.brokers}: no answer"
    clock, listener = SystemClock(), Listener(settings, "tidesync-wait", [*conditions])
    until_ns = clock.raw_ns() + round(timeout_s * 1e9)
    with listener.listening():
        while len(found) < len(conditions) and (left_ns := until_ns - clock.raw_ns()) > 0:
            if listener.failure:
                raise listener.failure
            heard = listener.next(min(0.2, left_ns / 1e9))
            if isinstance(heard, BrokerChange):
                problem = heard.problem
            elif heard is not None and heard.topic.vehicle in conditions:
                _note(found, heard, conditions[heard.topic.vehicle].take(heard))
        if listener.connection.up and any(condition.last is None for condition in conditions.values()):
            problem = unheard(listener.connection)
    return found, problem


def _note(found: dict[str, OffsetResult], letter: Letter, good: OffsetResult | None) -> None:
    """All must be good at the end: one that was is dropped if its topside publishes a worse one."""
    vehicle = letter.topic.vehicle or ""
    if good:
        found[vehicle] = good
    elif isinstance(letter.body, OffsetResult) and letter.body.topside == _topside(found.get(vehicle)):
        del found[vehicle]


def _topside(result: OffsetResult | None) -> str | None:
    return result.topside if result else None
