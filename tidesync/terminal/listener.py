"""The connection of those who watch: every letter and every change of the connection, in one queue."""

from __future__ import annotations

import logging
import queue
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.logs import broker_log_at
from schemas import topics
from tidesync.client import Client
from tidesync.fleet.rows import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.errors import BrokerError
    from broker.inbox import Letter
    from broker.settings import ConnectionSettings
    from runtime.clock import Reading


@dataclass(frozen=True, slots=True)
class BrokerChange:
    """The connection came, or is away: `problem` says why, in words."""

    problem: str | None

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self.problem is None


class Listener(Client):
    """Hears vehicles, topsides and sessions, or the vehicles named alone, while it is listening."""

    def __init__(self, settings: ConnectionSettings, name: str, vehicles: Sequence[str] = ()) -> None:
        self._heard: queue.SimpleQueue[Letter | BrokerChange] = queue.SimpleQueue()
        self._said: str | None = None
        super().__init__(settings, name, _filters(settings.topic_root, vehicles))

    @property
    def failure(self) -> BrokerError | None:
        """Why the connection ended for good, once it has."""
        return self.connection.failure

    def next(self, timeout_s: float) -> Letter | BrokerChange | None:
        """What is next, or None when nothing comes in time."""
        try:
            return self._heard.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the connection meanwhile."""
        with broker_log_at(logging.ERROR):  # what it would say is in the queue
            self.connection.start()
            try:
                yield
            finally:
                self.connection.stop()

    def connected(self) -> None:
        """Listen, and say so."""
        super().connected()
        self._say(None)

    def disconnected(self, reason: str) -> None:
        """Say so at once; the connection comes back by itself."""
        self._say(f"broker {self.connection.address}: {reason}")

    def heard(self, letter: Letter) -> None:
        """Pass it on."""
        self._heard.put(letter)

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Say why there is no connection, when that is new."""
        if self.connection.last_problem and not self.connection.up:
            self._say(self.connection.last_problem)
        return 0.2

    def _say(self, problem: str | None) -> None:
        """Once a change: a broker that stays away is said for the first reason, not for each attempt's."""
        if problem is None or self._said is None:
            self._heard.put(BrokerChange(problem))
        self._said = problem


def _filters(root: str, vehicles: Sequence[str]) -> list[str]:
    kinds = (*KINDS, topics.EVENT)
    if not vehicles:
        return [topics.subscription(root, kind) for kind in kinds]
    own = [kind for kind in kinds if "{vehicle}" in kind.template]
    others = [topics.subscription(root, kind) for kind in kinds if kind not in own]
    return others + [topics.subscription(root, kind, vehicle=name) for name in vehicles for kind in own]
