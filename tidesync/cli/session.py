"""`tidesync session start|stop|list`: command a recorder and wait for its answer, or list the sessions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import ValidationError

from broker.errors import BrokerError
from broker.settings import ConnectionSettings
from schemas.base import first_error
from schemas.compat import UTC
from schemas.instants import iso_utc
from schemas.messages import SessionState, SessionWord, StartCommand, StopCommand
from schemas.names import mission_name, session_name
from tidesync.errors import NotSoError, SettingsError, named
from tidesync.figures import in_columns
from tidesync.fleet.sessions import CLOSING, SILENT_S
from tidesync.sessions.client import (
    ask,
    begin,
    known_sessions,
    known_vehicles,
    new_request_id,
    recorders_online,
    unknown_state,
)
from tidesync.sessions.names import sensor_vehicles, session_names_at, unknown_vehicles
from tidesync.sessions.presence import offline_recorder
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TIMEOUT = click.FloatRange(0.1, 3600)


@click.group("session")
def command() -> None:
    """Start, stop and list sessions, which `tidesync record` records."""


def _common(function: Callable[..., int]) -> Callable[..., int]:
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return as_json(with_settings(ConnectionSettings)(function))


@command.command("start")
@click.option("--mission", required=True, metavar="M", help="Mission: the folder of its sessions.")
@click.option("--name", metavar="N", help="Session's name  [default: the time, as 2026-05-01T12-00-00Z]")
@click.option(
    "--sensor",
    "sensors",
    multiple=True,
    metavar="SENSOR=VEHICLE",
    help="Which vehicle's clock stamps a sensor, as inWater=rov1 (repeatable); else every vehicle.",
)
@click.option("--timeout", default=5.0, show_default=True, type=_TIMEOUT, help="Seconds to wait.")
@_common
def start(
    settings: ConnectionSettings,
    *,
    mission: str,
    name: str | None,
    sensors: Sequence[str],
    timeout: float,
    as_json: bool,
) -> int:
    """Start recording a session."""
    names = [named("--name", session_name, name)] if name else session_names_at(datetime.now(UTC))
    request_id = new_request_id()
    mission = named("--mission", mission_name, mission)
    wanted = {"request_id": request_id, "mission": mission, "sensors": sensor_vehicles(sensors)}
    try:
        asked = StartCommand.model_validate(wanted)
    except ValidationError as error:
        raise SettingsError(f"--sensor: {first_error(error)}") from error
    state = begin(settings, names, asked, timeout)
    _print_answer(state, as_json=as_json)
    for sentence in _unknown_vehicles(settings, asked):
        click.echo(f"warning: {sentence}", err=True)
    return 0


def _unknown_vehicles(settings: ConnectionSettings, asked: StartCommand) -> list[str]:
    """Of a session that has begun; it is no fault of it when the vehicles cannot be found out."""
    if not asked.sensors:
        return []
    try:
        return unknown_vehicles(asked.sensors, known_vehicles(settings))
    except (NotSoError, BrokerError) as error:
        return [str(error)]


@command.command("stop")
@click.argument("name", required=False)
@click.option("--timeout", default=90.0, show_default=True, type=_TIMEOUT, help="Seconds to wait.")
@_common
def stop(settings: ConnectionSettings, *, name: str | None, timeout: float, as_json: bool) -> int:
    """Stop recording session NAME, or the only one that is being recorded.

    What takes longer than three seconds, as the tracks of many vehicles, is finished in the background.
    """
    name = named("NAME", session_name, name) if name else _only_one(settings)
    state = ask(settings, name, StopCommand(request_id=new_request_id()), timeout)
    _print_answer(state, as_json=as_json)
    return 0


def _only_one(settings: ConnectionSettings) -> str:
    """The session that is being recorded; an error if there are several."""
    known, asked = known_sessions(settings)
    names = [state.session for state in known if state.state in {"recording", "failed"}]
    if not names:
        raise NotSoError(f"no session is being recorded, as far as broker {asked.address} knows")
    if len(names) > 1:
        raise SettingsError(f"name one: {', '.join(names)} are being recorded")
    return names[0]


@command.command("list")
@_common
def list_(settings: ConnectionSettings, *, as_json: bool) -> int:
    """List the sessions that the broker knows, and the state of each."""
    (states, settings), now = known_sessions(settings), datetime.now(UTC)
    online = recorders_online(settings) if states else {}
    if as_json:
        click.echo(json.dumps({"sessions": documents(states, now, online)}, indent=2))
    elif states:
        click.echo(listing(states, now, online))
    else:
        click.echo(f"no session is known at broker {settings.address}")
    return 0


def documents(
    states: Sequence[SessionState], now: datetime, online: Mapping[str, bool]
) -> list[dict[str, Any]]:
    """Each state's keys, and `silent`: whether its recorder should report and does not; as for `listing`."""
    return [
        state.model_dump(mode="json") | {"silent": silence(state, now, online) is not None}
        for state in states
    ]


def listing(states: Sequence[SessionState], now: datetime, online: Mapping[str, bool]) -> str:
    """A line for each session, in columns; below it, what is wrong with it. `online`: which recorders are."""
    heads = ("SESSION", "STATE", "EXCHANGES", "LAST EXCHANGE", "SENSORS", "PATH")
    silences = [silence(state, now, online) for state in states]
    complaints = [_complaints(state, silent) for state, silent in zip(states, silences, strict=True)]
    rows = [_columns(state, silent) for state, silent in zip(states, silences, strict=True)]
    return in_columns(heads, rows, complaints)


def silence(state: SessionState, now: datetime, online: Mapping[str, bool]) -> str | None:
    """Why a session that should be recorded is silent, which a killed recorder cannot report; None if not."""
    if name := offline_recorder(state, online):
        return f"its recorder {name!r} is offline: nothing is being recorded"
    if state.alarm or state.state != "recording" or state.last_exchange_at is None:
        return None
    silent_s = (now - state.last_exchange_at).total_seconds()
    if silent_s <= SILENT_S:
        return None
    return f"nothing was reported of it for {silent_s:.0f} s by this computer's clock; does its recorder run?"


def _columns(state: SessionState, silent: str | None) -> tuple[str, ...]:
    last = iso_utc(state.last_exchange_at) if state.last_exchange_at else "none"
    word = "silent" if silent else "closing" if state.closing else state.state
    return (state.session, word, str(state.exchanges), last, _sensors(state), state.path or "-")


def _complaints(state: SessionState, silent: str | None) -> list[str]:
    """Silence, alarm and error, each once, and what is not finished."""
    closing = CLOSING if state.closing else None
    return list(dict.fromkeys(filter(None, (silent, state.error, state.alarm, closing))))


def _sensors(state: SessionState) -> str:
    return ", ".join(f"{sensor}={vehicle}" for sensor, vehicle in state.sensors.items()) or "every vehicle"


def _print_answer(state: SessionState, *, as_json: bool) -> None:
    """Print the answer; NotSoError when it is not what was asked for."""
    if as_json:
        click.echo(state.encode())
    if state.state == "refused":
        raise NotSoError(f"session {state.session}: {state.error}")
    if state.state == "failed":
        raise NotSoError(
            f"session {state.session}: {state.error}; the recorder holds it in memory and keeps trying"
        )
    if state.state not in get_args(SessionWord):
        raise NotSoError(f"session {state.session}: {unknown_state(state)}")
    if not as_json:
        click.echo(
            f"{state.state} session {state.session} ({_sensors(state)}):"
            f" {state.exchanges} exchanges, in {state.path} below the recorder's root"
        )
        if state.closing:
            click.echo(CLOSING, err=True)
        if state.alarm:
            click.echo(f"warning: {state.alarm}", err=True)
