"""What a broker retains below some filters: all of it, or why that could not be found out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from broker.connection import Connection
from runtime.clock import SystemClock
from tidesync.errors import NotFoundOutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from broker.interface import Incoming
    from broker.settings import ConnectionSettings
    from runtime.clock import Reading

QUIET_S = 0.5
QUIET_TRIPS = 2.0
"""A broker sends what it retains at once; after a silence of 0.5 s, or of two round trips, all has come."""
ANSWER_S = 30.0
"""A broker that is there answers a subscription by then, a cluster without a leader too; a dead link shows in
less: 1.5 keepalives."""
AGAIN_S = 2.5
"""What is refused is asked for again within this: a cluster may refuse for a moment."""
LONGEST_S = 60.0
"""Messages that keep coming for so long are not what was retained."""


class RetainedReader:
    """Reads over a connection of its own. Absence is concluded only of a link that has answered afterwards.

    A broker answers SUBSCRIBE, sends what it retains, and is then silent: for a time that follows the link's
    round trip, from SUBSCRIBE to SUBACK. A second SUBSCRIBE, answered, proves that the silence was not the
    link's: what was sent before its SUBACK has come before it. Assumes that a broker sends what it retains
    within that silence after its SUBACK.
    """

    def __init__(self, settings: ConnectionSettings, name: str) -> None:
        self.connection = Connection(settings, self, SystemClock(), name=name)
        self.round_trip_s = 0.0
        """From the last SUBSCRIBE to its SUBACK."""
        self._changed = threading.Condition()
        self._messages: dict[str, Incoming] = {}
        self._heard = 0
        self._answers = 0
        self._lost: str | None = None

    def read(self, filters: Sequence[str]) -> dict[str, Incoming]:
        """The newest message of each topic that has one; NotFoundOutError, or what the broker refuses."""
        self._subscribe(filters, again=True)
        connection = self.connection.reconnects
        quiet_s = max(QUIET_S, QUIET_TRIPS * self.round_trip_s)
        until_s = time.monotonic() + LONGEST_S
        while self._hears_more(quiet_s):
            if time.monotonic() > until_s:
                raise NotFoundOutError(self._why(f"it has not stopped sending for {LONGEST_S:g} s"))
        self._subscribe(filters[:1])
        if self.connection.reconnects != connection:
            raise NotFoundOutError(self._why("the connection was lost"))
        with self._changed:
            return dict(sorted(self._messages.items()))

    @property
    def any_retained(self) -> bool:
        """Whether a retained message has come since the last `read` began."""
        return self._heard > 0

    def listen(self, seconds: float) -> dict[str, Incoming]:
        """The newest message of each topic since the last `read` began; waits up to `seconds` for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages, seconds)
            return dict(sorted(self._messages.items()))

    def _subscribe(self, filters: Sequence[str], *, again: bool = False) -> None:
        """Ask for `filters` and wait for the answer; `again`: as for the first time, nothing is heard yet."""
        with self._changed:
            answers, self._lost = self._answers, None
        started_s = time.monotonic()
        self.connection.post(lambda: self._ask(filters, again=again))
        self._wait(lambda: self._answers > answers, ANSWER_S, "it did not answer a subscription")
        self.round_trip_s = time.monotonic() - started_s
        with self._changed:
            self._changed.wait_for(lambda: self._lost or not self.connection.refusal, AGAIN_S)
        if refusal := self.connection.refusal:
            raise refusal

    def _hears_more(self, quiet_s: float) -> bool:
        with self._changed:
            heard = self._heard
            more = self._changed.wait_for(lambda: self._lost or self._heard > heard, quiet_s)
        if self._lost:
            raise NotFoundOutError(self._why(self._lost))
        return bool(more)

    def _wait(self, condition: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        with self._changed:
            met = self._changed.wait_for(lambda: self._lost or condition(), timeout_s)
        if self._lost or not met:
            raise NotFoundOutError(self._why(self._lost or otherwise))

    def _why(self, reason: str) -> str:
        return f"broker {self.connection.address}: {reason}; what it retains could not be found out"

    # The network thread

    def _ask(self, filters: Sequence[str], *, again: bool) -> None:
        if not self.connection.up:
            self.disconnected("the connection was lost")
            return
        if again:
            with self._changed:
                self._messages.clear()
                self._heard = 0
            self.connection.unsubscribe(filters)
        self.connection.subscribe([(topic, 0) for topic in filters], self._answered)

    def _answered(self, _codes: Mapping[str, int]) -> None:
        with self._changed:
            self._answers += 1
            self._changed.notify_all()

    def connected(self) -> None:
        """Nothing to do: `read` subscribes."""

    def disconnected(self, reason: str) -> None:
        """What is being read is not known any more; the connection reconnects."""
        with self._changed:
            self._lost = reason
            self._changed.notify_all()

    def received(self, message: Incoming) -> None:
        """Note what is retained; a message published meanwhile replaces the retained one."""
        with self._changed:
            if message.payload:
                self._messages[message.topic] = message
            else:
                self._messages.pop(message.topic, None)
            self._heard += message.retain
            self._changed.notify_all()

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due."""
        return 1.0
