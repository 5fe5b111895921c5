"""The connection as agents see it: messages, callbacks, and the Protocol that simulations implement, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.address import BrokerAddress
    from broker.client.one_step import OneStepTimestamp
    from broker.errors import BrokerError, NotAuthorizedError
    from broker.settings import ConnectionSettings
    from broker.subscriptions import Answered
    from runtime.clock import Clock, Reading
    from runtime.watchdog import Loop
    from schemas.exchange import StampKind


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; one with a one-step timestamp goes at QoS 0, not retained."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    one_step: OneStepTimestamp | None = field(default=None, compare=False)


class Incoming(NamedTuple):
    """A message that arrived, and the clock at its arrival; `stamp` is where that was taken."""

    topic: str
    payload: bytes
    retain: bool
    received: Reading
    stamp: StampKind = "user"


class Callbacks(Protocol):
    """What a connection calls, always from the network thread."""

    def connected(self) -> None:
        """Called after every (re)connect: subscribe and announce here."""

    def disconnected(self, reason: str) -> None:
        """Called when an established connection ends, but not by `stop`."""

    def received(self, message: Incoming) -> None:
        """Called for each message."""

    def tick(self, now: Reading) -> float:
        """Called often, connected or not; returns the seconds until the next call at the latest."""


class MqttConnection(Protocol):
    """What agents use of a connection; `broker.connection.Connection` is the one over a network."""

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""

    @property
    def loop(self) -> Loop:
        """The network thread in which the agent's code runs."""

    @property
    def up(self) -> bool:
        """Whether the broker has accepted the connection, and it has not ended since."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The network threads, for the watchdog."""

    @property
    def carries_pings(self) -> bool:
        """Whether pings get through: they may have a connection of their own."""

    @property
    def address(self) -> BrokerAddress:
        """The broker that is used, or tried."""

    @property
    def reconnects(self) -> int:
        """How often the broker has accepted it again."""

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt failed, or no connection lasts; else what is refused or not answered."""

    @property
    def refusal(self) -> NotAuthorizedError | None:
        """What the broker refuses to this account, with the `filters`; None when nothing is known of that."""

    @property
    def status_text(self) -> str:
        """The state of the connection, in words."""

    @property
    def receive_stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a one-step timestamp is taken."""

    def start(self) -> None:
        """Begin connecting; returns at once."""

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether it is up within `timeout_s`."""

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether within `timeout_s` the broker has answered every `subscribe` of the present connection.

        False while there is no connection, or none was asked for. `refusal` then names what was refused.
        """

    def wait_until_finished(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended within `timeout_s`, by `stop` or by a failure that retries cannot mend."""

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the network thread; any thread may ask."""

    def stop(self, farewell: Sequence[Outgoing] = ()) -> None:
        """Publish `farewell`, disconnect and end, within a second."""

    def publish(self, *messages: Outgoing) -> bool:
        """Send now; false (and nothing queued) while there is no connection. Network thread only."""

    def subscribe(self, filters: Sequence[tuple[str, int]], answered: Answered | None = None) -> None:
        """Ask for `(filter, QoS)` pairs, in one packet. Network thread only.

        `answered` is called in that thread with the broker's code of each filter: the QoS granted, or
        `broker.subscriptions.REFUSED`; not when the connection ends first. What was refused is asked for
        again, after a second, then less often, and `answered` called with its codes. Of what is retained,
        messages may arrive before the call and after it.
        """

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`. Network thread only."""


class Connect(Protocol):
    """Makes an agent's connection: `Connection` itself, or a simulated one."""

    def __call__(
        self,
        settings: ConnectionSettings,
        callbacks: Callbacks,
        clock: Clock,
        *,
        name: str,
        will: Outgoing | None = None,
        persistent: bool = False,
    ) -> MqttConnection:
        """A connection that has not started yet."""
