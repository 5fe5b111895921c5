"""What topside publishes, made ready to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.client.one_step import OneStepTimestamp, with_room
from broker.connection import Outgoing
from schemas import topics

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import OffsetResult, Ping, Status


@dataclass(frozen=True, slots=True)
class Outbox:
    """Makes one topside's messages."""

    root: str
    topside: str

    def status(self, word: Status) -> Outgoing:
        """Whether this topside is there."""
        kind = topics.TOPSIDE_STATUS
        topic = topics.build(self.root, kind, topside=self.topside)
        return Outgoing(topic, word.encode(), kind.qos, kind.retain)

    def ping(self, vehicle: str, ping: Ping, sent: Reading) -> Outgoing:
        """The question, its origin to be stamped at the socket write."""
        payload, position = with_room(ping.encode(), "origin_ns")
        return self._outgoing(
            topics.PING, vehicle, payload, OneStepTimestamp(position, sent.realtime_minus_raw_ns)
        )

    def result(self, result: OffsetResult) -> Outgoing:
        """How a vehicle's clock stands."""
        return self._outgoing(topics.OFFSET, result.vehicle, result.encode())

    def no_result(self, vehicle: str) -> Outgoing:
        """What clears the retained result of a vehicle."""
        return self._outgoing(topics.OFFSET, vehicle, b"")

    def batch(self, vehicle: str, payload: bytes) -> Outgoing:
        """Finished exchanges, encoded already."""
        return self._outgoing(topics.EXCHANGE, vehicle, payload)

    def _outgoing(
        self, kind: topics.TopicKind, vehicle: str, payload: bytes, late: OneStepTimestamp | None = None
    ) -> Outgoing:
        topic = topics.build(self.root, kind, vehicle=vehicle, topside=self.topside)
        return Outgoing(topic, payload, kind.qos, kind.retain, late)
