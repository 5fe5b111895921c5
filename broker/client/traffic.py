"""What passes through a connection, and whom it serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from broker.client.one_step import OneStepTimestamp
    from runtime.clock import Reading
    from schemas.exchange import StampKind


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; one with a `late` stamp goes at QoS 0, not retained."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    late: OneStepTimestamp | None = field(default=None, compare=False)


class Incoming(NamedTuple):
    """A message that arrived, and the clock as it stood then; `stamp` says how that is known."""

    topic: str
    payload: bytes
    retain: bool
    received: Reading
    stamp: StampKind = "user"


class Owner(Protocol):
    """Whom a connection serves; every call comes from the network thread."""

    def connected(self) -> None:
        """Called after every (re)connect: subscribe and announce here."""

    def disconnected(self, reason: str) -> None:
        """Called when an established connection ends, but not by `stop`."""

    def received(self, message: Incoming) -> None:
        """Called for each message."""

    def tick(self, now: Reading) -> float:
        """Called often, connected or not; returns how many seconds it may take until the next call."""
