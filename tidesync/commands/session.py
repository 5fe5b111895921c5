"""`tidesync session start|stop`: tell a recorder, wait for its answer, say where it records or why not."""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from broker.clock import Reading, SystemClock
from broker.connection import Connection, Incoming, Outgoing
from broker.inbox import Inbox
from broker.settings import ConnectionSettings
from schemas import topics
from schemas.base import first_fault
from schemas.messages import SessionState, StartCommand, StopCommand
from schemas.names import session_name
from tidesync.errors import NotSoError, SettingsError
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CONNECT_S = 3.0
_TIMEOUT = click.FloatRange(0.1, 3600)


@click.group("session")
def command() -> None:
    """Start and stop the recording of a session; `tidesync record` does the recording."""


def _common(function: Callable[..., int]) -> Callable[..., int]:
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the recorder's answer as JSON.")
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
    """Begin to record a session."""
    name = session_name(name or f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}")
    request_id = secrets.token_hex(8)
    wanted = {"request_id": request_id, "mission": session_name(mission), "sensors": _sensors(sensors)}
    try:
        asked = StartCommand.model_validate(wanted)
    except ValidationError as error:
        raise SettingsError(f"--sensor: {first_fault(error)}") from error
    state = _ask(settings, name, asked, timeout)
    _tell(state, as_json=as_json)
    return 0


@command.command("stop")
@click.argument("name")
@click.option("--timeout", default=90.0, show_default=True, type=_TIMEOUT, help="Seconds to wait.")
@_common
def stop(settings: ConnectionSettings, *, name: str, timeout: float, as_json: bool) -> int:
    """End the recording of session NAME; its track is computed and written first."""
    state = _ask(settings, session_name(name), StopCommand(request_id=secrets.token_hex(8)), timeout)
    _tell(state, as_json=as_json)
    return 0


def _sensors(pairs: Sequence[str]) -> dict[str, str]:
    sensors: dict[str, str] = {}
    for pair in pairs:
        sensor, equals, vehicle = pair.partition("=")
        if not (sensor and equals and vehicle):
            raise SettingsError(f"--sensor: expected SENSOR=VEHICLE, as inWater=rov1 (received {pair!r})")
        if sensor in sensors:
            raise SettingsError(f"--sensor: {sensor} is given twice (received {pair!r})")
        sensors[sensor] = vehicle
    return sensors


def _tell(state: SessionState, *, as_json: bool) -> None:
    """Print the answer; NotSoError when it is not what was asked for."""
    if as_json:
        click.echo(state.encode())
    if state.state == "refused":
        raise NotSoError(f"session {state.session} is refused: {state.error}")
    if state.state == "failed":
        raise NotSoError(
            f"session {state.session}: {state.error}; the recorder holds it in memory and keeps trying"
        )
    if not as_json:
        whom = ", ".join(f"{sensor}={vehicle}" for sensor, vehicle in state.sensors.items())
        click.echo(
            f"{state.state} session {state.session} ({whom or 'every vehicle'}):"
            f" {state.exchanges} exchanges, in {state.path} below the recorder's root"
        )


def _ask(
    settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand, timeout_s: float
) -> SessionState:
    logging.getLogger("broker").setLevel(logging.ERROR)  # one line tells it all, and it is ours
    asker = _Asker(settings, session, asked)
    asker.connection.start()
    try:
        if not asker.connection.wait_until_up(min(timeout_s, _CONNECT_S)):
            reason = asker.connection.last_problem or f"broker {settings.address}: no answer"
            raise asker.connection.failure or NotSoError(reason)
        answer = asker.wait(timeout_s)
    finally:
        asker.connection.stop()
    if answer is None:
        raise NotSoError(
            f"no recorder answered within {timeout_s:g} s at broker {settings.address};"
            " is `tidesync record` running there, and may this account command it?"
        )
    return answer


class _Asker:
    """Publishes one command at every connect (it is the same request to the recorder), keeps its answer."""

    def __init__(self, settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand) -> None:
        self._asked = asked
        self._inbox = Inbox(settings.topic_root)
        self._answers = topics.subscription(settings.topic_root, topics.SESSION_STATE, session=session)
        self._topic = topics.build(settings.topic_root, topics.SESSION_COMMAND, session=session)
        self._answered = threading.Event()
        self._answer: SessionState | None = None
        self.connection = Connection(settings, self, SystemClock(), name="tidesync-session")

    def wait(self, timeout_s: float) -> SessionState | None:
        """The answer, or None when it does not come in time."""
        self._answered.wait(timeout_s)
        return self._answer

    def connected(self) -> None:
        """Listen first, then ask: a broker takes them in this order."""
        self.connection.subscribe([(self._answers, 1)])
        self.connection.publish(Outgoing(self._topic, self._asked.encode(), topics.SESSION_COMMAND.qos))

    def disconnected(self, reason: str) -> None:
        """The connection comes back by itself, and asks again."""

    def received(self, message: Incoming) -> None:
        """A state of the session; only the one that answers this request counts."""
        letter = self._inbox.open(message)
        state = letter.body if letter else None
        if isinstance(state, SessionState) and state.request_id == self._asked.request_id:
            self._answer = state
            self._answered.set()

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is ever due."""
        return 1.0
