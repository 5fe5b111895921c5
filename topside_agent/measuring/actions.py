"""What a measurement wants done: the actions that its methods return."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import OffsetResult, Ping
    from topside_agent.measuring.exchanger import Reason


class SendPing(NamedTuple):
    """Send `ping` now; `sent` is the reading that it was made from."""

    ping: Ping
    sent: Reading


class Settled(NamedTuple):
    """No ping is under way, and none follows at once."""


class ResultDue(NamedTuple):
    """Call `publish` as soon as a message disturbs no exchange."""


class PublishResult(NamedTuple):
    """Publish a result, retained."""

    result: OffsetResult


class PublishBatch(NamedTuple):
    """Publish finished exchanges, an encoded `ExchangeBatch`."""

    payload: bytes


class Drop(NamedTuple):
    """The pong made no exchange: count it, and log `sentence`."""

    reason: Reason
    sentence: str


class BurstDirectly(NamedTuple):
    """Make a burst of exchanges over the direct path as soon as possible."""


class SetTimer(NamedTuple):
    """Call `timer` at topside's RAW `due_ns`, instead of at any time set before."""

    due_ns: int


Action = SendPing | Settled | ResultDue | PublishResult | PublishBatch | Drop | BurstDirectly | SetTimer
