"""A command to a recorder, pure: said again until it is answered, because no broker should keep it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.connection import Outgoing
from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

REPEAT_NS = 2_000_000_000
_MOST_NAMES = 5


def session_name_at(now: datetime) -> str:
    """What a session is called when nobody says otherwise: the time, in UTC."""
    return f"{now:%Y-%m-%dT%H-%M-%SZ}"


def session_names_at(now: datetime) -> Iterator[str]:
    """What to call a session that nobody named; a later one when the ones before it are taken."""
    name = session_name_at(now)
    yield name
    for number in range(2, _MOST_NAMES + 1):
        yield f"{name}-{number}"


def strangers(sensors: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Vehicles of a session that the broker knows nothing of: mistyped, or not switched on yet."""
    names = ", ".join(sorted(known)) or "none"
    return [
        f"{sensor}={vehicle}: no vehicle {vehicle} is known at the broker yet (known: {names})"
        for sensor, vehicle in sensors.items()
        if vehicle not in known
    ]


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
