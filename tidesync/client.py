"""A command's connection to the broker, and what the broker has retained."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from broker.connection import Connection
from broker.errors import CertificateError, CertificateFileError, PasswordFileError
from broker.inbox import Inbox, Letter
from broker.interface import Incoming
from runtime.clock import Reading, SystemClock
from runtime.logs import broker_log_at
from schemas import topics
from tidesync.errors import NotSoError
from tidesync.retained import RetainedReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from broker.settings import ConnectionSettings
    from schemas.topic_kind import TopicKind

_CONNECT_S = 3.0
_LOOK_S = 0.05
_HOPELESS = (CertificateError, CertificateFileError, PasswordFileError)
"""A command does not wait for these. An agent does: a clock or a file may be corrected meanwhile."""
_RESULTS_S = 6.0
"""Where nothing is retained, or it is not sent: the results of a large fleet at rest come every 5 s."""
_log = logging.getLogger(__name__)
_LONGEST_S = 10.0
"""A connection that neither fails nor comes up, as over a slow link with TLS, is waited for as long."""


class Retained(NamedTuple):
    """What a broker has retained, and which of those that the settings name it was."""

    letters: list[Letter]
    settings: ConnectionSettings
    """With its address alone."""


def retained(settings: ConnectionSettings, kinds: Sequence[TopicKind]) -> Retained:
    """The retained message of every topic of these kinds, sorted by topic.

    NotFoundOutError when the connection is lost meanwhile, BrokerError when the broker refuses to send them.
    """
    reader, inbox = RetainedReader(settings, "tidesync-reader"), Inbox(settings.topic_root)
    with connected(reader.connection, _LONGEST_S):
        messages = reader.read([topics.subscription(settings.topic_root, kind) for kind in kinds])
        if not reader.any_retained:
            messages = _published(reader)
        letters = [letter for message in messages.values() if (letter := inbox.open(message))]
    found = [letter for letter in letters if letter.topic.kind in kinds]
    return Retained(found, reader.connection.policy.settings)


def _published(reader: RetainedReader) -> dict[str, Incoming]:
    """What is published meanwhile; with a warning where retained messages are there, and were not sent."""
    messages = reader.listen(_RESULTS_S)
    if messages:
        reader.read([next(iter(messages))])
        if reader.any_retained:
            _log.warning(
                "broker %s sends nothing retained to subscriptions with wildcards: there may be more than was"
                " published within %g s; `tidesync watch` shows what comes",
                reader.connection.address,
                _RESULTS_S,
            )
    return messages


@contextmanager
def connected(connection: Connection, timeout_s: float) -> Iterator[None]:
    """Keep `connection` up in the block; its failure, or NotSoError, if it is not up in time."""
    with broker_log_at(logging.ERROR):
        connection.start()
        try:
            if not is_up(connection, timeout_s):
                problem = connection.failure or connection.problem
                raise problem or NotSoError(f"broker {connection.address}: no answer")
            yield
        finally:
            connection.stop()


def is_up(connection: Connection, timeout_s: float) -> bool:
    """Whether the connection comes up in time; brokers that have all failed are tried again for `_CONNECT_S`.

    An error of `_HOPELESS` of the only one ends the wait, as does that of the last of several.
    """
    started_s = time.monotonic()
    while not connection.wait_until_up(_LOOK_S):
        tried = connection.problem is not None and connection.policy.tried_all
        hopeless = connection.failure or (tried and isinstance(connection.problem, _HOPELESS))
        wait_s = min(timeout_s, _CONNECT_S if tried else _LONGEST_S)
        if hopeless or time.monotonic() - started_s >= wait_s:
            return False
    return True


def unheard(connection: Connection) -> str | None:
    """Why what was not heard may have been published all the same; None when the broker sends all of it."""
    if connection.refusal:
        return str(connection.refusal)
    if connection.wait_until_subscribed(0):
        return None
    return connection.last_problem or f"broker {connection.address}: it did not answer the subscription"


class Client:
    """Subscribes to topics over a connection of its own; subclasses implement `heard`."""

    def __init__(self, settings: ConnectionSettings, name: str, filters: Sequence[str]) -> None:
        self._inbox = Inbox(settings.topic_root)
        self._filters = [(topic, 0) for topic in filters]
        self.connection = Connection(settings, self, SystemClock(), name=name)

    def connected(self) -> None:
        """Subscribe, at QoS 0: with a clean session more brings nothing, and a cluster grants it at once."""
        if self._filters:
            self.connection.subscribe(self._filters, self._codes_came)

    def _codes_came(self, _codes: Mapping[str, int]) -> None:
        if not self.connection.refusal:
            self.subscribed()

    def subscribed(self) -> None:
        """Called once the broker has granted all of it: what is silent from now on is silent."""

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
