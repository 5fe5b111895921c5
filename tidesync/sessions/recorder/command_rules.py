"""Rules for what reaches a recorder, pure: which vehicle it concerns, and how commands are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.clock_history import TopsideClock, VehicleClock
from schemas.exchange import fault_of
from schemas.messages import Event, ExchangeBatch, OffsetResult, SessionState

if TYPE_CHECKING:
    from broker.inbox import Letter
    from broker.interface import Incoming
    from tidesync.sessions.clock_pieces import Owner

_KIND_LEVEL = 2
"""In `vehicle/{vehicle}/exchange/{topside}`."""


def refusal(session: str, request_id: str | None, reason: str) -> SessionState:
    """The answer to a command that is not executed."""
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


def refusal_of_invalid(root: str, message: Incoming) -> SessionState | None:
    """The answer to an invalid session command; None if `message` is none, or has no request id."""
    try:
        topic = topics.parse(root, message.topic)
        if topic.kind is topics.SESSION_COMMAND and not message.retain:
            topic.kind.decode(message.payload)
    except topics.InvalidTopicError:
        return None
    except InvalidMessageError as error:
        return refusal_of_payload(message.payload, topic.session or "", str(error))
    return None


def refusal_of_payload(payload: bytes, session: str, reason: str) -> SessionState | None:
    """The refusal of an invalid command, if its request id can be read."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    request_id = document.get("request_id") if isinstance(document, dict) else None
    try:
        return refusal(session, request_id, reason) if request_id else None
    except ValidationError:
        return None


def suspended(state: SessionState) -> SessionState:
    """The last state that a recorder publishes of a session that it will resume at its next start."""
    return state.model_copy(update={"alarm": "the recorder was stopped: nothing is recorded"})


def measured_vehicle(root: str, topic: str) -> str | None:
    """The vehicle of an exchange's or event's topic, without decoding anything; None for other topics."""
    levels = topic.removeprefix(f"{root}/{topics.VERSION}/").split("/")
    measurement = len(levels) > _KIND_LEVEL and levels[_KIND_LEVEL] in {"exchange", "event"}
    return levels[_KIND_LEVEL - 1] if measurement else None


def clock_of(letter: Letter) -> tuple[Owner, VehicleClock | TopsideClock] | None:
    """Whose clock history a message has pieces of, and the message; None for other messages."""
    body = letter.body
    if isinstance(body, VehicleClock):
        return ("vehicle", body.vehicle), body
    if isinstance(body, TopsideClock):
        return ("topside", body.topside), body
    return None


def foreign_entries(letter: Letter) -> int:
    """How many entries of a message are another vehicle's or topside's than its topic's, or impossible."""
    body, here = letter.body, (letter.topic.vehicle, letter.topic.topside)
    if isinstance(body, ExchangeBatch):
        return sum((each.vehicle, each.topside) != here or bool(fault_of(each)) for each in body.exchanges)
    if isinstance(body, OffsetResult):
        return int((body.vehicle, body.topside) != here)
    if isinstance(body, TopsideClock):
        return int(body.topside != letter.topic.topside)
    return int(isinstance(body, Event | VehicleClock) and body.vehicle != letter.topic.vehicle)
