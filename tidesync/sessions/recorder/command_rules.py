"""What reaches a recorder, pure: whom it concerns, what a start asks for, and how a refusal is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.messages import Event, ExchangeBatch, OffsetResult, SessionState, StartCommand
from schemas.metadata import RESERVED_SENSORS
from tidesync.sessions.errors import RefusedError
from tidesync.sessions.recorder.recording import Recording

if TYPE_CHECKING:
    from datetime import datetime

    from broker.connection import Incoming
    from broker.inbox import Letter

_KIND_LEVEL = 2
"""In `vehicle/{vehicle}/exchange/{topside}`."""


def recording_of(session: str, command: StartCommand, recorder: str, now: datetime) -> Recording:
    """What `command` asks to be recorded; RefusedError when a sensor's name means something else."""
    for sensor in command.sensors:
        if sensor in RESERVED_SENSORS:
            raise RefusedError(f"{sensor!r} cannot name a sensor: it is a key of timeSync")
    return Recording(
        session=session,
        mission=command.mission,
        recorder=recorder,
        sensors=command.sensors,
        started_at=now,
        request_id=command.request_id,
    )


def check_same(recording: Recording, command: StartCommand) -> None:
    """A start of what is being recorded already changes nothing; RefusedError if it asks for more."""
    if recording.stop_request_id:
        raise RefusedError(f"session {recording.session} is being stopped; start it again afterwards")
    if command.mission != recording.mission:
        raise RefusedError(f"session {recording.session} is being recorded in mission {recording.mission!r}")
    if command.sensors != recording.sensors:
        raise RefusedError(
            f"session {recording.session} is being recorded with sensors {recording.sensors},"
            f" not {command.sensors}"
        )


def refusal(session: str, request_id: str | None, reason: str) -> SessionState:
    """The answer to a command that is not done."""
    return SessionState(
        session=session,
        request_id=request_id,
        state="refused",
        path=None,
        mission=None,
        sensors={},
        exchanges=0,
        last_exchange_at=None,
        alarm=None,
        error=reason,
    )


def left_alone(state: SessionState) -> SessionState:
    """The state of a session whose recorder ends before it: nothing is recorded until the next start."""
    return state.model_copy(update={"alarm": "the recorder was stopped: nothing is recorded"})


def answer_to_invalid(root: str, message: Incoming) -> SessionState | None:
    """What to say to who sent a session command that cannot be taken, if it is one and says who asks."""
    try:
        topic = topics.parse(root, message.topic)
        if topic.kind is topics.SESSION_COMMAND and not message.retain:
            topic.kind.decode(message.payload)
    except topics.InvalidTopicError:
        return None
    except InvalidMessageError as error:
        return asker_of(message.payload, topic.session or "", str(error))
    return None


def asker_of(payload: bytes, session: str, reason: str) -> SessionState | None:
    """The refusal of a command that is not valid, if it says at least whom to answer."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    request_id = document.get("request_id") if isinstance(document, dict) else None
    try:
        return refusal(session, request_id, reason) if request_id else None
    except ValidationError:
        return None


def measured_vehicle(root: str, topic: str) -> str | None:
    """Whose measurement a topic brings, without decoding anything; None if it brings something else."""
    levels = topic.removeprefix(f"{root}/{topics.VERSION}/").split("/")
    measurement = len(levels) > _KIND_LEVEL and levels[_KIND_LEVEL] in {"exchange", "event"}
    return levels[_KIND_LEVEL - 1] if measurement else None


def strangers(letter: Letter) -> int:
    """How many entries of a message carry another name than its topic."""
    body, here = letter.body, (letter.topic.vehicle, letter.topic.topside)
    if isinstance(body, ExchangeBatch):
        return sum((exchange.vehicle, exchange.topside) != here for exchange in body.exchanges)
    if isinstance(body, OffsetResult):
        return int((body.vehicle, body.topside) != here)
    return int(isinstance(body, Event) and body.vehicle != letter.topic.vehicle)
