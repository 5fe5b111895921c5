"""Commands to recorders: sent again until they are answered, because no broker should keep them."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from broker.errors import BrokerError
from broker.interface import Outgoing
from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand
from tidesync.client import Client, connected, retained, unheard
from tidesync.errors import NotSoError
from tidesync.sessions.presence import RecorderPresence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from broker.settings import ConnectionSettings
    from runtime.clock import Reading

REPEAT_NS = 2_000_000_000
_TICK_S = 0.2


def new_request_id() -> str:
    """Marks a command and its answer."""
    return secrets.token_hex(8)


def unknown_state(state: SessionState) -> str:
    """What is said of an answer whose state is a word of a later version."""
    return f"its recorder answers {state.state!r}, which is not known to this version; install one everywhere"


class SessionRequest:
    """One command and its answer, pure. A recorder executes a repeated request once."""

    def __init__(self, root: str, session: str, command: StartCommand | StopCommand) -> None:
        self.session = session
        self.answer: SessionState | None = None
        self._command = command
        topic = topics.build(root, topics.SESSION_COMMAND, session=session)
        self._message = Outgoing(topic, command.encode(), topics.SESSION_COMMAND.qos)
        self._due_ns = 0

    def repeat_now(self) -> None:
        """The connection is new: send the command at once."""
        self._due_ns = 0

    def due(self, now_raw_ns: int) -> Outgoing | None:
        """The command, when it is time to send it (again)."""
        if self.answer is not None or now_raw_ns < self._due_ns:
            return None
        self._due_ns = now_raw_ns + REPEAT_NS
        return self._message

    def heard(self, state: SessionState) -> bool:
        """Whether `state` is the answer; if so, keep it."""
        if state.session != self.session or state.request_id != self._command.request_id:
            return False
        self.answer = state
        return True


def ask(
    settings: ConnectionSettings, session: str, command: StartCommand | StopCommand, timeout_s: float
) -> SessionState:
    """The recorder's answer; NotSoError when there is none in time or no broker."""
    client = _SessionClient(settings, session, command)
    with connected(client.connection, timeout_s):
        answer = client.wait(timeout_s)
        address = client.connection.address
        problem = client.connection.last_problem or unheard(client.connection)
    if answer is None and client.absence:
        raise NotSoError(f"{client.absence}, at broker {address}; start `tidesync record` again")
    if answer is None and problem:
        raise NotSoError(f"no recorder answered within {timeout_s:g} s: {problem}")
    if answer is None:
        raise NotSoError(
            f"no recorder answered within {timeout_s:g} s at broker {address};"
            " is `tidesync record` running there, and may this account command it?"
        )
    return answer


def begin(
    settings: ConnectionSettings, names: Sequence[str], command: StartCommand, timeout_s: float
) -> SessionState:
    """The answer for the first of `names` that no other session has."""
    for name in names:
        state = ask(settings, name, command, timeout_s)
        if state.state != "refused" or name not in {
            known.session for known in known_sessions(settings).states
        }:
            break
    return state


class Known(NamedTuple):
    """The sessions that a broker knows, and which of those that the settings name it was."""

    states: list[SessionState]
    settings: ConnectionSettings
    """With its address alone."""


def known_sessions(settings: ConnectionSettings) -> Known:
    """The retained state of every session, by name; a refusal answers one client, and is no session."""
    letters, asked = retained(settings, [topics.SESSION_STATE])
    states = [letter.body for letter in letters if isinstance(letter.body, SessionState)]
    return Known([state for state in states if state.state != "refused"], asked)


def recorders_online(settings: ConnectionSettings) -> dict[str, bool]:
    """Whether each recorder is online, as far as the broker knows and lets this account know."""
    try:
        letters = retained(settings, [topics.RECORDER_STATUS]).letters
    except BrokerError:  # an account from before recorders had a status
        return {}
    return {letter.topic.recorder or "": letter.body == "online" for letter in letters}


def known_vehicles(settings: ConnectionSettings) -> list[str]:
    """The vehicles of which the broker has retained anything."""
    letters = retained(settings, [topics.STATUS, topics.INFO, topics.OFFSET]).letters
    return sorted({letter.topic.vehicle for letter in letters if letter.topic.vehicle})


class _SessionClient(Client):
    """Sends one command until it is answered."""

    def __init__(
        self, settings: ConnectionSettings, session: str, command: StartCommand | StopCommand
    ) -> None:
        self._request = SessionRequest(settings.topic_root, session, command)
        self._answered = threading.Event()
        states = topics.subscription(settings.topic_root, topics.SESSION_STATE, session=session)
        self._presence = RecorderPresence(session)
        self.absence: str | None = None
        """Why no answer will come."""
        self._may_be_absent = isinstance(command, StopCommand)
        self._is_new = False
        statuses = topics.subscription(settings.topic_root, topics.RECORDER_STATUS)
        super().__init__(settings, "tidesync-session", [states, statuses])

    def wait(self, timeout_s: float) -> SessionState | None:
        """The answer, or None when it does not come in time."""
        self._answered.wait(timeout_s)
        return self._request.answer

    def connected(self) -> None:
        """Subscribe first, then send: a broker takes them in this order."""
        super().connected()
        self._request.repeat_now()

    def subscribed(self) -> None:
        """What is retained comes now."""
        self._is_new = True

    def heard(self, letter: Letter) -> None:
        """Only the state that answers this request counts."""
        if letter.topic.kind is topics.RECORDER_STATUS:
            self._presence.status(letter.topic.recorder or "", online=letter.body == "online")
        elif isinstance(letter.body, SessionState):
            incoming = letter.incoming
            self._presence.state(letter.body, incoming.received.raw_ns, retained=incoming.retain)
            if self._request.heard(letter.body):
                self._answered.set()

    def tick(self, now: Reading) -> float:
        """Send the command when it is due; to stop, wait no longer for a recorder that is not there."""
        if self._is_new:
            self._is_new = False
            self._presence.subscribed(now.raw_ns)
        if self._may_be_absent and self._request.answer is None:
            self.absence = self._presence.absence(now.raw_ns)
        if self.absence:
            self._answered.set()
        if self.connection.up and (message := self._request.due(now.raw_ns)):
            self.connection.publish(message)
        return _TICK_S
