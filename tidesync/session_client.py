"""Who asks a recorder for something, and which sessions are known."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from broker.connection import Outgoing
from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand
from tidesync.errors import NotSoError
from tidesync.one_shot import Client, connected, retained

if TYPE_CHECKING:
    from broker.clock import Reading
    from broker.inbox import Letter
    from broker.settings import ConnectionSettings

_REPEAT_NS = 2_000_000_000


def ask(
    settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand, timeout_s: float
) -> SessionState:
    """The recorder's answer; NotSoError when there is none in time or no broker."""
    asker = _Asker(settings, session, asked)
    with connected(asker.connection, settings, timeout_s):
        answer = asker.wait(timeout_s)
    if answer is None:
        raise NotSoError(
            f"no recorder answered within {timeout_s:g} s at broker {settings.address};"
            " is `tidesync record` running there, and may this account command it?"
        )
    return answer


def known_sessions(settings: ConnectionSettings) -> list[SessionState]:
    """The newest state of every session that the broker has retained, by name."""
    letters = retained(settings, [topics.SESSION_STATE])
    states = [letter.body for letter in letters if isinstance(letter.body, SessionState)]
    return [
        state for state in states if state.state != "refused"
    ]  # that answers one asker, and is no session


def known_vehicles(settings: ConnectionSettings) -> list[str]:
    """The vehicles that the broker has retained anything of."""
    letters = retained(settings, [topics.STATUS, topics.INFO, topics.OFFSET])
    return sorted({letter.topic.vehicle for letter in letters if letter.topic.vehicle})


class _Asker(Client):
    """Repeats one command until it is answered (it is the same request to the recorder), keeps the answer.

    No broker keeps commands for a recorder that is away: it may just be starting.
    """

    def __init__(self, settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand) -> None:
        topic = topics.build(settings.topic_root, topics.SESSION_COMMAND, session=session)
        self._asked = asked
        self._message = Outgoing(topic, asked.encode(), topics.SESSION_COMMAND.qos)
        self._due_ns = 0
        self._answered = threading.Event()
        self._answer: SessionState | None = None
        states = topics.subscription(settings.topic_root, topics.SESSION_STATE, session=session)
        super().__init__(settings, "tidesync-session", [states])

    def wait(self, timeout_s: float) -> SessionState | None:
        """The answer, or None when it does not come in time."""
        self._answered.wait(timeout_s)
        return self._answer

    def connected(self) -> None:
        """Listen first, then ask: a broker takes them in this order."""
        super().connected()
        self._due_ns = 0

    def heard(self, letter: Letter) -> None:
        """Only the state that answers this request counts."""
        state = letter.body
        if isinstance(state, SessionState) and state.request_id == self._asked.request_id:
            self._answer = state
            self._answered.set()

    def tick(self, now: Reading) -> float:
        """Ask, and ask again."""
        if self.connection.up and now.raw_ns >= self._due_ns and not self._answered.is_set():
            self._due_ns = now.raw_ns + _REPEAT_NS
            self.connection.publish(self._message)
        return 0.2
