"""A topside's part in its group: hears and says who is there, and has the agent take and release vehicles."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from schemas import topics
from schemas.messages import OffsetResult
from schemas.presence import Heartbeat, Member
from topside_agent.group.actions import Follow, Release, Take, Unfollow, Unwatch, Watch
from topside_agent.group.decisions import Decisions
from topside_agent.group.group_filters import GroupFilters
from topside_agent.group.group_log import GroupLog
from topside_agent.group.hearing import Hearing
from topside_agent.group.later_start import LaterStart, NameTakenError
from topside_agent.group.members import Members
from topside_agent.group.nearby import Nearby
from topside_agent.measuring.counts import GroupCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from broker.interface import Incoming, MqttConnection
    from runtime.clock import Clock
    from topside_agent.group.actions import Action
    from topside_agent.group.interface import LocalChannel, Measuring, Prover
    from topside_agent.group.members import Peer
    from topside_agent.measuring.publisher import MessageBuilder
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)

_EVERY_NS = 250_000_000
_ANNOUNCE_AFTER_NS = 2_200_000_000
"""After the first connect: by then a process of the same name was heard."""
_ANNOUNCE_EVERY_NS = 2_000_000_000
"""One may have missed it while it was stopped or cut off, and some brokers retain nothing for it."""
_TAKE_NS = 10_000_000
"""For so long at a time vehicles are taken over, whose exchanges an estimator is given first."""
_MEASURED = {None, "not_authorized"}
"""Errors of a locked result that is as good as any: where pings are refused, exchanges come directly."""


class GroupShare:
    """Used in the network thread alone."""

    def __init__(
        self,
        settings: TopsideSettings,
        builder: MessageBuilder,
        connection: MqttConnection,
        agent: Measuring,
        clock: Clock,
        *,
        instance_id: str,
        capacity: int,
        proof: Prover | None = None,
        channel: LocalChannel | None = None,
    ) -> None:
        assert settings.group
        self._clock = clock
        self._topside, self._root = settings.topside, settings.topic_root
        self._builder, self._connection, self._agent = builder, connection, agent
        self._member = Member(
            topside=settings.topside,
            group=settings.group,
            weight=settings.weight,
            instance_id=instance_id,
            boot_id=clock.boot_id,
            capacity=capacity,
        )
        self._members = Members(settings.group, settings.topside)
        self._decisions = Decisions(settings.group, settings.topside, settings.weight)
        self._later_start = LaterStart(instance_id, clock.raw_ns())
        self._nearby = Nearby(settings.topside, instance_id, agent.known, proof=proof, channel=channel)
        self._filters = GroupFilters(settings.topic_root, connection)
        self._watched: set[tuple[str, str]] = set()
        self._waiting: dict[str, None] = {}
        """Vehicles that are to be measured, as soon as there is time."""
        self._together = 0
        """So many were waiting when the first of them was taken."""
        self._earlier: set[str] = set()
        """Vehicles of which an earlier process of this topside left a result."""
        self._taken = self._given = 0
        self._announce_due_ns: int | None = None
        self._announced = self._left = False
        self._hearing = Hearing()
        self._due_ns = 0
        self._log = GroupLog(settings.group)
        self.present: dict[str, Peer] = {}  # the others that are there

    # The connection

    def connected(self, now_ns: int) -> None:
        """Subscribe and listen; whoever was away for a moment only goes on as before."""
        self._listen_again(now_ns)
        self._due_ns = now_ns
        self._announce_due_ns = now_ns + (0 if self._announced else _ANNOUNCE_AFTER_NS)
        self._connection.subscribe(topics.read_in_group(self._root))
        self._filters.again(self._nearby, self._watched)
        self._nearby.missed()

    def received(self, message: Incoming) -> bool:
        """Whether this was a batch of exchanges, which is kept as it is."""
        if "/exchange/" not in message.topic:
            return False
        try:
            topic = topics.parse(self._root, message.topic)
        except topics.InvalidTopicError:
            return False
        if topic.kind is not topics.EXCHANGE:
            return False
        if topic.vehicle and topic.topside != self._topside and not message.retain:
            self._nearby.heard(topic.vehicle, topic.topside or "", message.payload, message.received.raw_ns)
        return True

    def letter(self, letter: Letter) -> None:
        """A message by which the topsides of a group know of one another, or a result."""
        body, topside, now_ns = letter.body, letter.topic.topside, letter.incoming.received.raw_ns
        if getattr(body, "topside", topside) != topside:
            return
        if isinstance(body, Member):
            self._on_member(body, now_ns)
        elif isinstance(body, Heartbeat) and not letter.incoming.retain:
            self._on_heartbeat(body, now_ns)
        elif isinstance(body, OffsetResult) and topside == self._topside:
            if letter.incoming.retain and body.instance_id != self._member.instance_id:
                self._earlier.add(body.vehicle)
        elif isinstance(body, OffsetResult) and not letter.incoming.retain:
            self._decisions.heard(
                body.vehicle,
                body.topside,
                body.instance_id,
                now_ns,
                locked=body.state == "locked" and body.error in _MEASURED,
                max_error_ms=body.max_error_ms,
                interval_s=body.interval_s,
            )

    def _on_member(self, member: Member, now_ns: int) -> None:
        self._members.announced(member)
        replaced = member.topside == self._topside and member.instance_id != self._member.instance_id
        if replaced and self._announced:
            self._announce_due_ns = now_ns + _EVERY_NS

    def _on_heartbeat(self, heartbeat: Heartbeat, now_ns: int) -> None:
        if heartbeat.topside != self._topside:
            if self._members.beat(heartbeat, now_ns) and self._announced:
                self._announce_due_ns = now_ns  # it does not know of this one
        elif heartbeat.instance_id == self._member.instance_id:
            self._hearing.echoed(now_ns)
        elif self._later_start.later(heartbeat, now_ns):
            self._announce_due_ns = None
            self._agent.end(NameTakenError(self._topside, heartbeat.instance_id))

    def cleared(self, name: str) -> None:
        """A retained message was cleared: of a member it says that it has stopped."""
        try:
            topic = topics.parse(self._root, name)
        except topics.InvalidTopicError:
            return
        if topic.kind is topics.TOPSIDE_MEMBER and topic.topside:
            self._members.left(topic.topside)

    # Vehicles

    def online(self, vehicle: str) -> None:
        """A vehicle is there; who measures it is decided by `tick`."""
        self._decisions.online(vehicle)

    def forget(self, vehicle: str) -> None:
        """A vehicle is gone for good."""
        self._waiting.pop(vehicle, None)
        self._perform(self._decisions.forget(vehicle))

    def slept(self, slept_ns: int) -> None:
        """This machine slept, and its RAW stood still: the others have gone on."""
        now_ns = self._clock.raw_ns()
        self._nearby.slept(now_ns)
        if self._announced:
            self._decisions.arrived(now_ns, slept_ns)

    # Time

    def settling(self, now_ns: int) -> bool:
        """Whether it says with its heartbeats that it has come just now."""
        return self._decisions.settling(now_ns)

    def tick(self, now_ns: int) -> bool:
        """Do what is due while connected; whether more waits to be done at once."""
        if self._left:
            return False
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _EVERY_NS
            self._look(now_ns)
        until_ns = now_ns + _TAKE_NS
        self._together = max(self._together, len(self._waiting)) if self._waiting else 0
        while self._waiting and now_ns < until_ns:
            vehicle = next(iter(self._waiting))
            del self._waiting[vehicle]
            self._take(vehicle, now_ns)
            now_ns = self._clock.raw_ns()
        return self._nearby.answer() or bool(self._waiting)

    def leave(self) -> None:
        """Leave the vehicles to the others, if there are any; do nothing more."""
        self._left = True
        self._nearby.close()
        for vehicle in sorted(self._decisions.measured) if self.present else ():
            self._release(vehicle)
        if self._announced:
            self._connection.publish(self._builder.no_member())

    def _look(self, now_ns: int) -> None:
        self._listen_again(now_ns)
        if self._announce_due_ns is not None and now_ns >= self._announce_due_ns:
            self._announce_due_ns, self._announced = now_ns + _ANNOUNCE_EVERY_NS, True
            self._connection.publish(self._builder.member(self._member))
        if not self._announced:
            return
        self.present = self._members.present(now_ns)
        self._log.members({*self.present, self._topside})
        near = self._nearby.look(now_ns, self.present)
        self._perform(self._decisions.decide(now_ns, self.present, near, self._agent.own_result))
        if self._earlier and not self._decisions.listening(now_ns):
            self._clear_earlier()

    def _listen_again(self, now_ns: int) -> None:
        if (missed_ns := self._hearing.missed_ns(now_ns)) is not None:
            self._decisions.arrived(now_ns, missed_ns)
            self._nearby.missed()

    def _clear_earlier(self) -> None:
        """Results that this topside's last process left, of vehicles that are another's now."""
        left = [vehicle for vehicle in self._earlier if self._decisions.is_anothers(vehicle)]
        self._earlier.clear()
        self._connection.publish(*map(self._builder.no_result, left))

    def counts(self) -> GroupCounts:
        """Snapshot for other threads."""
        return GroupCounts(
            group=self._member.group,
            members=len(self.present) + 1,
            standby=len(self._nearby),
            held=self._decisions.held,
            taken=self._taken,
            given=self._given,
        )

    # What is decided

    def _perform(self, actions: Sequence[Action]) -> None:
        self._log.released(actions)
        wanted: list[str] = []
        unwanted: list[str] = []
        for action in actions:
            match action:
                case Take(vehicle):
                    self._waiting[vehicle] = None
                case Release(vehicle, _):
                    self._release(vehicle)
                case Follow(vehicle):
                    self._nearby.follow(vehicle)
                    wanted.append(self._filters.exchanges_of(vehicle))
                case Unfollow(vehicle):
                    self._nearby.unfollow(vehicle, wanted=vehicle in self._waiting)
                    unwanted.append(self._filters.exchanges_of(vehicle))
                case Watch(vehicle, successor):
                    self._watched.add((vehicle, successor))
                    wanted.append(self._filters.offset_of(vehicle, successor))
                case Unwatch(vehicle, successor):
                    self._watched.discard((vehicle, successor))
                    unwanted.append(self._filters.offset_of(vehicle, successor))
        self._filters.change(wanted, unwanted)

    def _release(self, vehicle: str) -> None:
        if vehicle in self._waiting:
            del self._waiting[vehicle]
        else:
            self._agent.release(vehicle)
            self._given += 1

    def _take(self, vehicle: str, now_ns: int) -> None:
        known = self._nearby.take(vehicle, self._member.boot_id, now_ns, self._together)
        _log.debug("%s is measured here from now on, with %d exchanges of others", vehicle, len(known))
        self._agent.take(vehicle, known)
        self._taken += 1
