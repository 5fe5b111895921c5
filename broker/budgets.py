"""What each peer may send an agent a minute, pure: bytes, events and exchanges; the rest is dropped.

A vehicle's messages are charged to the vehicle, those about a vehicle to the topside that sent them, so that
no account can use up what another one may send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from runtime.budgets import Budgets
from schemas import topics
from schemas.messages import Event, ExchangeBatch

if TYPE_CHECKING:
    from schemas.base import Message
    from schemas.topics import Topic

UNCHARGED = (topics.PING, topics.PONG)
"""Each is checked against what is outstanding, and time matters to them."""


class BudgetSettings(BaseModel):
    """The budgets of an agent that many peers send to."""

    events_per_minute: int = Field(
        120,
        ge=1,
        le=1_000_000,
        description="Events that a vehicle may report a minute; in a burst as many as in 15 minutes",
    )
    bytes_per_minute: int = Field(
        6_000_000,
        ge=100_000,
        le=10**10,
        description="Bytes that a vehicle, or a topside of a vehicle, may send a minute; in a burst as many "
        "as in 15 minutes",
    )
    exchanges_per_minute: int = Field(
        9000,
        ge=1,
        le=100_000_000,
        description="Exchanges that a topside may send of a vehicle a minute; in a burst, as after an "
        "outage, as many as in 15 minutes",
    )


class PeerBudgets:
    """Decides over messages in the order of their arrival; `now_ns` is the RAW clock."""

    def __init__(self, settings: BudgetSettings) -> None:
        self._settings = settings
        self._bytes = Budgets(settings.bytes_per_minute)
        self._events = Budgets(settings.events_per_minute)
        self._exchanges = Budgets(settings.exchanges_per_minute)

    def refuse_bytes(self, topic: Topic, size: int, now_ns: int) -> str | None:
        """Why a message of `size` bytes is not even decoded; None if it is."""
        if topic.kind in UNCHARGED or self._bytes.take(_peer(topic), size, now_ns):
            return None
        return _sentence(topic, self._settings.bytes_per_minute, "bytes")

    def refuse(self, topic: Topic, body: Message | str, now_ns: int) -> str | None:
        """Why a decoded message is not taken; None if it is."""
        if isinstance(body, Event) and not self._events.take(_peer(topic), 1, now_ns):
            return _sentence(topic, self._settings.events_per_minute, "events")
        count = len(body.exchanges) if isinstance(body, ExchangeBatch) else 0
        if count and not self._exchanges.take(_peer(topic), count, now_ns):
            return _sentence(topic, self._settings.exchanges_per_minute, "exchanges")
        return None


def _peer(topic: Topic) -> str:
    """Who sent it, as far as the broker's rights show it; operators share a budget."""
    if "vehicle" in topic.kind.senders:
        return f"vehicle {topic.vehicle}"
    if "topside" in topic.kind.senders:
        return f"topside {topic.topside}" + (f" of {topic.vehicle}" if topic.vehicle else "")
    return "operators"


def _sentence(topic: Topic, per_minute: int, what: str) -> str:
    return f"{_peer(topic)} sends more than {per_minute} {what} a minute; the rest is dropped"
