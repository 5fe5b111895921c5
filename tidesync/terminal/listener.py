"""A connection whose letters and changes of state arrive in one queue."""

from __future__ import annotations

import logging
import queue
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.logs import broker_log_at
from schemas import topics
from tidesync.client import Client
from tidesync.fleet.model import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from broker.errors import BrokerError
    from broker.inbox import Letter
    from broker.settings import ConnectionSettings
    from runtime.clock import Reading


@dataclass(frozen=True, slots=True)
class BrokerChange:
    """The connection was made, or was lost for the reason in `problem`; or it refuses what `problem` says."""

    problem: str | None
    refused: bool = False

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self.problem is None or self.refused


class Ended:
    """Whether a signal asked for the end: a plain flag. A signal may interrupt who holds an Event's lock."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self, _number: int, _frame: FrameType | None) -> None:
        """The signal's handler."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the signal came."""
        return self._is_set


class Listener(Client):
    """Subscribes to vehicles, topsides and sessions; of vehicles, to the ones named if any are."""

    def __init__(self, settings: ConnectionSettings, name: str, vehicles: Sequence[str] = ()) -> None:
        self._queue: queue.SimpleQueue[Letter | BrokerChange] = queue.SimpleQueue()
        self._problem: str | None = None
        super().__init__(settings, name, _filters(settings.topic_root, vehicles))

    @property
    def failure(self) -> BrokerError | None:
        """Why the connection ended for good, once it has."""
        return self.connection.failure

    def next(self, timeout_s: float) -> Letter | BrokerChange | None:
        """The next of the queue, or None when nothing arrives in time."""
        try:
            return self._queue.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the connection for the block."""
        with broker_log_at(logging.ERROR):  # the queue has the rest
            self.connection.start()
            try:
                yield
            finally:
                self.connection.stop()

    def subscribed(self) -> None:
        """Report it: from now on silence means something."""
        self._report(None)

    def disconnected(self, reason: str) -> None:
        """Report it at once; the connection reconnects."""
        self._report(f"broker {self.connection.address}: {reason}")

    def heard(self, letter: Letter) -> None:
        """Pass it on."""
        self._queue.put(letter)

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Report why there is no connection, or what the broker refuses, if that is new."""
        if self.connection.last_problem:
            self._report(self.connection.last_problem, refused=self.connection.up)
        elif self.connection.wait_until_subscribed(0) and self._problem is not None:
            self._report(None)
        return 0.2

    def _report(self, problem: str | None, *, refused: bool = False) -> None:
        """Once for each change: of a broker that stays away, the first reason and not each attempt's."""
        if problem is None or self._problem is None:
            self._queue.put(BrokerChange(problem, refused))
        self._problem = problem


def _filters(root: str, vehicles: Sequence[str]) -> list[str]:
    kinds = (*KINDS, topics.EVENT)
    if not vehicles:
        return [topics.subscription(root, kind) for kind in kinds]
    own = [kind for kind in kinds if "{vehicle}" in kind.template]
    others = [topics.subscription(root, kind) for kind in kinds if kind not in own]
    return others + [topics.subscription(root, kind, vehicle=name) for name in vehicles for kind in own]
