"""Who asks a recorder for something, and which sessions are known."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand
from tidesync.client import Client, connected, retained
from tidesync.errors import NotSoError
from tidesync.sessions.request import SessionRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from broker.settings import ConnectionSettings
    from runtime.clock import Reading


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


def begin(
    settings: ConnectionSettings, names: Sequence[str], asked: StartCommand, timeout_s: float
) -> SessionState:
    """The answer for the first of `names` that no other session has."""
    for name in names:
        state = ask(settings, name, asked, timeout_s)
        if state.state != "refused" or name not in {known.session for known in known_sessions(settings)}:
            break
    return state


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
    """Asks until it is answered, and keeps the answer."""

    def __init__(self, settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand) -> None:
        self._request = SessionRequest(settings.topic_root, session, asked)
        self._answered = threading.Event()
        states = topics.subscription(settings.topic_root, topics.SESSION_STATE, session=session)
        super().__init__(settings, "tidesync-session", [states])

    def wait(self, timeout_s: float) -> SessionState | None:
        """The answer, or None when it does not come in time."""
        self._answered.wait(timeout_s)
        return self._request.answer

    def connected(self) -> None:
        """Listen first, then ask: a broker takes them in this order."""
        super().connected()
        self._request.hurry()

    def heard(self, letter: Letter) -> None:
        """Only the state that answers this request counts."""
        if isinstance(letter.body, SessionState) and self._request.heard(letter.body):
            self._answered.set()

    def tick(self, now: Reading) -> float:
        """Ask, and ask again."""
        if self.connection.up and (message := self._request.due(now.raw_ns)):
            self.connection.publish(message)
        return 0.2
