"""A command to a recorder, pure: said again until it is answered, because no broker should keep it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.connection import Outgoing
from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand

if TYPE_CHECKING:
    from datetime import datetime

REPEAT_NS = 2_000_000_000


def session_name_at(now: datetime) -> str:
    """What a session is called when nobody says otherwise: the time, in UTC."""
    return f"{now:%Y-%m-%dT%H-%M-%SZ}"


def new_request_id() -> str:
    """Marks a command and its answer."""
    return secrets.token_hex(8)


class SessionRequest:
    """One command and its answer. The recorder takes what is repeated for the same request."""

    def __init__(self, root: str, session: str, asked: StartCommand | StopCommand) -> None:
        self.session = session
        self.answer: SessionState | None = None
        self._asked = asked
        topic = topics.build(root, topics.SESSION_COMMAND, session=session)
        self._message = Outgoing(topic, asked.encode(), topics.SESSION_COMMAND.qos)
        self._due_ns = 0

    def hurry(self) -> None:
        """The connection is new: say it at once."""
        self._due_ns = 0

    def due(self, now_raw_ns: int) -> Outgoing | None:
        """The command, when it is time to say it (again)."""
        if self.answer is not None or now_raw_ns < self._due_ns:
            return None
        self._due_ns = now_raw_ns + REPEAT_NS
        return self._message

    def heard(self, state: SessionState) -> bool:
        """Whether `state` is the answer; it is kept."""
        if state.session != self.session or state.request_id != self._asked.request_id:
            return False
        self.answer = state
        return True
