"""What topside publishes: its messages made ready and sent, and changes of the results logged."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.client.one_step import WIDTH, OneStepTimestamp
from broker.interface import Outgoing
from runtime.logs import PeerLog
from schemas import topics
from schemas.clock_history import TopsideClock
from schemas.messages import DUPLICATES
from schemas.presence import Heartbeat
from topside_agent.measuring.actions import PublishBatch, PublishResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from runtime.clock import Reading
    from schemas.clock_history import ClockPiece
    from schemas.messages import Event, OffsetResult, Ping, Status
    from schemas.presence import Member
    from schemas.topic_kind import TopicKind
    from topside_agent.integrations.blueos_mirror import BlueosMirror
    from topside_agent.measuring.actions import Action, SendPing

_log = logging.getLogger(__name__)

_LINES_PER_MINUTE = 20
"""Of a vehicle's states, and of its events."""


@dataclass(frozen=True, slots=True)
class MessageBuilder:
    """Makes one topside's messages."""

    root: str
    topside: str

    def status(self, word: Status) -> Outgoing:
        """Whether this topside is online."""
        kind = topics.TOPSIDE_STATUS
        topic = topics.build(self.root, kind, topside=self.topside)
        return Outgoing(topic, word.encode(), kind.qos, kind.retain)

    def heartbeat(
        self, instance_id: str, boot_id: str, uptime_s: float, *, settling: bool | None = None
    ) -> Outgoing:
        """That this process is there, `uptime_s` after its start; whether it is `settling` in its group."""
        kind = topics.TOPSIDE_HEARTBEAT
        message = Heartbeat(
            topside=self.topside,
            instance_id=instance_id,
            boot_id=boot_id,
            uptime_s=round(uptime_s, 3),
            settling=settling,
        )
        return Outgoing(topics.build(self.root, kind, topside=self.topside), message.encode(), kind.qos)

    def member(self, member: Member) -> Outgoing:
        """That this process is in a group."""
        kind = topics.TOPSIDE_MEMBER
        topic = topics.build(self.root, kind, topside=self.topside)
        return Outgoing(topic, member.encode(), kind.qos, kind.retain)

    def no_member(self) -> Outgoing:
        """That it is no longer."""
        kind = topics.TOPSIDE_MEMBER
        return Outgoing(topics.build(self.root, kind, topside=self.topside), b"", kind.qos, kind.retain)

    def clock(self, boot_id: str, instance_id: str, first: int, pieces: tuple[ClockPiece, ...]) -> Outgoing:
        """Pieces of the clock history of a process of this topside, this one or one before it."""
        message = TopsideClock(
            topside=self.topside, boot_id=boot_id, instance_id=instance_id, first=first, pieces=pieces
        )
        kind = topics.TOPSIDE_CLOCK
        return Outgoing(topics.build(self.root, kind, topside=self.topside), message.encode(), kind.qos)

    def ping(self, vehicle: str, ping: Ping, sent: Reading) -> Outgoing:
        """A ping whose origin is to be stamped at the socket write; as its model writes it, with room."""
        head = b'{"v":1,"seq":%d,"nonce":"%b","origin_ns":' % (ping.seq, ping.nonce.encode())
        departure = OneStepTimestamp(len(head), sent.realtime_minus_raw_ns)
        return self._outgoing(topics.PING, vehicle, b"%b%*d}" % (head, WIDTH, ping.origin_ns), departure)

    def result(self, result: OffsetResult) -> Outgoing:
        """A vehicle's result."""
        return self._outgoing(topics.OFFSET, result.vehicle, result.encode())

    def no_result(self, vehicle: str) -> Outgoing:
        """Clears the retained result of a vehicle."""
        return self._outgoing(topics.OFFSET, vehicle, b"")

    def batch(self, vehicle: str, payload: bytes) -> Outgoing:
        """Finished exchanges, encoded already."""
        return self._outgoing(topics.EXCHANGE, vehicle, payload)

    def _outgoing(
        self, kind: TopicKind, vehicle: str, payload: bytes, stamp: OneStepTimestamp | None = None
    ) -> Outgoing:
        topic = topics.build(self.root, kind, vehicle=vehicle, topside=self.topside)
        return Outgoing(topic, payload, kind.qos, kind.retain, stamp)


class Publisher:
    """To be used while connected: what `send` takes reaches the broker, if over a later connection."""

    def __init__(
        self,
        builder: MessageBuilder,
        send: Callable[..., bool],
        mirror: BlueosMirror,
        *,
        pairs: bool = False,
    ) -> None:
        """With `pairs` exchanges are published, and no results."""
        self._builder = builder
        self._pairs = pairs
        self._send = send
        self._mirror = mirror
        self._logged: dict[str, tuple[str, str | None]] = {}
        self._log = PeerLog(_log, _LINES_PER_MINUTE)
        self._sent: dict[str, int] = {}
        """The hash of the last result on each topic."""

    def ping(self, vehicle: str, ping: SendPing) -> OneStepTimestamp | None:
        """Send a ping to `vehicle`; the time stamp that the socket write will fill in."""
        message = self._builder.ping(vehicle, *ping)
        self._send(message)
        return message.one_step

    def publish(self, actions: Mapping[str, Iterable[Action]], now: Reading) -> None:
        """Publish, in one write, the results and batches among the actions of each vehicle."""
        messages = [
            message
            for vehicle, each in actions.items()
            for action in each
            for message in self._messages(vehicle, action, now)
        ]
        if messages:
            self._send(*messages)

    def log_event(self, event: Event, now_ns: int) -> None:
        """Log what a vehicle reports; `now_ns` is topside's RAW clock."""
        sentence = f"{event.vehicle} reports a {event.kind} of {event.step_ms:.3f} ms"
        self._log.info((event.vehicle, "event"), sentence, now_ns)

    def forget(self, vehicle: str) -> None:
        """Clear the retained result of `vehicle`."""
        self._logged.pop(vehicle, None)
        self._mirror.forget(vehicle)
        if self._pairs:
            return
        cleared = self._builder.no_result(vehicle)
        self._sent.pop(cleared.topic, None)
        self._send(cleared)

    def sent_last(self, topic: str, payload: bytes) -> bool:
        """Whether this is the last result on `topic`, byte for byte: its echo need not be decoded."""
        return self._sent.get(topic) == hash(payload)

    def _messages(self, vehicle: str, action: Action, now: Reading) -> Iterator[Outgoing]:
        match action:
            case PublishResult(result):
                self._log_change(result, now.raw_ns)
                if self._pairs:
                    return
                message = self._builder.result(result)
                self._sent[message.topic] = hash(message.payload)
                yield message
                yield from self._mirror.due(result, now)
            case PublishBatch(payload):
                yield self._builder.batch(vehicle, payload)
            case _:
                pass

    def _log_change(self, result: OffsetResult, now_ns: int) -> None:
        before = self._logged.get(result.vehicle)
        if before == (result.state, result.error):
            return
        self._logged[result.vehicle] = (result.state, result.error)
        if result.error == "duplicate_vehicle" and (before is None or before[1] != result.error):
            self._log.warning((result.vehicle, "duplicate"), _duplicate(result.vehicle), now_ns)
        offset = (
            "" if result.offset_ms is None else f": {result.offset_ms} ms, max error {result.max_error_ms} ms"
        )
        if result.error in DUPLICATES:
            offset = ""
        reason = f" ({result.error})" if result.error else ""
        if result.error == "clock_rate" and result.drift_ppm is not None:
            reason += f": the RAW clocks run {result.drift_ppm:+.0f} ppm apart"
        self._log.info(result.vehicle, f"{result.vehicle} is {result.state}{offset}{reason}", now_ns)


def _duplicate(vehicle: str) -> str:
    return (
        f"two processes answer to the name {vehicle}: no timing of it can be relied on until one of them"
        " is stopped or renamed (`tidesync pi --vehicle NAME`)"
    )
