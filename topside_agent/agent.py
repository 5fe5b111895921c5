"""The topside agent's shell: messages in, measurements asked, pings, results and batches out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker.connection import Connection, Incoming
from broker.inbox import Inbox, Letter
from runtime.clock import Clock, Reading, read
from runtime.metrics import counts_of
from schemas import messages, topics
from topside_agent.http_fallback.handshaker import Handshaker
from topside_agent.integrations.blueos_mirror import BlueosMirror
from topside_agent.integrations.homeassistant import HomeAssistant
from topside_agent.measuring.counts import TopsideCounts
from topside_agent.measuring.outbox import Outbox
from topside_agent.measuring.publisher import Publisher
from topside_agent.measuring.scheduler import Scheduler
from topside_agent.measuring.vehicles import Vehicles

if TYPE_CHECKING:
    from broker.errors import BrokerError
    from runtime.loop import Loop
    from topside_agent.http_fallback.http_get import TimedResponse
    from topside_agent.measuring.exchanger import Reason
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)

_IDLE_S = 0.5

_SENTENCES: dict[Reason, str] = {
    "unknown_nonce": "it answers no ping that is outstanding (late, replayed or forged)",
    "repeated": "its ping was answered or given up already",
    "other_instance": "a second process answers to this vehicle's name",
    "clock_stepped": "this computer's clock was stepped while the ping was under way",
    "invalid_pi_time": "its stamps contradict each other or the ping",
}


class TopsideAgent:
    """Measures every vehicle that is online (or those it was told), and publishes what it finds."""

    def __init__(self, settings: TopsideSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = Inbox(settings.topic_root)
        self._roster = Vehicles(settings, resolution_ns=clock.resolution_ns)
        self._outbox = Outbox(settings.topic_root, settings.topside)
        name, will = f"tidesync-topside-{settings.topside}", self._outbox.status("offline")
        self._connection = Connection(settings, self, clock, name=name, will=will)
        mirror = BlueosMirror(settings.topside, wanted=settings.blueos_mirror)
        self._publisher = Publisher(self._outbox, self._connection.publish, mirror)
        self._turns = Scheduler(self._roster, self._outbox, self._publisher, self._connection.publish, clock)
        self._homeassistant = HomeAssistant(settings, self._connection.publish)
        self._handshakers = [self._handshaker(*pair) for pair in settings.http_urls.items()]

    # Service

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""
        return self._connection.failure

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What must come round for it to be alive."""
        return (self._connection.loop,)

    @property
    def standing(self) -> str:
        """How it stands with the broker, in words."""
        return self._connection.standing

    def start(self) -> None:
        """Connect and begin, in the network thread."""
        self._connection.start()
        for handshaker in self._handshakers:
            handshaker.start()

    def stop(self) -> None:
        """Publish what is finished, say offline, end."""
        for handshaker in self._handshakers:
            handshaker.stop()
        self._connection.post(self._flush)
        self._connection.stop([self._outbox.status("offline")])

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        return self._connection.wait_until_finished(timeout_s)

    def counts(self) -> TopsideCounts:
        """How it stands now; any thread may ask."""
        now_raw_ns = self._clock.raw_ns()
        return TopsideCounts(
            self._settings.topside,
            counts_of("topside", self._connection, self._inbox.dropped),
            [measurement.standing(now_raw_ns) for measurement in list(self._roster)],
        )

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, announce, measure those that have been waiting."""
        root, topside = self._settings.topic_root, self._settings.topside
        ours = [(topics.PONG, {"topside": topside}), (topics.TOPSIDE_COMMAND, {"topside": topside})]
        theirs: list[tuple[topics.TopicKind, dict[str, str]]] = [
            (kind, {}) for kind in (topics.STATUS, topics.INFO, topics.EVENT)
        ]
        self._connection.subscribe(
            [(topics.subscription(root, kind, **names), kind.qos) for kind, names in ours + theirs]
        )
        self._connection.publish(self._outbox.status("online"))
        now_raw_ns = self._clock.raw_ns()
        for measurement in self._roster:
            measurement.appeared(now_raw_ns)
            self._turns.wake(measurement)
        self._homeassistant.connected(measurement.vehicle for measurement in self._roster)

    def disconnected(self, reason: str) -> None:
        """Pings under way will not be answered."""
        _log.warning("lost the broker (%s); results age until it is back", reason)
        for measurement in self._roster:
            measurement.exchanger.give_up()

    def received(self, message: Incoming) -> None:
        """One message: pongs first, they are in a hurry."""
        letter = self._inbox.open(message)
        if letter is None:
            if not message.payload:
                self._on_cleared(message.topic)
            return
        kind = letter.topic.kind
        if kind is topics.PONG:
            self._on_pong(letter)
        elif kind is topics.STATUS:
            self._on_status(letter)
        elif kind is topics.INFO:
            self._on_info(letter)
        elif kind is topics.EVENT:
            self._on_event(letter)
        elif kind is topics.TOPSIDE_COMMAND and not message.retain:
            self._on_command(letter)

    def tick(self, now: Reading) -> float:
        """Do what is due; returns the seconds until something is."""
        if not self._connection.up:
            return _IDLE_S
        return min(_IDLE_S, (self._turns.take(now) - self._clock.raw_ns()) / 1e9)

    # What messages do

    def _on_pong(self, letter: Letter) -> None:
        pong, topic = letter.body, letter.topic
        assert isinstance(pong, messages.Pong)
        measurement = self._roster.get(topic.vehicle)
        if topic.topside != self._settings.topside or letter.incoming.retain or measurement is None:
            self._inbox.drop("unexpected", "nobody asked for this pong", letter.incoming)
            return
        self._turns.departed(measurement)
        refused = measurement.pong(pong, letter.incoming.received)
        if refused:
            self._inbox.drop(refused.reason, _SENTENCES[refused.reason], letter.incoming)
        self._turns.answered(measurement)

    def _on_status(self, letter: Letter) -> None:
        vehicle = letter.topic.vehicle
        assert vehicle
        measurement = self._roster.online(vehicle) if letter.body == "online" else None
        if measurement:
            measurement.appeared(self._clock.raw_ns())
            self._turns.wake(measurement)
            self._homeassistant.announce(vehicle)

    def _on_cleared(self, name: str) -> None:
        """A status was cleared (`tidesync forget`): drop the vehicle, unless it answers or was named."""
        try:
            topic = topics.parse(self._settings.topic_root, name)
        except topics.InvalidTopicError:
            return
        vehicle, measurement = topic.vehicle, self._roster.get(topic.vehicle)
        if topic.kind is not topics.STATUS or vehicle is None or vehicle in self._settings.vehicles:
            return
        if measurement is None:  # it was forgotten before this process began
            self._forget(vehicle)
        elif measurement.needs_handshake(self._clock.raw_ns(), since_raw_ns=0):  # it has long been silent
            self._publisher.batches([measurement])
            self._forget(vehicle)
            _log.info("%s is forgotten: its status was cleared", vehicle)

    def _forget(self, vehicle: str) -> None:
        """Home Assistant first: it would stumble over a result that is empty."""
        self._homeassistant.forget(vehicle)
        for place in (self._publisher, self._turns, self._roster):
            place.forget(vehicle)

    def _on_info(self, letter: Letter) -> None:
        vehicle, info = letter.topic.vehicle, letter.body
        assert vehicle
        assert isinstance(info, messages.Info)
        self._roster.informed(vehicle, info)

    def _on_event(self, letter: Letter) -> None:
        """A clock was stepped or the vehicle slept: look at once."""
        event, measurement = letter.body, self._roster.get(letter.topic.vehicle)
        assert isinstance(event, messages.Event)
        if measurement:
            _log.info("%s reports a %s of %.3f ms", letter.topic.vehicle, event.kind, event.step_ms)
            measurement.burst(self._clock.raw_ns())
            self._turns.wake(measurement)

    def _on_command(self, letter: Letter) -> None:
        command = letter.body
        assert isinstance(command, messages.BurstCommand | messages.ResendCommand)
        measurement = self._roster.get(command.vehicle)
        if measurement is None:
            self._inbox.drop("command", f"{command.vehicle!r} is not measured here", letter.incoming)
        elif isinstance(command, messages.BurstCommand):
            measurement.burst(self._clock.raw_ns())
            self._turns.wake(measurement)
        else:
            self._publisher.again(measurement, command.from_seq, command.to_seq)

    # Over HTTP, while MQTT does not reach a vehicle

    def _handshaker(self, vehicle: str, url: str) -> Handshaker:
        measurement = self._roster[vehicle]
        return Handshaker(
            url,
            self._clock,
            self._settings.handshake_interval_s,
            needed=measurement.needs_handshake,
            done=lambda got: self._connection.post(lambda: self._on_handshake(measurement, got)),
        )

    def _on_handshake(self, measurement: Measurement, got: TimedResponse) -> None:
        measurement.handshake(got)
        if self._connection.up:  # else the backlog keeps it until the broker is back
            self._publisher.results([measurement], read(self._clock))
            self._turns.wake(measurement)

    # The end

    def _flush(self) -> None:
        if self._connection.up:
            self._publisher.batches(self._roster)
