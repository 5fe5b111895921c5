"""The direct paths in topside's agent: sessions are asked for over MQTT, exchanges handed to measurements."""

from __future__ import annotations

import logging
import secrets
import socket
from typing import TYPE_CHECKING, Protocol

from broker.interface import Outgoing
from schemas import topics
from schemas.direct_path import UdpAnswer
from topside_agent.measuring.scheduler import DeadlineQueue
from topside_agent.measuring.timing import train_of
from topside_agent.measuring.vehicles import MOST_VEHICLES
from topside_agent.udp.agreement import Agreement
from topside_agent.udp.broker_host import BrokerHost
from topside_agent.udp.interface import PathState
from topside_agent.udp.measurement import DirectMeasurement
from topside_agent.udp.service import UdpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from broker.inbox import Letter
    from broker.interface import MqttConnection
    from runtime.clock import Clock
    from runtime.watchdog import Loop
    from schemas.messages import Info
    from topside_agent.measuring.scheduler import Scheduler
    from topside_agent.measuring.vehicles import Vehicles
    from topside_agent.settings import TopsideSettings
    from topside_agent.udp.interface import DirectExchange, PathTerms

_log = logging.getLogger(__name__)

MOST_TIMEOUT_S = 1.0
"""A later answer is not waited for: a lost datagram must not hold up the next."""
_MOST_ZONES = 4


class Transport(Protocol):
    """What the agent uses of `UdpTransport`; a simulation brings its own."""

    @property
    def loop(self) -> Loop:
        """The loop that the watchdog watches."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def measure(self, vehicle: str, terms: PathTerms) -> None:
        """Measure `vehicle` from now on."""

    def forget(self, vehicle: str) -> None:
        """Measure it no more."""

    def burst(self, vehicle: str) -> None:
        """Make a burst of exchanges as soon as possible."""

    @property
    def generation(self) -> int:
        """Exchanges of another one are of before this computer slept."""

    def slept(self) -> None:
        """This computer slept."""


class DirectPaths:
    """Used in the network thread; `start`, `stop` and `counts` in any."""

    def __init__(
        self,
        settings: TopsideSettings,
        vehicles: Vehicles,
        connection: MqttConnection,
        clock: Clock,
        scheduler: Scheduler,
        *,
        post: Callable[[Callable[[], object]], None],
    ) -> None:
        """`post` has work done in the network thread, once it is known whether this computer slept."""
        self._settings, self._vehicles, self._connection = settings, vehicles, connection
        self._clock, self._scheduler, self._post = clock, scheduler, post
        scheduler.burst_directly = self.burst
        self._agreements: dict[str, Agreement] = {}
        self._deadlines = DeadlineQueue()
        self._unmeasured: set[str] = set()
        """Vehicles that are not measured here, or not now: they are asked as soon as they are."""
        self._reconnects = 0
        """Of the connection, when it was looked at last."""
        self._broker_host = BrokerHost()
        self._rate = vehicles.pace.rate
        self.transport: Transport | None = None
        self.alive: dict[str, str] = {}
        """Vehicles whose direct path answers, and its address."""

    # Any thread

    def start(self) -> None:
        """Use direct paths, if the settings allow it."""
        if not self._settings.no_udp:
            hardware = self._settings.hardware_stamps
            self.transport = UdpTransport(self._clock, self.report, hardware=hardware)
            self.transport.start()

    def stop(self) -> None:
        """Use them no more; what is finished is reported first."""
        if self.transport is not None:
            self.transport.stop()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return () if self.transport is None else (self.transport.loop,)

    def report(self, items: list[DirectExchange | PathState]) -> None:
        """What the transport did, whatever the broker does."""
        self._post(lambda: self.reported(items))

    # The network thread

    def informed(self, info: Info, now_ns: int) -> None:
        """A vehicle described itself: whether it can be measured directly, and by which process."""
        vehicle, agreement = info.vehicle, self._agreements.get(info.vehicle)
        if agreement is None:
            if self.transport is None or info.udp is None or len(self._agreements) >= MOST_VEHICLES:
                return
            agreement = self._agreements[vehicle] = Agreement(lambda: secrets.token_hex(8))
        if agreement.informed(info, now_ns):
            self._end(vehicle, now_ns)
        self._set_due(vehicle, agreement)

    def answered(self, letter: Letter) -> None:
        """A vehicle answered a request; an answer that is not awaited is left out."""
        vehicle, answer, now_ns = letter.topic.vehicle or "", letter.body, letter.incoming.received.raw_ns
        agreement = self._agreements.get(vehicle)
        mine = letter.topic.topside == self._settings.topside and not letter.incoming.retain
        if agreement is None or not mine or not isinstance(answer, UdpAnswer):
            return
        others = (other for other in self._agreements.values() if other is not agreement)
        if answer.session and any(other.answer_of(answer.session) for other in others):
            _log.warning("%s: its session has the number of another vehicle's", vehicle)
            return  # else it would be handed that one's answers; it is asked again
        if agreement.answered(answer, now_ns):
            self._measure(vehicle, agreement)
        elif answer.error is not None:
            _log.warning("%s cannot be measured directly: %s", vehicle, answer.error)
        self._set_due(vehicle, agreement)

    def tick(self, now_ns: int) -> None:
        """Ask the vehicles that are to be asked."""
        if self.transport is None:
            return
        self._keep_pace()
        if not self._connection.up:
            return
        self._broker_host.look_up(self._connection.address.host)
        if self._reconnects != self._connection.reconnects:
            self._reconnects = self._connection.reconnects
            for name, agreement in self._agreements.items():
                agreement.lost_connection(now_ns)
                self._set_due(name, agreement)
        for name in [name for name in self._unmeasured if self._is_measured(name)]:
            self._unmeasured.discard(name)
            self._deadlines.set(name, now_ns)
        while vehicle := self._deadlines.pop(now_ns):
            self._ask(vehicle, now_ns)

    def forget(self, vehicle: str) -> None:
        """A vehicle is no longer measured here."""
        self._deadlines.forget(vehicle)
        self._unmeasured.discard(vehicle)
        if self._agreements.pop(vehicle, None) and self.transport is not None:
            self.transport.forget(vehicle)
            self.alive.pop(vehicle, None)

    def rest(self, vehicle: str, now_ns: int) -> None:
        """Another topside measures the vehicle from now on."""
        if vehicle in self._agreements:
            self._end(vehicle, now_ns)
            self._unmeasured.add(vehicle)

    def burst(self, vehicle: str) -> None:
        """Make a burst of exchanges at once."""
        if self.transport is not None:
            self.transport.burst(vehicle)

    def slept(self) -> None:
        """This computer slept."""
        if self.transport is not None:
            self.transport.slept()

    def reported(self, items: Iterable[DirectExchange | PathState]) -> None:
        """What the transport reports."""
        transport, now_ns, exchanges = self.transport, self._clock.raw_ns(), 0
        for item in items:
            measurement, agreement = self._vehicles.get(item.vehicle), self._agreements.get(item.vehicle)
            if agreement is None or transport is None or not isinstance(measurement, DirectMeasurement):
                continue
            if isinstance(item, PathState):
                self._on_state(measurement, agreement, item, now_ns)
            elif item.generation == transport.generation and (answer := agreement.answer_of(item.session)):
                exchanges += 1
                actions = measurement.direct(item, answer.boot_id, answer.instance_id)
                self._scheduler.perform(item.vehicle, actions)
        self._scheduler.exchanged_directly(exchanges)

    def _on_state(
        self, measurement: DirectMeasurement, agreement: Agreement, state: PathState, now_ns: int
    ) -> None:
        if state.alive:
            level = logging.DEBUG if state.vehicle in self.alive else logging.INFO
            self.alive[state.vehicle] = str(state.address)
            agreement.found()
            _log.log(level, "%s is measured directly, at %s", state.vehicle, state.address)
        elif self.alive.pop(state.vehicle, None):
            _log.info("%s is no longer measured directly: %s", state.vehicle, state.reason)
            agreement.lost(now_ns)
            self._scheduler.perform(measurement.vehicle, measurement.path_lost(now_ns))
            if self._connection.up and self._reconnects == self._connection.reconnects:
                self._ask(state.vehicle, now_ns)  # at once: it may be reached elsewhere
                return
        self._set_due(state.vehicle, agreement)

    def _ask(self, vehicle: str, now_ns: int) -> None:
        agreement = self._agreements[vehicle]
        if not self._is_measured(vehicle):
            self._unmeasured.add(vehicle)
            return
        if agreement.expired(now_ns):
            self._end(vehicle, now_ns)
        pace = self._vehicles.pace
        request = agreement.request(now_ns, rate=self._settings.rate, train=train_of(pace.interval_ns))
        if request is not None:
            kind = topics.UDP_REQUEST
            names = {"vehicle": vehicle, "topside": self._settings.topside}
            topic = topics.build(self._settings.topic_root, kind, **names)
            self._connection.publish(Outgoing(topic, request.encode(), kind.qos))
        self._set_due(vehicle, agreement)

    def _is_measured(self, vehicle: str) -> bool:
        measurement = self._vehicles.get(vehicle)
        return measurement is not None and not measurement.resting

    def _end(self, vehicle: str, now_ns: int) -> None:
        """The session is over: its process has ended, or another topside measures."""
        agreement, measurement = self._agreements[vehicle], self._vehicles.get(vehicle)
        agreement.end()
        assert self.transport is not None
        self.transport.forget(vehicle)
        if self.alive.pop(vehicle, None) and isinstance(measurement, DirectMeasurement):
            self._scheduler.perform(measurement.vehicle, measurement.path_lost(now_ns))

    def _set_due(self, vehicle: str, agreement: Agreement) -> None:
        due_ns = agreement.due_ns
        if due_ns is None:
            self._deadlines.forget(vehicle)
        else:
            self._deadlines.set(vehicle, due_ns)

    def _keep_pace(self) -> None:
        """Topside measures all vehicles more rarely, or again as often as is set."""
        if self._rate != self._vehicles.pace.rate:
            self._rate = self._vehicles.pace.rate
            for vehicle, agreement in self._agreements.items():
                if agreement.agreed is not None:
                    self._measure(vehicle, agreement)

    def _measure(self, vehicle: str, agreement: Agreement) -> None:
        pace = self._vehicles.pace
        terms = agreement.terms(
            self._broker_host.addresses,
            self._clock.boot_id,
            _zones(),
            rate=pace.rate,
            train=train_of(pace.interval_ns),
            timeout_s=min(self._settings.timeout_s, MOST_TIMEOUT_S),
        )
        if terms is not None and self.transport is not None:
            self.transport.measure(vehicle, terms)


def _zones() -> list[str]:
    """Interfaces on which a link-local address may be."""
    try:
        names = [name for _, name in socket.if_nameindex()]
    except (OSError, AttributeError):
        return []
    return [name for name in names if name != "lo" and not name.startswith(("docker", "veth", "br-"))][
        :_MOST_ZONES
    ]
