"""Two connections as one: pings and pongs on their own, so that no message to be stored holds them up.

A NATS node reads nothing more from a client while a QoS 1 message of it waits for the cluster. The agent's
code runs in the network thread of the pings; what concerns the other connection is handed to its thread, and
back.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.subscriptions import REFUSED
from schemas.topics import concerns_pings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from broker.address import BrokerAddress
    from broker.errors import BrokerError, NotAuthorizedError
    from broker.interface import Callbacks, Incoming, Outgoing
    from broker.settings import ConnectionSettings
    from broker.subscriptions import Answered
    from runtime.clock import Clock, Reading
    from runtime.watchdog import Loop
    from schemas.exchange import StampKind

_log = logging.getLogger(__name__)

_MOST_HANDED_OVER = 10_000
"""Messages that wait for the agent's thread; then the broker is made to wait."""
_WAIT_FOR_ROOM_S = 5.0
_MOST_UNSENT = 1000


class TwoConnections:
    """An `MqttConnection` over the account's connection and one of its account for pings.

    While that one is away, or refused, pings go over the account's own.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        callbacks: Callbacks,
        clock: Clock,
        *,
        name: str,
        will: Outgoing | None = None,
        persistent: bool = False,
        gather_s: float = 0.0,
    ) -> None:
        self._callbacks = callbacks
        self._wanted: dict[str, int] = {}
        """Filters of pings, and their QoS."""
        self._answered: Answered | None = None
        self._granted = False
        self._unsent: deque[Outgoing] = deque(maxlen=_MOST_UNSENT)
        """Messages that the account's connection took, and lost its broker before it sent them."""
        self._room = threading.Semaphore(_MOST_HANDED_OVER)
        self.pings = Connection(
            settings.for_pings,
            _OfPings(self, callbacks),
            clock,
            name=f"{name}-ping",
            lasting=True,
            gather_s=gather_s,
        )
        self.main = Connection(settings, _OfAccount(self), clock, name=name, will=will, persistent=persistent)

    # Any thread

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""
        return self.main.failure

    @property
    def loop(self) -> Loop:
        """The agent's network thread."""
        return self.pings.loop

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Both network threads."""
        return (self.pings.loop, self.main.loop)

    @property
    def up(self) -> bool:
        """Whether the account's connection is."""
        return self.main.up

    @property
    def carries_pings(self) -> bool:
        """Whether either is up."""
        return self.pings.up or self.main.up

    @property
    def address(self) -> BrokerAddress:
        """The broker of the account's connection."""
        return self.main.address

    @property
    def reconnects(self) -> int:
        """Of the account's connection."""
        return self.main.reconnects

    @property
    def last_problem(self) -> str | None:
        """That of the account's connection, else that of the pings' own."""
        return self.main.last_problem or (self._problem_of_pings if self.main.up else None)

    @property
    def refusal(self) -> NotAuthorizedError | None:
        """What the broker refuses to either account."""
        return self.main.refusal or self.pings.refusal

    @property
    def status_text(self) -> str:
        """The state of the account's connection, then of the pings' own where that is not as it should be."""
        problem = self._problem_of_pings if self.main.up and not self.main.last_problem else None
        return problem or self.main.status_text

    @property
    def _problem_of_pings(self) -> str | None:
        problem = self.pings.last_problem
        return f"pings have no connection of their own: {problem}" if problem else None

    @property
    def receive_stamp(self) -> StampKind:
        """Where pings and pongs are stamped when they arrive."""
        return self._carrier.receive_stamp

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a one-step timestamp is taken."""
        return self._carrier.transmit_stamp

    @property
    def _carrier(self) -> Connection:
        return self.pings if self.pings.up else self.main

    def start(self) -> None:
        """Begin connecting; returns at once."""
        self.pings.start()
        self.main.start()

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether the account's connection is up within `timeout_s`."""
        return self.main.wait_until_up(timeout_s)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether within `timeout_s` all that the account's connection has asked for was answered."""
        return self.main.wait_until_subscribed(timeout_s)

    def wait_until_finished(self, timeout_s: float | None = None) -> bool:
        """Whether the account's connection has ended within `timeout_s`."""
        return self.main.wait_until_finished(timeout_s)

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the agent's thread."""
        self.pings.post(work)

    def stop(self, farewell: Sequence[Outgoing] = ()) -> None:
        """End the agent's thread, once it has done what was posted; publish `farewell`, disconnect, end."""
        self.pings.stop()
        self.main.stop(farewell)

    # The agent's thread

    def publish(self, *messages: Outgoing) -> bool:
        """Send now, pings and pongs at once from here; false while what has to carry one is not connected."""
        pings = [message for message in messages if concerns_pings(message.topic)]
        others = [message for message in messages if not concerns_pings(message.topic)]
        done = True
        if pings and self.pings.up and self._granted:
            done = self.pings.publish(*pings)
        else:
            others = [*messages]
        if others:
            done = self.main.up and done
            if self.main.up:
                self.main.post(lambda: self._publish(others))
        return done

    def subscribe(self, filters: Sequence[tuple[str, int]], answered: Answered | None = None) -> None:
        """Ask for `(filter, QoS)` pairs; those of pings over their own connection while it is up."""
        pings = {name: qos for name, qos in filters if concerns_pings(name)}
        others = [each for each in filters if each[0] not in pings]
        if pings:
            self._wanted |= pings
            self._answered = answered
            if self.pings.up:
                self._ask_for_pings()
            if not self._granted:
                others = [*filters]
        if others:
            self.main.post(lambda: self.main.subscribe(others, answered and self._handing_over(answered)))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._wanted = {name: qos for name, qos in self._wanted.items() if name not in filters}
        if self.pings.up:
            self.pings.unsubscribe(filters)
        self.main.post(lambda: self.main.unsubscribe(filters))

    def pings_connected(self) -> None:
        """Their connection is there."""
        if self._wanted:
            self._ask_for_pings()

    def _ask_for_pings(self) -> None:
        self.pings.subscribe([*self._wanted.items()], self._pings_answered)

    def _pings_answered(self, codes: Mapping[str, int]) -> None:
        """From the first answer on that grants all, pings go over their own connection alone."""
        if REFUSED in codes.values():
            return
        if self._answered is not None:
            self._answered(codes)
        if not self._granted:
            self._granted = True
            _log.info("pings have a connection of their own, to broker %s", self.pings.address)
            names = [*self._wanted]
            self.main.post(lambda: self.main.unsubscribe(names))

    def pings_disconnected(self, reason: str) -> None:
        """Pings go over the account's connection."""
        self._granted = False
        wanted, answered = [*self._wanted.items()], self._answered
        if self.main.up:
            _log.warning("pings go over the account's connection: their own ended (%s)", reason)
            self.main.post(lambda: self.main.subscribe(wanted, answered and self._handing_over(answered)))
        else:
            self._callbacks.disconnected(reason)

    def connected(self) -> None:
        """The account's connection is there: send what it had not sent, then what the agent wants."""
        unsent, self._unsent = self._unsent, deque(maxlen=_MOST_UNSENT)
        if unsent:
            self.publish(*unsent)
        self._callbacks.connected()

    def disconnected(self, reason: str) -> None:
        """The account's connection ended; pings go on while theirs is up."""
        if self.pings.up and self._granted:
            _log.warning("lost the broker (%s); pings go on over their own connection", reason)
        else:
            self._callbacks.disconnected(reason)

    def _keep(self, messages: Sequence[Outgoing]) -> None:
        """What is retained is published again anyway, and at QoS 0 nothing is owed."""
        self._unsent += [message for message in messages if message.qos and not message.retain]

    # The thread of the account's connection

    def _publish(self, messages: Sequence[Outgoing]) -> None:
        if not self.main.publish(*messages):
            self.post(lambda: self._keep(messages))

    def _handing_over(self, answered: Answered) -> Answered:
        return lambda codes: self.post(lambda: answered(codes))

    def hand_over(self, message: Incoming) -> None:
        """Have the agent's thread take a message; wait when it is far behind, so that the broker does."""
        self._room.acquire(timeout=_WAIT_FOR_ROOM_S)
        self.post(lambda: self._take(message))

    def _take(self, message: Incoming) -> None:
        self._room.release()
        self._callbacks.received(message)


class _OfPings:
    """What the pings' connection calls: its thread is the agent's."""

    def __init__(self, both: TwoConnections, callbacks: Callbacks) -> None:
        self.connected = both.pings_connected
        self.disconnected = both.pings_disconnected
        self.received = callbacks.received
        self.tick = callbacks.tick


class _OfAccount:
    """What the account's connection calls, handed over to the agent's thread."""

    def __init__(self, both: TwoConnections) -> None:
        self.received = both.hand_over
        self.connected = lambda: both.post(both.connected)
        self.disconnected = lambda reason: both.post(lambda: both.disconnected(reason))

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due in this thread."""
        return 1.0
