"""A topside's presence at the broker: its status, kept true, and the warning of another of its name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from schemas import topics
from schemas.messages import OffsetResult
from schemas.presence import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.inbox import Letter
    from broker.interface import MqttConnection
    from broker.subscriptions import Answered
    from topside_agent.measuring.namesakes import Namesakes
    from topside_agent.measuring.publisher import MessageBuilder

_log = logging.getLogger(__name__)

ANNOUNCE_EVERY_NS = 60_000_000_000
"""Some brokers send nothing retained to those who subscribe with a wildcard; and vehicles answer it."""
HEARTBEAT_NS = 1_000_000_000
"""So that a namesake is noticed although neither measures a vehicle."""
_REPEAT_NS = 1_000_000_000
"""Two namesakes whose connections fail by turns must not answer each other without a pause."""
OWN = (topics.TOPSIDE_STATUS, topics.TOPSIDE_HEARTBEAT, topics.OFFSET)
"""What others of its name publish as well."""


class Presence:
    """Used in the network thread alone. Where it may not read its own topics, it notices no namesake."""

    def __init__(
        self, builder: MessageBuilder, connection: MqttConnection, namesakes: Namesakes, boot_id: str
    ) -> None:
        self._builder, self._connection, self._namesakes = builder, connection, namesakes
        self._boot_id = boot_id
        self.settling: Callable[[int], bool] | None = None
        """Of a group's topside: whether it is settling at this RAW, as its heartbeats say."""
        self._started_ns: int | None = None
        self._heartbeat_due_ns = 0
        self._offline = False
        self._announced_ns = 0
        self._warned = False

    def connected(self, now_raw_ns: int, answered: Answered) -> None:
        """Subscribe to all that a topside reads, `answered` gets the answer; and say online.

        Its own results come back to it: at QoS 0, without an acknowledgement of each.
        """
        root, own = self._builder.root, {"topside": self._builder.topside}
        echoed = {topics.subscription(root, kind, **own) for kind in OWN}
        read = [(name, 0 if name in echoed else qos) for name, qos in topics.read_by(root, "topside", **own)]
        self._connection.subscribe(read, answered)
        self._announce(now_raw_ns)

    def received(self, letter: Letter) -> None:
        """A message on one of its own topics, from this process or from another."""
        body, incoming = letter.body, letter.incoming
        if letter.topic.topside != self._builder.topside:
            return
        if isinstance(body, OffsetResult):
            self._namesakes.heard(
                incoming.topic,
                body.instance_id,
                incoming.received.raw_ns,
                retained=incoming.retain,
                interval_s=body.interval_s,
            )
        elif isinstance(body, Heartbeat):
            self._namesakes.heard(
                incoming.topic,
                body.instance_id,
                incoming.received.raw_ns,
                retained=incoming.retain,
                interval_s=HEARTBEAT_NS / 1e9,
            )
        elif body == "offline" and not incoming.retain:  # a namesake's, or an earlier process's late will
            self._offline = True

    def tick(self, now_raw_ns: int) -> bool:
        """Announce what is due; whether a namesake has appeared or gone, as every result is to say."""
        if now_raw_ns - self._announced_ns >= (_REPEAT_NS if self._offline else ANNOUNCE_EVERY_NS):
            self._announce(now_raw_ns)
        instance_id = self._namesakes.instance_id
        if instance_id and now_raw_ns >= self._heartbeat_due_ns:
            missed = now_raw_ns >= self._heartbeat_due_ns + HEARTBEAT_NS
            self._heartbeat_due_ns = (now_raw_ns if missed else self._heartbeat_due_ns) + HEARTBEAT_NS
            self._started_ns = now_raw_ns if self._started_ns is None else self._started_ns
            uptime_s = (now_raw_ns - self._started_ns) / 1e9
            settling = self.settling(now_raw_ns) if self.settling else None
            self._connection.publish(
                self._builder.heartbeat(instance_id, self._boot_id, uptime_s, settling=settling)
            )
        alive = self._namesakes.alive(now_raw_ns)
        if alive == self._warned:
            return False
        self._warned = alive
        name, other = self._builder.topside, self._namesakes.other or "of an earlier version"
        if alive:
            _log.warning(
                "another topside %r is alive (process %s): no result of either can be relied on until one of"
                " them is stopped or renamed (--topside NAME)",
                name,
                other,
            )
        else:
            _log.info("the other topside %r is gone", name)
        return True

    def _announce(self, now_raw_ns: int) -> None:
        self._offline, self._announced_ns = False, now_raw_ns
        self._connection.publish(self._builder.status("online"))
