"""A command's connection to the broker, and what the broker has retained."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.errors import CertificateError, CertificateFileError, PasswordFileError
from broker.inbox import Inbox, Letter
from broker.interface import Incoming
from runtime.clock import Reading, SystemClock
from runtime.logs import broker_log_at
from schemas import topics
from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.settings import ConnectionSettings
    from schemas.topics import TopicKind

_CONNECT_S = 3.0
_LOOK_S = 0.05
_HOPELESS = (CertificateError, CertificateFileError, PasswordFileError)
"""A command does not wait for these. An agent does: a clock or a file may be corrected meanwhile."""
_QUIET_S = 0.5
"""A broker sends its retained messages at once; after a silence of this length, all have come."""
_LONGEST_S = 5.0


def retained(settings: ConnectionSettings, kinds: Sequence[TopicKind]) -> list[Letter]:
    """The retained message of every topic of these kinds, sorted by topic.

    BrokerError when the broker refuses to send them, or the connection to it was lost.
    """
    listener = _Listener(settings, kinds)
    with connected(listener.connection, settings, _LONGEST_S):
        found = listener.wait()
        if obstacle := listener.connection.problem or listener.connection.refusal:
            raise obstacle  # what was not heard may be there all the same
        return found


@contextmanager
def connected(connection: Connection, settings: ConnectionSettings, timeout_s: float) -> Iterator[None]:
    """Keep `connection` up in the block; its failure, or NotSoError, if it is not up in time."""
    with broker_log_at(logging.ERROR):
        connection.start()
        try:
            if not is_up(connection, min(timeout_s, _CONNECT_S)):
                problem = connection.failure or connection.problem
                raise problem or NotSoError(f"broker {settings.address}: no answer")
            yield
        finally:
            connection.stop()


def is_up(connection: Connection, timeout_s: float) -> bool:
    """Whether the connection comes up in time; an error of `_HOPELESS` ends the wait."""
    until_s = time.monotonic() + timeout_s
    while not connection.wait_until_up(_LOOK_S):
        hopeless = connection.failure or isinstance(connection.problem, _HOPELESS)
        if hopeless or time.monotonic() >= until_s:
            return False
    return True


class Client:
    """Subscribes to topics over a connection of its own; subclasses implement `heard`."""

    def __init__(self, settings: ConnectionSettings, name: str, filters: Sequence[str]) -> None:
        self._inbox = Inbox(settings.topic_root)
        self._filters = [(topic, 1) for topic in filters]
        self.connection = Connection(settings, self, SystemClock(), name=name)

    def connected(self) -> None:
        """Subscribe."""
        self.connection.subscribe(self._filters)

    def disconnected(self, reason: str) -> None:
        """Nothing to do: the connection reconnects and subscribes again."""

    def received(self, message: Incoming) -> None:
        """Decode a message and pass it on; others are dropped."""
        letter = self._inbox.open(message)
        if letter:
            self.heard(letter)

    def heard(self, letter: Letter) -> None:
        """Handle a decoded message."""
        raise NotImplementedError

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due."""
        return 1.0


class _Listener(Client):
    """Keeps the newest message of each topic."""

    def __init__(self, settings: ConnectionSettings, kinds: Sequence[TopicKind]) -> None:
        self._kinds = kinds
        self._changed = threading.Condition()
        self._newest: dict[str, Letter] = {}
        filters = [topics.subscription(settings.topic_root, kind) for kind in kinds]
        super().__init__(settings, "tidesync-reader", filters)

    def wait(self) -> list[Letter]:
        """All messages, once no further topic has arrived for a while."""
        with self._changed:
            before = -1
            while len(self._newest) > before:
                before = len(self._newest)
                self._changed.wait_for(lambda: len(self._newest) > before, _QUIET_S)  # noqa: B023 - called here
            return [letter for _, letter in sorted(self._newest.items())]

    def heard(self, letter: Letter) -> None:
        """Keep the newest of each topic, of the kinds asked for alone."""
        if letter.topic.kind in self._kinds:
            with self._changed:
                self._newest[letter.incoming.topic] = letter
                self._changed.notify_all()
