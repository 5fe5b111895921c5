"""The topside agent's shell: messages in, measurements asked, pings, results and batches out."""

from __future__ import annotations

import heapq
import logging
import secrets
from typing import TYPE_CHECKING

from broker.clock import Clock, Reading, read
from broker.connection import Connection, Incoming, Outgoing
from broker.inbox import Inbox, Letter
from broker.late_stamp import LateStamp, with_room
from schemas import messages, topics
from topside_agent.handshaker import Handshaker
from topside_agent.lull import Lull
from topside_agent.measurement import Measurement

if TYPE_CHECKING:
    from broker.errors import BrokerError
    from schemas.messages import ErrorWord, OffsetResult, State
    from topside_agent.exchanger import Reason
    from topside_agent.http_get import Got
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)

_IDLE_S = 0.5
_NEVER_NS = 2**63
_MOST_VEHICLES = 10_000
"""Names come from the network; a flood of them must not fill the memory."""

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
        self._measurements: dict[str, Measurement] = {}
        self._infos: dict[str, messages.Info] = {}
        self._logged: dict[str, tuple[State, ErrorWord | None]] = {}
        self._due: list[tuple[int, str]] = []
        self._wakes: dict[str, int] = {}
        self._departures: dict[str, LateStamp] = {}
        self._lull = Lull()
        self._connection = Connection(
            settings,
            self,
            clock,
            name=f"tidesync-topside-{settings.topside}",
            will=self._status("offline"),
        )
        for vehicle in settings.vehicles:
            self._add(vehicle)
        self._handshakers = [self._handshaker(*pair) for pair in settings.http_urls.items()]

    # Service

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""
        return self._connection.failure

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
        self._connection.stop([self._status("offline")])

    def wait_until_finished(self, timeout_s: float) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        return self._connection.wait_until_finished(timeout_s)

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, announce, measure those that have been waiting."""
        root, topside = self._settings.topic_root, self._settings.topside
        self._connection.subscribe(
            [
                (topics.subscription(root, topics.PONG, topside=topside), 0),
                (topics.subscription(root, topics.STATUS), 1),
                (topics.subscription(root, topics.INFO), 1),
                (topics.subscription(root, topics.EVENT), 1),
                (topics.subscription(root, topics.TOPSIDE_COMMAND, topside=topside), 1),
            ]
        )
        self._connection.publish(self._status("online"))
        now_raw_ns = self._clock.raw_ns()
        for measurement in self._measurements.values():
            measurement.appeared(now_raw_ns)
            self._wake_at(measurement)

    def disconnected(self, reason: str) -> None:
        """Pings under way will not be answered."""
        _log.warning("lost the broker (%s); results age until it is back", reason)
        for measurement in self._measurements.values():
            measurement.exchanger.give_up()

    def received(self, message: Incoming) -> None:
        """One message: pongs first, they are in a hurry."""
        letter = self._inbox.open(message)
        if letter is None:
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
        while self._due and self._due[0][0] <= now.raw_ns:
            due_ns, vehicle = heapq.heappop(self._due)
            if self._wakes.get(vehicle) == due_ns:  # else a nearer one has replaced it
                del self._wakes[vehicle]
                self._serve(self._measurements[vehicle], now)
                self._wake_at(self._measurements[vehicle])
        now_raw_ns = self._clock.raw_ns()
        self._publish_released(now_raw_ns)
        due_ns = min(self._due[0][0] if self._due else _NEVER_NS, self._lull.due_ns or _NEVER_NS)
        return min(_IDLE_S, (due_ns - now_raw_ns) / 1e9)

    # What messages do

    def _on_pong(self, letter: Letter) -> None:
        pong, topic = letter.body, letter.topic
        assert isinstance(pong, messages.Pong)
        measurement = self._measurements.get(topic.vehicle or "")
        if topic.topside != self._settings.topside or letter.incoming.retain or measurement is None:
            self._inbox.drop("unexpected", "nobody asked for this pong", letter.incoming)
            return
        late = self._departures.get(measurement.vehicle)
        if late is not None and late.raw_ns is not None:
            measurement.exchanger.departed(late.raw_ns)
        refused = measurement.pong(pong, letter.incoming.received)
        if refused:
            self._inbox.drop(refused.reason, _SENTENCES[refused.reason], letter.incoming)
        now_raw_ns = self._clock.raw_ns()
        follows = measurement.exchange_due_ns <= now_raw_ns  # a train is under way
        if not measurement.exchanger.waiting and not follows:
            self._lull.answered(measurement.vehicle)
        self._publish_soon(measurement, now_raw_ns)
        self._wake_at(measurement)

    def _on_status(self, letter: Letter) -> None:
        vehicle = letter.topic.vehicle
        assert vehicle
        if letter.body != "online" or not self._wanted(vehicle):
            return
        measurement = self._measurements.get(vehicle) or self._add(vehicle)
        measurement.appeared(self._clock.raw_ns())
        self._wake_at(measurement)

    def _on_info(self, letter: Letter) -> None:
        vehicle, info = letter.topic.vehicle, letter.body
        assert vehicle
        assert isinstance(info, messages.Info)
        if vehicle in self._measurements:
            self._measurements[vehicle].informed(info)
        if len(self._infos) < _MOST_VEHICLES:
            self._infos[vehicle] = info

    def _on_event(self, letter: Letter) -> None:
        """A clock was stepped or the vehicle slept: look at once."""
        event, measurement = letter.body, self._measurements.get(letter.topic.vehicle or "")
        assert isinstance(event, messages.Event)
        if measurement:
            _log.info("%s reports a %s of %.3f ms", letter.topic.vehicle, event.kind, event.step_ms)
            measurement.burst(self._clock.raw_ns())
            self._wake_at(measurement)

    def _on_command(self, letter: Letter) -> None:
        command = letter.body
        assert isinstance(command, messages.BurstCommand | messages.ResendCommand)
        measurement = self._measurements.get(command.vehicle)
        if measurement is None:
            self._inbox.drop("command", f"{command.vehicle!r} is not measured here", letter.incoming)
        elif isinstance(command, messages.BurstCommand):
            measurement.burst(self._clock.raw_ns())
            self._wake_at(measurement)
        else:
            for payload in measurement.backlog.again(command.from_seq, command.to_seq):
                self._send(topics.EXCHANGE, payload, command.vehicle)

    # Over HTTP, while MQTT does not reach a vehicle

    def _handshaker(self, vehicle: str, url: str) -> Handshaker:
        measurement = self._measurements[vehicle]
        return Handshaker(
            url,
            self._clock,
            self._settings.handshake_interval_s,
            needed=measurement.needs_handshake,
            done=lambda got: self._connection.post(lambda: self._on_handshake(measurement, got)),
        )

    def _on_handshake(self, measurement: Measurement, got: Got) -> None:
        measurement.handshake(got)
        if self._connection.up:  # else the backlog keeps it until the broker is back
            self._publish_result(measurement, read(self._clock))
            self._wake_at(measurement)

    # What is due

    def _serve(self, measurement: Measurement, now: Reading) -> None:
        measurement.expire(now.raw_ns)
        nonce = secrets.token_hex(8)
        sent = read(self._clock)
        ping = measurement.ping(sent, nonce)
        if ping:
            payload, position = with_room(ping.encode(), "origin_ns")
            late = LateStamp(position, sent.realtime_minus_raw_ns)
            self._departures[measurement.vehicle] = late
            self._send(topics.PING, payload, measurement.vehicle, late)
            self._lull.sent(measurement.vehicle, sent.raw_ns)
        self._publish_soon(measurement, sent.raw_ns)

    def _publish_soon(self, measurement: Measurement, now_raw_ns: int) -> None:
        self._lull.wait(measurement.vehicle, now_raw_ns)
        self._publish_released(now_raw_ns)

    def _publish_released(self, now_raw_ns: int) -> None:
        for vehicle in self._lull.released(now_raw_ns):
            measurement = self._measurements[vehicle]
            self._publish_result(measurement, read(self._clock))
            self._wake_at(measurement)

    def _publish_result(self, measurement: Measurement, now: Reading) -> None:
        result = measurement.publish(now)
        if result is None:
            return
        self._log_change(result)
        self._send(topics.OFFSET, result.encode(), measurement.vehicle)
        self._publish_batches(measurement)

    def _publish_batches(self, measurement: Measurement) -> None:
        while payload := measurement.backlog.next_batch():
            if not self._send(topics.EXCHANGE, payload, measurement.vehicle):
                return
            measurement.backlog.published()

    def _flush(self) -> None:
        for measurement in self._measurements.values():
            self._publish_batches(measurement)

    def _log_change(self, result: OffsetResult) -> None:
        if self._logged.get(result.vehicle) == (result.state, result.error):
            return
        self._logged[result.vehicle] = (result.state, result.error)
        found = (
            "" if result.offset_ms is None else f": {result.offset_ms} ms, max error {result.max_error_ms} ms"
        )
        why = f" ({result.error})" if result.error else ""
        _log.info("%s is %s%s%s", result.vehicle, result.state, found, why)

    def _add(self, vehicle: str) -> Measurement:
        measurement = Measurement(vehicle, self._settings, resolution_ns=self._clock.resolution_ns)
        self._measurements[vehicle] = measurement
        if vehicle in self._infos:
            measurement.informed(self._infos[vehicle])
        self._wake_at(measurement)
        return measurement

    def _wanted(self, vehicle: str) -> bool:
        if self._settings.vehicle:
            return vehicle in self._measurements
        return vehicle in self._measurements or len(self._measurements) < _MOST_VEHICLES

    def _wake_at(self, measurement: Measurement) -> None:
        """Have the measurement served when it is next due; one standing entry a vehicle, the nearest."""
        waits = self._lull.holds(measurement.vehicle)  # then `released` names it, and only exchanges are due
        due_ns = measurement.exchange_due_ns if waits else measurement.next_due_ns()
        standing_ns = self._wakes.get(measurement.vehicle)
        if standing_ns is None or due_ns < standing_ns:
            self._wakes[measurement.vehicle] = due_ns
            heapq.heappush(self._due, (due_ns, measurement.vehicle))

    def _send(
        self, kind: topics.TopicKind, payload: bytes, vehicle: str, late: LateStamp | None = None
    ) -> bool:
        topic = topics.build(self._settings.topic_root, kind, vehicle=vehicle, topside=self._settings.topside)
        return self._connection.publish(Outgoing(topic, payload, kind.qos, kind.retain, late))

    def _status(self, word: str) -> Outgoing:
        topic = topics.build(self._settings.topic_root, topics.TOPSIDE_STATUS, topside=self._settings.topside)
        return Outgoing(topic, word.encode(), retain=True)
