"""Two connections as one: pings and pongs on their own, so that no message to be stored holds them up.

A NATS node reads nothing more from a client while a QoS 1 message of it waits for the cluster. The agent's
code runs in the network thread of the pings; what concerns the other connection is handed to its thread, and
back.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.over_account import OverAccount
from broker.subscriptions import REFUSED
from schemas.topics import concerns_pings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from broker.address import BrokerAddress
    from broker.interface import Callbacks, Incoming, Outgoing
    from broker.settings import ConnectionSettings
    from broker.subscriptions import Answered
    from runtime.clock import Clock, Reading
    from runtime.watchdog import Loop

_log = logging.getLogger(__name__)

_MOST_HANDED_OVER = 10_000
"""Messages that wait for the agent's thread; then the broker is made to wait."""
_WAIT_FOR_ROOM_S = 5.0
_MOST_UNSENT = 1000


class TwoConnections(OverAccount):
    """An `MqttConnection` over the account's connection and one of its account for pings.

    Where there are several brokers a spare one is kept at another of them, subscribed to the same: a cluster
    that has lost a node may let nobody in, and grant nothing, for ten seconds. While neither is there, or the
    account for pings is refused, pings go over the account's own.
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
        self._granted: tuple[Connection, ...] = ()
        """Connections for pings that have been granted these."""
        self._unsent: deque[Outgoing] = deque(maxlen=_MOST_UNSENT)
        """Messages that the account's connection took, and lost its broker before it sent them."""
        self._room = threading.Semaphore(_MOST_HANDED_OVER)
        of_pings, for_pings = settings.for_pings, partial(Connection, lasting=True, gather_s=gather_s)
        self.pings = for_pings(of_pings, _OfPings(self, callbacks), clock, name=f"{name}-ping")
        self.main = Connection(settings, _OfAccount(self), clock, name=name, will=will, persistent=persistent)
        self.spare: Connection | None = None
        if settings.has_several:
            self.spare = for_pings(of_pings, _OfSpare(self), clock, name=f"{name}-spare")
            self.spare.policy.avoided = lambda: self.pings.address
            self.pings.policy.avoided = partial(_address_of, self.spare)
        self._all = tuple(each for each in (self.pings, self.spare, self.main) if each)

    # Any thread

    @property
    def carrier(self) -> Connection:
        """The connection that pings go over now."""
        return next((each for each in self._all if each in self._granted), self.main)

    @property
    def loop(self) -> Loop:
        """The agent's network thread."""
        return self.pings.loop

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All network threads."""
        return tuple(each.loop for each in self._all)

    def start(self) -> None:
        """Begin connecting; returns at once."""
        for each in self._all:
            each.start()

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the agent's thread."""
        self.pings.post(work)

    def stop(self, farewell: Sequence[Outgoing] = ()) -> None:
        """End the agent's thread, once it has done what was posted; publish `farewell`, disconnect, end."""
        self.pings.stop()
        if self.spare:
            self.spare.stop()
        self.main.stop(farewell)

    # The agent's thread

    def publish(self, *messages: Outgoing) -> bool:
        """Send now, pings and pongs at once from here; false while what has to carry one is not connected."""
        pings = [message for message in messages if concerns_pings(message.topic)]
        others = [message for message in messages if not concerns_pings(message.topic)]
        done, carrier = True, self.carrier
        if pings and carrier is self.pings:
            done = carrier.publish(*pings)
        elif pings:
            done = carrier.up
            carrier.post(lambda: carrier.publish(*pings))
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
            for each in self._all[:-1]:
                if each.up and each not in self._granted:
                    self.pings_connected(each)
            if self.carrier is self.main:
                others = [*filters]
        if others:
            self._ask(self.main, others, answered)

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._wanted = {name: qos for name, qos in self._wanted.items() if name not in filters}
        for each in self._all:
            if each.up:
                each.post(partial(each.unsubscribe, filters))

    def pings_connected(self, connection: Connection) -> None:
        """One of their connections is there."""
        if self._wanted:
            self._ask(connection, [*self._wanted.items()], partial(self._pings_answered, connection))

    def _ask(
        self, connection: Connection, filters: Sequence[tuple[str, int]], answered: Answered | None
    ) -> None:
        handed = None if answered is None else lambda codes: self.post(lambda: answered(codes))
        connection.post(lambda: connection.subscribe(filters, handed))

    def _pings_answered(self, connection: Connection, codes: Mapping[str, int]) -> None:
        """From the first answer on that grants all, pings do not go over the account's connection."""
        if REFUSED in codes.values() or not connection.up or connection in self._granted:
            return
        if self._answered is not None:
            self._answered(codes)
        had_none = self.carrier is self.main
        self._granted += (connection,)
        _log.info("pings may go over a connection of their own, to broker %s", connection.address)
        if had_none:
            names = [*self._wanted]
            self.main.post(lambda: self.main.unsubscribe(names))

    def pings_disconnected(self, connection: Connection, reason: str) -> None:
        """Pings go over another connection, if they went over this one."""
        was_used = self.carrier is connection
        self._granted = tuple(each for each in self._granted if each is not connection)
        if not was_used:
            return
        if self.carrier.up:
            _log.warning("pings go over another connection: their own ended (%s)", reason)
        else:
            self._callbacks.disconnected(reason)
        if self.carrier is self.main and self.main.up:
            self._ask(self.main, [*self._wanted.items()], self._answered)

    def connected(self) -> None:
        """The account's connection is there: send what it had not sent, then what the agent wants."""
        unsent, self._unsent = self._unsent, deque(maxlen=_MOST_UNSENT)
        if unsent:
            self.publish(*unsent)
        self._callbacks.connected()

    def disconnected(self, reason: str) -> None:
        """The account's connection ended; pings go on while one of theirs is up."""
        if self.carrier is not self.main:
            _log.warning("lost the broker (%s); pings go on over their own connection", reason)
        else:
            self._callbacks.disconnected(reason)

    def _keep(self, messages: Sequence[Outgoing]) -> None:
        """What is retained is published again anyway, and at QoS 0 nothing is owed."""
        self._unsent += [message for message in messages if message.qos and not message.retain]

    # The threads of the other connections

    def _publish(self, messages: Sequence[Outgoing]) -> None:
        if not self.main.publish(*messages):
            self.post(lambda: self._keep(messages))

    def hand_over(self, message: Incoming) -> None:
        """Have the agent's thread take a message; wait when it is far behind, so that the broker does."""
        self._room.acquire(timeout=_WAIT_FOR_ROOM_S)
        self.post(lambda: self._take(message))

    def _take(self, message: Incoming) -> None:
        self._room.release()
        self._callbacks.received(message)


def _address_of(spare: Connection) -> BrokerAddress | None:
    """Where it is, or tries to be; None once it was given up."""
    return None if spare.wait_until_finished(0) else spare.address


class _OfPings:
    """What the pings' connection calls: its thread is the agent's."""

    def __init__(self, both: TwoConnections, callbacks: Callbacks) -> None:
        self.connected = lambda: both.pings_connected(both.pings)
        self.disconnected = lambda reason: both.pings_disconnected(both.pings, reason)
        self.received = callbacks.received
        self.tick = callbacks.tick


class _HandedOver:
    """What another connection calls, handed over to the agent's thread."""

    connected: Callable[[], None]
    disconnected: Callable[[str], None]

    def __init__(self, both: TwoConnections) -> None:
        self._both = both
        self.received = both.hand_over

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due in this thread."""
        return 1.0


class _OfAccount(_HandedOver):
    """Of the account's connection."""

    def __init__(self, both: TwoConnections) -> None:
        super().__init__(both)
        self.connected = lambda: both.post(both.connected)
        self.disconnected = lambda reason: both.post(lambda: both.disconnected(reason))


class _OfSpare(_HandedOver):
    """Of the spare one, which hears all that the other hears."""

    def __init__(self, both: TwoConnections) -> None:
        super().__init__(both)
        self.received = self._received

    def _received(self, message: Incoming) -> None:
        if self._both.carrier is self._spare:
            self._both.hand_over(message)

    def connected(self) -> None:
        """It is there."""
        self._both.post(lambda: self._both.pings_connected(self._spare))

    def disconnected(self, reason: str) -> None:
        """It ended. A broker that binds client ids to accounts ends it again and again, or the other one."""
        if self._spare.policy.suspicious:
            threading.Thread(target=self._spare.stop, daemon=True).start()
        self._both.post(lambda: self._both.pings_disconnected(self._spare, reason))

    @property
    def _spare(self) -> Connection:
        assert self._both.spare is not None
        return self._both.spare
