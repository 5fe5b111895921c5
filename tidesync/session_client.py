"""One-shot clients of the session topics: who asks a recorder for something, and who lists what is known."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from broker.clock import Reading, SystemClock
from broker.connection import Connection, Incoming, Outgoing
from broker.inbox import Inbox
from schemas import topics
from schemas.messages import SessionState, StartCommand, StopCommand
from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.settings import ConnectionSettings

_CONNECT_S = 3.0
_REPEAT_NS = 2_000_000_000
_QUIET_S = 0.5
"""A broker sends what it has retained at once; when no other session has come for so long, that was all."""
_LONGEST_LIST_S = 5.0


def ask(
    settings: ConnectionSettings, session: str, asked: StartCommand | StopCommand, timeout_s: float
) -> SessionState:
    """The recorder's answer; NotSoError when there is none in time or no broker."""
    asker = _Asker(settings, session, asked)
    with _connected(asker.connection, settings, timeout_s):
        answer = asker.wait(timeout_s)
    if answer is None:
        raise NotSoError(
            f"no recorder answered within {timeout_s:g} s at broker {settings.address};"
            " is `tidesync record` running there, and may this account command it?"
        )
    return answer


def known_sessions(settings: ConnectionSettings) -> list[SessionState]:
    """The newest state of every session that the broker has retained, by name."""
    listener = _Listener(settings)
    with _connected(listener.connection, settings, _LONGEST_LIST_S):
        states = listener.wait()
    return [states[name] for name in sorted(states)]


@contextmanager
def _connected(connection: Connection, settings: ConnectionSettings, timeout_s: float) -> Iterator[None]:
    logging.getLogger("broker").setLevel(logging.ERROR)  # one line tells it all, and it is ours
    connection.start()
    try:
        if not connection.wait_until_up(min(timeout_s, _CONNECT_S)):
            reason = connection.last_problem or f"broker {settings.address}: no answer"
            raise connection.failure or NotSoError(reason)
        yield
    finally:
        connection.stop()


class _Client:
    """A connection of its own, on which session states arrive."""

    def __init__(self, settings: ConnectionSettings, session: str | None) -> None:
        names = {} if session is None else {"session": session}
        self._inbox = Inbox(settings.topic_root)
        self._states = topics.subscription(settings.topic_root, topics.SESSION_STATE, **names)
        self.connection = Connection(settings, self, SystemClock(), name="tidesync-session")

    def connected(self) -> None:
        """Listen."""
        self.connection.subscribe([(self._states, 1)])

    def disconnected(self, reason: str) -> None:
        """The connection comes back by itself, and asks again."""

    def received(self, message: Incoming) -> None:
        """A state of a session."""
        letter = self._inbox.open(message)
        if letter and isinstance(letter.body, SessionState):
            self.heard(letter.body)

    def heard(self, state: SessionState) -> None:
        """What the state is for."""
        raise NotImplementedError

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is ever due."""
        return 1.0


class _Asker(_Client):
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
        super().__init__(settings, session)

    def wait(self, timeout_s: float) -> SessionState | None:
        """The answer, or None when it does not come in time."""
        self._answered.wait(timeout_s)
        return self._answer

    def connected(self) -> None:
        """Listen first, then ask: a broker takes them in this order."""
        super().connected()
        self._due_ns = 0

    def heard(self, state: SessionState) -> None:
        """Only the state that answers this request counts."""
        if state.request_id == self._asked.request_id:
            self._answer = state
            self._answered.set()

    def tick(self, now: Reading) -> float:
        """Ask, and ask again."""
        if self.connection.up and now.raw_ns >= self._due_ns and not self._answered.is_set():
            self._due_ns = now.raw_ns + _REPEAT_NS
            self.connection.publish(self._message)
        return 0.2


class _Listener(_Client):
    """Keeps the newest state of each session."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._changed = threading.Condition()
        self._newest: dict[str, SessionState] = {}
        super().__init__(settings, None)

    def wait(self) -> dict[str, SessionState]:
        """Every session, once no other one has come for a while."""
        with self._changed:
            before = -1
            while len(self._newest) > before:
                before = len(self._newest)
                self._changed.wait_for(lambda: len(self._newest) > before, _QUIET_S)  # noqa: B023 - called here
            return dict(self._newest)

    def heard(self, state: SessionState) -> None:
        """A refusal is the answer to one asker, and no session."""
        if state.state != "refused":
            with self._changed:
                self._newest[state.session] = state
                self._changed.notify_all()
