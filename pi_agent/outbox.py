"""What the agent publishes, made ready to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.client.one_step import OneStepTimestamp, with_room
from broker.interface import Outgoing
from runtime.version import VERSION
from schemas import topics
from schemas.instants import utc_from_ns
from schemas.messages import Event, Info

if TYPE_CHECKING:
    from pi_agent.responder import Answerer
    from runtime.clock_watch import ClockChange
    from schemas.exchange import StampKind
    from schemas.messages import Pong, Status
    from schemas.topics import TopicKind


@dataclass(frozen=True, slots=True)
class Outbox:
    """Makes one vehicle's messages; what it says of itself is the same in each."""

    root: str
    vehicle: str
    answerer: Answerer
    started_ns: int
    """The Pi's realtime when the agent started, ns since the Unix epoch."""
    simulated: bool

    def status(self, word: Status) -> Outgoing:
        """Whether the agent is there."""
        return self._outgoing(topics.STATUS, word.encode())

    def info(self, *, receive_stamp: StampKind, clock_synchronized: bool, http_port: int | None) -> Outgoing:
        """Who the agent is."""
        info = Info(
            vehicle=self.vehicle,
            version=VERSION,
            boot_id=self.answerer.boot_id,
            instance_id=self.answerer.instance_id,
            started_at=utc_from_ns(self.started_ns),
            receive_stamp=receive_stamp,
            clock_synchronized=clock_synchronized,
            http_port=http_port,
            simulated=self.simulated,
        )
        return self._outgoing(topics.INFO, info.encode())

    def event(self, change: ClockChange) -> Outgoing:
        """What happened to the clock, dated by the first reading after it."""
        event = Event(
            vehicle=self.vehicle,
            kind=change.kind,
            at=utc_from_ns(change.seen.realtime_ns),
            at_raw_ns=change.seen.raw_ns,
            step_ms=change.moved_ns / 1e6,
            boot_id=self.answerer.boot_id,
        )
        return self._outgoing(topics.EVENT, event.encode())

    def pong_topic(self, topside: str) -> str:
        """Where the answers to `topside` go."""
        return topics.build(self.root, topics.PONG, vehicle=self.vehicle, topside=topside)

    def pong(self, topic: str, pong: Pong) -> Outgoing:
        """The answer, with its transmit stamp to be taken at the socket write."""
        payload, position = with_room(pong.encode(), "transmit_ns")
        stamp = OneStepTimestamp(position, pong.realtime_minus_raw_ns)
        return Outgoing(topic, payload, topics.PONG.qos, one_step=stamp)

    def _outgoing(self, kind: TopicKind, payload: bytes) -> Outgoing:
        topic = topics.build(self.root, kind, vehicle=self.vehicle)
        return Outgoing(topic, payload, kind.qos, kind.retain)
