"""The topside agent's shell: hands messages and timers to the measurements, and performs their actions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker.agent import MqttAgent, agent_counts, connect_agent
from broker.budgets import PeerBudgets
from broker.inbox import Inbox, Letter
from broker.interface import Incoming
from broker.own_clock import OwnClock
from broker.subscriptions import REFUSED
from runtime.clock import Clock, Reading, process_instance_id, raw_resolution_ns, read
from schemas import messages, topics
from schemas.clock_history import ClockResendCommand, VehicleClock
from topside_agent.http_fallback.handshaker import handshakers
from topside_agent.http_fallback.http_get import get_then
from topside_agent.integrations.blueos_mirror import BlueosMirror
from topside_agent.integrations.homeassistant import HomeAssistant
from topside_agent.measuring.actions import Drop
from topside_agent.measuring.counts import TopsideCounts
from topside_agent.measuring.namesakes import Namesakes
from topside_agent.measuring.publisher import MessageBuilder, Publisher
from topside_agent.measuring.scheduler import Scheduler
from topside_agent.measuring.vehicles import Vehicles
from topside_agent.presence import OWN, Presence
from topside_agent.udp.paths import DirectPaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from broker.interface import Connect
    from broker.own_clock import Watch
    from runtime.clock_watch import ClockChange
    from runtime.watchdog import Loop
    from topside_agent.http_fallback.http_get import Get, TimedResponse
    from topside_agent.measuring.actions import Action
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)

_IDLE_NS = 500_000_000
_UPKEEP_NS = 250_000_000
_REPORTS = (topics.INFO, topics.EVENT, topics.VEHICLE_CLOCK)


class TopsideAgent(MqttAgent):
    """Measures every vehicle that is online (or those that are named), and publishes the results.

    `connect`, `get` and `watch` make the connection, the HTTP requests and the watch of topside's clock; a
    simulation brings its own, and the instance id.
    """

    def __init__(
        self,
        settings: TopsideSettings,
        clock: Clock,
        *,
        connect: Connect = connect_agent,
        get: Get = get_then,
        watch: Watch | None = None,
        instance_id: str | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        instance_id = instance_id or process_instance_id()
        self._namesakes = Namesakes(instance_id)
        self._own_clock = OwnClock(
            "topside", settings.topside, clock, instance_id, changed=self._clock_changed, watch=watch
        )
        self.watcher = self._own_clock.watcher
        self._inbox = Inbox(settings.topic_root, PeerBudgets(settings))
        self._vehicles = Vehicles(settings, self._namesakes, raw_resolution_ns(clock), clock.boot_id)
        self._builder = MessageBuilder(settings.topic_root, settings.topside)
        name, will = f"tidesync-topside-{settings.topside}", self._builder.status("offline")
        self._connection = connect(settings, self, clock, name=name, will=will)
        self._presence = Presence(self._builder, self._connection, self._namesakes, clock.boot_id)
        self._own_clock.connect(self._connection, settings, self._builder.clock)
        mirror = BlueosMirror(settings.topside, enabled=settings.blueos_mirror)
        self._publisher = Publisher(self._builder, self._connection.publish, mirror, pairs=settings.for_pair)
        self._scheduler = Scheduler(self._vehicles, self._publisher, clock)
        self.direct = DirectPaths(
            settings, self._vehicles, self._connection, clock, self._scheduler, post=self._post
        )
        listen = None if settings.group else self._connection.subscribe  # there the owner alone measures
        self._homeassistant = HomeAssistant(settings, self._connection.publish, listen)
        self._upkeep_due_ns = 0
        self.handshakers = handshakers(settings, clock, self._vehicles, self._handshook, get)

    # Service

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return (*super().loops, self.watcher.loop, *self.direct.loops)

    def start(self) -> None:
        """Connect and begin, in the network thread."""
        self.direct.start()
        self._connection.start()
        self.watcher.start()
        for handshaker in self.handshakers:
            handshaker.start()

    def stop(self) -> None:
        """Publish what is finished, say offline, end."""
        for handshaker in self.handshakers:
            handshaker.stop()
        self._own_clock.stop()
        self.direct.stop()
        self._connection.post(self._flush)
        self._connection.stop([self._builder.status("offline")])
        self._own_clock.write()

    def counts(self) -> TopsideCounts:
        """Snapshot for other threads."""
        now_raw_ns = self._clock.raw_ns()
        return TopsideCounts(
            self._settings.topside,
            agent_counts("topside", self._connection, self._inbox.dropped),
            [each.snapshot(now_raw_ns) for each in list(self._vehicles) if not each.resting],
        )

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, announce, and measure the known vehicles."""
        self._presence.connected(self._clock.raw_ns(), self._subscribed)
        self._own_clock.publish()
        for measurement in self._vehicles:
            self._perform(measurement, measurement.appeared(self._clock.raw_ns()))
        self._homeassistant.connected(each.vehicle for each in self._vehicles if not each.resting)

    def _subscribed(self, codes: Mapping[str, int]) -> None:
        pongs = topics.subscription(self._settings.topic_root, topics.PONG, topside=self._settings.topside)
        if pongs in codes:
            self._vehicles.explain_silence("not_authorized" if codes[pongs] == REFUSED else "timeout")

    def disconnected(self, reason: str) -> None:
        """Pings under way will not be answered."""
        _log.warning("lost the broker (%s); results age until it is back", reason)
        for measurement in self._vehicles:
            measurement.disconnected()

    def received(self, message: Incoming) -> None:
        """One message; pongs are tried first, since time matters to them."""
        self._scheduler.received(message.received.raw_ns)
        self._notice_sleep(message.received)
        if self._publisher.sent_last(message.topic, message.payload):
            self._namesakes.echoed(message.topic)
        elif letter := self._inbox.open(message):
            self._handle(letter)
        elif not message.payload:
            self._on_cleared(message.topic)

    def _handle(self, letter: Letter) -> None:
        kind = letter.topic.kind
        if kind is topics.PONG:
            self._on_pong(letter)
        elif kind is topics.STATUS:
            self._on_status(letter)
        elif kind in _REPORTS:
            self._on_report(letter)
        elif kind is topics.UDP_ANSWER:
            self.direct.answered(letter)
        elif kind in OWN:
            if isinstance(letter.body, messages.OffsetResult) and not letter.incoming.retain:
                self._homeassistant.heard(letter.body, letter.incoming.received.raw_ns)
            self._presence.received(letter)
            self._upkeep_due_ns = 0  # a namesake is reported at once
        elif kind is topics.TOPSIDE_COMMAND and not letter.incoming.retain:
            self._on_command(letter)

    def tick(self, now: Reading) -> float:
        """Do what is due; returns the seconds until something is."""
        self._notice_sleep()
        if now.raw_ns >= self._upkeep_due_ns:
            self._upkeep_due_ns = now.raw_ns + _UPKEEP_NS
            self._own_clock.tick(now.raw_ns)
            self.direct.tick(now.raw_ns)
            self._homeassistant.tick(now.raw_ns)
            if self._connection.up and self._presence.tick(now.raw_ns):
                for measurement in self._vehicles:
                    self._perform(measurement, measurement.recheck(now.raw_ns))
        if not self._connection.carries_pings:
            return _IDLE_NS / 1e9
        return self._scheduler.serve(now, _IDLE_NS) / 1e9

    # What messages do

    def _on_pong(self, letter: Letter) -> None:
        pong, topic = letter.body, letter.topic
        assert isinstance(pong, messages.Pong)
        measurement = self._vehicles.get(topic.vehicle)
        if topic.topside != self._settings.topside or letter.incoming.retain or measurement is None:
            self._inbox.drop("unexpected", "it answers no ping of this topside", letter.incoming)
            return
        departed_ns = self._scheduler.departed_ns(measurement.vehicle)
        actions = measurement.pong(pong, letter.incoming.received, departed_ns)
        for action in actions:
            if isinstance(action, Drop):
                self._inbox.drop(action.reason, action.sentence, letter.incoming)
        self._perform(measurement, actions)

    def _on_status(self, letter: Letter) -> None:
        if letter.body == "online" and (measurement := self._vehicles.online(letter.topic.vehicle or "")):
            self._perform(measurement, measurement.appeared(self._clock.raw_ns()))
            self._homeassistant.announce(measurement.vehicle)

    def _on_cleared(self, name: str) -> None:
        """A status was cleared (`tidesync forget`): drop the vehicle, unless it answers or was named."""
        try:
            topic = topics.parse(self._settings.topic_root, name)
        except topics.InvalidTopicError:
            return
        if topic.kind is topics.STATUS and self._vehicles.may_forget(topic.vehicle, self._clock.raw_ns()):
            if measurement := self._vehicles.get(topic.vehicle):
                self._publish(measurement, measurement.flush())
                _log.info("%s is forgotten: its status was cleared", topic.vehicle)
            self._forget(topic.vehicle or "")

    def _forget(self, vehicle: str) -> None:
        """Home Assistant first: an empty result would be an error to it."""
        self._homeassistant.forget(vehicle)
        for place in (self._publisher, self._scheduler, self.direct, self._vehicles):
            place.forget(vehicle)

    def _on_report(self, letter: Letter) -> None:
        """What a vehicle reports of itself, or of its clock."""
        report, now_ns = letter.body, self._clock.raw_ns()
        if isinstance(report, messages.Info):
            self.direct.informed(report, now_ns)
        measurement = self._vehicles.get(letter.topic.vehicle)
        if measurement is None:
            return
        if isinstance(report, messages.Info):
            self._vehicles.described(measurement.vehicle, report)
            self._perform(measurement, measurement.informed(report, now_ns))
        elif isinstance(report, messages.Event):
            self._publisher.log_event(report, now_ns)
            self._perform(measurement, measurement.event(report, now_ns))
        elif isinstance(report, VehicleClock):
            self._perform(measurement, measurement.pieces(report, now_ns))

    def _on_command(self, letter: Letter) -> None:
        command = letter.body
        if isinstance(command, ClockResendCommand):
            self._own_clock.publisher.resend(command)
            return
        assert isinstance(command, messages.BurstCommand | messages.ResendCommand)
        if getattr(command, "instance_id", None) not in {None, self._namesakes.instance_id}:
            return  # a namesake's exchanges, or those of a process before this one
        measurement = self._vehicles.get(command.vehicle)
        if measurement is None:
            self._inbox.drop("command", f"{command.vehicle!r} is not measured here", letter.incoming)
        elif isinstance(command, messages.BurstCommand):
            self._perform(measurement, measurement.burst(self._clock.raw_ns()))
        else:
            for batch in measurement.resend(command.from_seq, command.to_seq):
                self._publish(measurement, [batch])

    # From other threads: over HTTP, while MQTT does not reach a vehicle, and over the direct path

    def _handshook(self, measurement: Measurement, response: TimedResponse) -> None:
        self._post(lambda: self._perform(measurement, measurement.handshake(response)))

    def _post(self, work: Callable[[], object]) -> None:
        self._connection.post(self._notice_sleep)
        self._connection.post(work)

    # This computer's own clock

    def _notice_sleep(self, received: Reading | None = None) -> None:
        """Before anything is done: RAW stood still while this computer slept, so no bound outlives that."""
        if slept_ns := self._own_clock.sleep.slept_ns(received):
            _log.warning("this computer slept for %.1f s; measuring every vehicle again", slept_ns / 1e9)
            self._slept(slept_ns)

    def _slept(self, slept_ns: int) -> None:
        self.direct.slept()
        for each in self._vehicles:
            self._perform(each, each.slept(slept_ns, self._clock.raw_ns()))

    def _clock_changed(self, change: ClockChange) -> None:
        if change.kind == "step":
            for measurement in self._vehicles:
                self._perform(measurement, measurement.stepped(self._clock.raw_ns()))

    # What measurements return

    def _perform(self, measurement: Measurement, actions: Iterable[Action]) -> None:
        self._scheduler.perform(measurement.vehicle, actions)

    def _publish(self, measurement: Measurement, actions: Iterable[Action]) -> None:
        self._publisher.publish({measurement.vehicle: actions}, read(self._clock))

    def _flush(self) -> None:
        for each in self._vehicles if self._connection.up else ():
            self._publish(each, each.flush())
